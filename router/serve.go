package router

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"
)

// call is one request to an app, from its arrival to its log line. Calls and
// their buffers are reused.
type call struct {
	r   *Router
	w   http.ResponseWriter
	req *http.Request
	rc  *http.ResponseController

	host  string
	rt    *route // what host was last found to be
	began time.Time

	head      []byte // of the request, as it goes to a dyno; then the inline body
	headLen   int
	inline    bool // the body, if any, is small and known: it is sent with head
	bodyRead  bool // all of the body was received
	upgrade   string
	respBuf   []byte // head of the response
	line      []byte // of the log
	writeable time.Time

	attempts  int
	lastDial  code
	fresh     bool          // use no kept connection any more
	waiting   *atomic.Int64 // counts the call among those that wait; nil = it does not
	hasBody   bool
	committed bool // the response's head was handed to the client's side
	hijacked  bool // the client's connection is not the server's any more
	abort     bool // the client's connection must be cut after the log line

	rec record
}

// maxInline is the largest request body that is read before a dyno is chosen,
// so that a slow client takes no place on one, and a lost exchange can be
// repeated.
const maxInline = 8 << 10

// ServeHTTP implements http.Handler.
func (r *Router) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	host := canonicalHost(req.Host)
	if h := r.internal[host]; h != nil {
		// Not among those that Run waits for without end: what a handler does
		// with a connection it took over is its owner's business.
		r.serveInternal(h, w, req)
		return
	}
	if r.background.enter(maxBackground) != entered {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	defer r.leaveBackground()

	rt := r.table.Load().lookup(host)
	if rt == nil {
		r.noSuchApp(w, req)
		return
	}
	c := r.calls.Get().(*call)
	c.start(w, req, host, rt)
	fault := c.serve()
	c.finish(fault)
	abort := c.abort
	c.reset()
	r.calls.Put(c)
	if abort {
		panic(http.ErrAbortHandler)
	}
}

func (r *Router) noSuchApp(w http.ResponseWriter, req *http.Request) {
	rc := http.NewResponseController(w)
	rc.SetWriteDeadline(time.Now().Add(r.limits.Idle))
	if req.ContentLength != 0 {
		refuseBody(w, req, rc)
	}
	r.pages.write(w, http.StatusNotFound, "nosuchapp.html", pageData{Title: "No such app"})
}

// refuseBody makes the client's connection end after an answer that was given
// without reading the request's body: waiting for the rest of it would leave
// the end of the wait to the client.
func refuseBody(w http.ResponseWriter, req *http.Request, rc *http.ResponseController) {
	w.Header().Set("Connection", "close")
	lingerOnClose(req)
	rc.SetReadDeadline(longAgo)
}

// longAgo as a deadline ends reads and writes at once, also those under way.
var longAgo = time.Unix(1, 0)

// serveInternal hands over to a part of the platform. Only the silence of a
// client in the middle of its body is bounded here.
func (r *Router) serveInternal(h http.Handler, w http.ResponseWriter, req *http.Request) {
	if req.ContentLength != 0 {
		rc := http.NewResponseController(w)
		own := *req
		body := &impatientBody{ReadCloser: req.Body, rc: rc, idle: r.limits.Idle}
		own.Body = body
		defer func() {
			if !body.ended {
				// The server throws away what the handler left: not for long.
				rc.SetReadDeadline(time.Now().Add(time.Second))
			}
		}()
		req = &own
	}
	h.ServeHTTP(w, req)
}

// impatientBody gives every read of a request body a deadline.
type impatientBody struct {
	io.ReadCloser
	rc    *http.ResponseController
	idle  time.Duration
	ended bool
}

func (b *impatientBody) Read(p []byte) (int, error) {
	b.rc.SetReadDeadline(time.Now().Add(b.idle))
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.ended = true
		b.rc.SetReadDeadline(time.Time{})
	}
	return n, err
}

func (c *call) start(w http.ResponseWriter, req *http.Request, host string, rt *route) {
	c.w, c.req, c.host, c.rt = w, req, host, rt
	c.rc = http.NewResponseController(w)
	c.began = time.Now()
	c.hasBody = req.ContentLength != 0
	c.inline = req.ContentLength <= maxInline && req.ContentLength >= 0
	c.rec = record{host: host, connect: -1, service: -1, bytes: -1, protocol: "http"}
	if req.TLS != nil {
		c.rec.protocol = "https"
	}
}

// reset keeps the buffers, if they are of a usual size.
func (c *call) reset() {
	keep := func(b []byte) []byte {
		if cap(b) > 32<<10 {
			return nil
		}
		return b[:0]
	}
	*c = call{r: c.r, head: keep(c.head), respBuf: keep(c.respBuf), line: keep(c.line)}
}

// serve gets the call answered by a dyno. It returns why it was not, or not
// completely.
func (c *call) serve() code {
	if fault := c.encodeHead(); fault != none {
		return fault
	}
	defer c.stopWaiting()
	var recovered <-chan struct{}
	for {
		snap := c.r.table.Load()
		if c.rt = snap.lookup(c.host); c.rt == nil {
			return none // the app went away while the call waited; see finish
		}
		if c.rt.state == InMaintenance {
			return h80
		}
		now := time.Now()
		t, full := c.rt.pick(now)
		switch {
		case t != nil:
		case full:
			return h11
		default:
			if fault := c.without(); fault != none {
				return fault
			}
			if recovered == nil {
				// Look once more, so that no change is missed.
				recovered = c.r.recovered.wait()
				continue
			}
			if fault := c.hold(snap, recovered); fault != none {
				return fault
			}
			recovered = nil
			continue
		}
		if c.hasBody && c.inline && !c.bodyRead {
			// Not while holding a place on a dyno.
			t.release()
			if fault := c.readInline(); fault != none {
				return fault
			}
			continue
		}
		c.stopWaiting()
		fault, again := c.try(t)
		if !again {
			return fault
		}
		if time.Since(c.began) >= c.r.limits.Route || c.attempts >= c.r.limits.Attempts {
			return c.noTarget()
		}
	}
}

// without is the answer of an app that has no usable target, none if one can
// be waited for.
func (c *call) without() code {
	switch c.rt.state {
	case NoWeb:
		return h14
	case CrashedApp:
		return h10
	case Blank:
		return h81
	default:
		return none
	}
}

// finish answers what no dyno answered, and writes the log line.
func (c *call) finish(fault code) {
	if c.rt == nil {
		c.r.noSuchApp(c.w, c.req)
		return
	}
	if fault != none {
		n := fault.notice()
		c.rec.code = fault
		c.rec.status = n.status
		switch {
		case c.hijacked:
		case c.committed:
			// All that can still be told is that the answer is not complete.
			c.abort = true
		case n.status == statusClientGone:
			c.abort = true
		default:
			c.answer(fault, n)
		}
	}
	c.log()
}

// answer writes the page for a code.
func (c *call) answer(fault code, n notice) {
	h := c.w.Header()
	clear(h)
	c.rc.SetWriteDeadline(time.Now().Add(c.r.limits.Idle))
	if c.hasBody && !c.bodyRead {
		refuseBody(c.w, c.req, c.rc)
	}
	if fault == h11 || fault == h20 {
		h.Set("Retry-After", "10")
	}
	name, title, text := pageOf(fault)
	c.r.pages.write(c.w, n.status, name, pageData{Title: title, Text: text, App: c.rt.appName, Code: n.name, Request: c.rec.id})
}

// clientWants is what the request's Connection header lists.
func clientWants(req *http.Request, token string) bool {
	return httpguts.HeaderValuesContainsToken(req.Header["Connection"], token)
}
