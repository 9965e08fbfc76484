package router

import "context"

// Drain takes a dyno out: from now on no request is sent to it, even if the
// table still lists it, until a later table no longer does. It returns nil when
// none is in flight there any more. When ctx ends first it closes the dyno's
// upgraded connections (WebSockets) towards both sides, keeps requests that
// were claimed but not sent from being sent, and returns ctx's error.
//
// Whoever ends a dyno MUST call Drain, if only with an ended context, before
// its address can be given to another dyno.
func (r *Router) Drain(ctx context.Context, dynoID string) error {
	r.mu.Lock()
	t := r.targets[dynoID]
	if t == nil {
		// Not published yet; remember it, a table that lists it may be on
		// its way.
		t = &target{r: r, id: dynoID}
		r.targets[dynoID] = t
	}
	t.drained = true
	t.load.shut()
	var empty chan struct{}
	if t.load.inside() > 0 {
		if t.empty == nil {
			t.empty = make(chan struct{})
		}
		empty = t.empty
	}
	r.mu.Unlock()

	t.health.end()
	t.closeIdle()
	if empty == nil {
		t.setCut(true)
		return nil
	}
	select {
	case <-empty:
		t.setCut(true)
		return nil
	case <-ctx.Done():
		t.setCut(true)
		t.ended.Store(true)
		r.tunnels.closeOf(t)
		return ctx.Err()
	}
}

// InFlight is how many requests, upgraded connections included, are on a dyno
// now.
func (r *Router) InFlight(dynoID string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.targets[dynoID]; t != nil {
		return int(t.load.inside())
	}
	return 0
}

// Held is how many requests of an app wait for a dyno now.
func (r *Router) Held(appID string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := r.held[appID]; n != nil {
		return int(n.Load())
	}
	return 0
}
