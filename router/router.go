package router

import (
	"context"
	"log"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"paas/api"
)

// Router routes HTTP requests to dynos. Its methods may be called concurrently.
// Until the first Publish no app is known.
type Router struct {
	limits   Limits
	logLine  func(string, api.LogLine)
	errorLog *log.Logger
	internal map[string]http.Handler
	now      func() time.Time
	pages    pages

	table     atomic.Pointer[snapshot]
	recovered broadcast // a dyno came back from quarantine
	heldAll   atomic.Int64
	tunnels   tunnels
	newcomers newcomers
	calls     sync.Pool // of *call
	buffers   sync.Pool // of *copyBuffer

	mu      sync.Mutex
	targets map[string]*target
	held    map[string]*atomic.Int64 // by app

	// Ending: stopping is closed when Run is told to stop, life ends when it
	// is done. background counts goroutines that Run waits for.
	stopping   chan struct{}
	life       context.Context
	end        context.CancelFunc
	background gate
	quiet      chan struct{} // closed when background is shut and empty
}

// maxBackground bounds probes under way and requests being served.
const maxBackground = 1 << 20

// New makes a Router that knows no app yet.
func New(o Options) *Router {
	r := &Router{
		limits:   o.Limits.withDefaults(),
		logLine:  o.Log,
		errorLog: o.ErrorLog,
		internal: make(map[string]http.Handler, len(o.Internal)),
		now:      o.Now,
		pages:    newPages(),
		targets:  make(map[string]*target),
		stopping: make(chan struct{}),
		quiet:    make(chan struct{}),
	}
	for host, h := range o.Internal {
		r.internal[canonicalHost(host)] = h
	}
	if r.now == nil {
		r.now = time.Now
	}
	if r.errorLog == nil {
		r.errorLog = log.New(discard{}, "", 0)
	}
	r.life, r.end = context.WithCancel(context.Background())
	r.table.Store(&snapshot{superseded: make(chan struct{})})
	r.calls.New = func() any { return &call{r: r} }
	r.buffers.New = func() any { return new(copyBuffer) }
	return r
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func (r *Router) leaveBackground() {
	if r.background.leave() {
		close(r.quiet)
	}
}
