package router

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// target is one dyno for as long as the router knows it: through table swaps,
// and after it left the table until its last request is done.
type target struct {
	r     *Router
	id    string
	appID string
	name  string
	addr  netip.AddrPort

	// load counts requests in flight; it is shut while the dyno is not listed
	// or is drained.
	load gate

	// Guarded by Router.mu.
	listed  bool
	drained bool
	empty   chan struct{} // closed when a shut load becomes empty; nil = nobody waits

	health health

	ended atomic.Bool // its drain hit the deadline: no upgraded connections any more

	mu     sync.Mutex
	cut    bool       // nothing may be sent any more, claimed or not
	idle   []*backend // most recently used last
	reaper *time.Timer
}

// health is what is known of a dyno's willingness to accept connections.
//
//	      dial refused, or 2 failed probes
//	up ------------------------------------> down
//	   <------------------------------------
//	             2 good probes
//
// A probe is due every Limits.ProbeEvery while up and Limits.Quarantine/2 while
// down, so a dyno that refused is out for at least Limits.Quarantine.
type health struct {
	down     atomic.Bool
	wanted   atomic.Int64 // unix nanoseconds of the last request for it
	answered atomic.Int64 // and of the last first byte from it
	armed    atomic.Bool  // a probe is planned
	busy     atomic.Bool  // a probe is under way

	mu     sync.Mutex
	timer  *time.Timer
	streak int // results in a row that speak against the present state
	over   bool
}

// claim counts a request in.
func (t *target) claim(limit int64, now time.Time) entry {
	e := t.load.enter(limit)
	if e == entered {
		t.want(now)
	}
	return e
}

// release ends a claim.
func (t *target) release() {
	if t.load.leave() {
		t.r.emptied(t)
	}
}

func (t *target) isCut() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cut
}

func (t *target) setCut(cut bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cut = cut
}

// emptied is called by the last request that leaves a shut target.
func (r *Router) emptied(t *target) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.load.word.Load() != shutBit {
		return // listed again meanwhile
	}
	if t.empty != nil {
		close(t.empty)
		t.empty = nil
	}
	if !t.listed && r.targets[t.id] == t {
		r.forget(t)
	}
}

// forget drops a target without requests that is not listed. Router.mu is
// held.
func (r *Router) forget(t *target) {
	delete(r.targets, t.id)
	t.health.end()
	t.closeIdle()
}
