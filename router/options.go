package router

import (
	"log"
	"net/http"
	"time"

	"paas/api"
)

// Options are what a Router needs. All fields may be left out.
type Options struct {
	// Log takes one line per request to an app. It is called from the
	// request's goroutine and MUST NOT block.
	Log func(appID string, l api.LogLine)
	// Internal maps exact hosts ("api.example.com") to handlers of the platform
	// itself. They win over the table, are not logged, and have no limits but
	// those on the size of the head and on slow clients.
	Internal map[string]http.Handler
	Limits   Limits
	// Now is the clock of log lines and X-Request-Start.
	Now func() time.Time
	// ErrorLog takes what net/http complains of; nil drops it.
	ErrorLog *log.Logger
}

// Limits bound every wait and every queue of a Router. A zero field means the
// default given beside it, which is Heroku's where Heroku has one.
type Limits struct {
	Route     time.Duration // 75 s: for a request to get onto a dyno; H20
	Attempts  int           // 10: dials for one request; H19, H21
	Connect   time.Duration // 5 s: one dial; H19
	FirstByte time.Duration // 30 s: from the whole request sent; H12
	Idle      time.Duration // 55 s: silence after that, either side; H15, H28

	Concurrency int // 200: requests in flight on a dyno, if the route sets none; H11
	HoldPerApp  int // 1000: requests of one app that wait for a dyno; H11
	Hold        int // 4000: the same over all apps; H11

	KeepIdle   time.Duration // 90 s: an unused connection to a dyno is kept
	KeepUnsafe time.Duration // 1 s: the same, for use by a request that cannot be repeated
	KeepConns  int           // 100: unused connections to one dyno

	Quarantine time.Duration // 5 s: the least a dyno that refused gets no requests
	ProbeEvery time.Duration // 5 s: between probes of a dyno that has traffic

	HeaderBytes int           // 64 KiB: request line and headers
	HeaderTime  time.Duration // 30 s: for a client to send them
	ClientIdle  time.Duration // 90 s: between two requests of a client's connection
	Connections int           // 10000: of clients
	Grace       time.Duration // 30 s: for requests in flight when Run is told to stop
}

func (l Limits) withDefaults() Limits {
	duration := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	count := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	duration(&l.Route, 75*time.Second)
	duration(&l.Connect, 5*time.Second)
	duration(&l.FirstByte, 30*time.Second)
	duration(&l.Idle, 55*time.Second)
	duration(&l.KeepIdle, 90*time.Second)
	duration(&l.KeepUnsafe, time.Second)
	duration(&l.Quarantine, 5*time.Second)
	duration(&l.ProbeEvery, 5*time.Second)
	duration(&l.HeaderTime, 30*time.Second)
	duration(&l.ClientIdle, 90*time.Second)
	duration(&l.Grace, 30*time.Second)
	count(&l.Attempts, 10)
	count(&l.Concurrency, 200)
	count(&l.HoldPerApp, 1000)
	count(&l.Hold, 4000)
	count(&l.KeepConns, 100)
	count(&l.HeaderBytes, 64<<10)
	count(&l.Connections, 10000)
	return l
}
