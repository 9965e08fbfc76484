package router

import "time"

// hold waits until there may be a target for the call, for as long as it may.
// snap is what was looked at, recovered was taken before that.
func (c *call) hold(snap *snapshot, recovered <-chan struct{}) code {
	if c.waiting == nil {
		if !c.startWaiting() {
			return h11
		}
	}
	now := time.Now()
	for _, t := range c.rt.targets {
		if t.health.down.Load() {
			t.urge(now)
		}
	}
	timer := time.NewTimer(time.Until(c.began.Add(c.r.limits.Route)))
	defer timer.Stop()
	select {
	case <-snap.superseded:
	case <-recovered:
	case <-timer.C:
		return c.noTarget()
	case <-c.req.Context().Done():
		return h27
	case <-c.r.stopping:
		return h24
	}
	return none
}

// noTarget says why a call got nowhere: the last refusal it met, or that there
// was nobody to refuse it.
func (c *call) noTarget() code {
	if c.lastDial != none {
		return c.lastDial
	}
	return h20
}

// startWaiting takes a place among those who wait, for the app and over all.
func (c *call) startWaiting() bool {
	held := c.rt.held
	if held.Add(1) > int64(c.r.limits.HoldPerApp) {
		held.Add(-1)
		return false
	}
	if c.r.heldAll.Add(1) > int64(c.r.limits.Hold) {
		c.r.heldAll.Add(-1)
		held.Add(-1)
		return false
	}
	c.waiting = held
	return true
}

func (c *call) stopWaiting() {
	if c.waiting != nil {
		c.r.heldAll.Add(-1)
		c.waiting.Add(-1)
		c.waiting = nil
	}
}
