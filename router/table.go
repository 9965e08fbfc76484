package router

import "net/netip"

// Table is everything the router knows about apps at one time. It is
// immutable: build a new one and Publish it.
type Table struct {
	// Hosts maps a lower-case host name without port, or "*.example.com", to
	// its route. An exact host wins over a wildcard.
	Hosts map[string]*Route
}

// Route is one app as the router sees it. Several hosts may share one.
type Route struct {
	AppID   string
	AppName string
	State   RouteState
	// Targets are the web dynos that may get requests: up, not retired, of the
	// current release.
	Targets []Target
	// Concurrency bounds the requests in flight per target; 0 = 200.
	Concurrency int
}

// Target is one web dyno.
type Target struct {
	DynoID string // identity: connections and counters belong to it, never to Addr
	Name   string // "web.1", for the log
	Addr   netip.AddrPort
}

// RouteState says what an app without targets answers.
type RouteState int

const (
	// Serving: requests go to Targets; while there are none they wait for one
	// (a deploy, a restart, a boot), and fail with H20 after a bound.
	Serving RouteState = iota
	// NoWeb: no web dynos wanted, H14.
	NoWeb
	// CrashedApp: all web dynos have crashed and wait for a later restart, H10.
	CrashedApp
	// InMaintenance: H80, no request reaches a dyno.
	InMaintenance
	// Blank: nothing has been deployed yet, H81.
	Blank
)
