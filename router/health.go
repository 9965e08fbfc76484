package router

import (
	"context"
	"errors"
	"time"
)

const (
	// flips is how many results in a row change what is thought of a dyno.
	flips = 2
	// probeTimeout is for one probe; a dyno is on this host or next to it.
	probeTimeout = 2 * time.Second
	// attention is how long after its last request a dyno is worth probing.
	attention = 30 * time.Second
	// restPeriod is how often a dyno that is down and not asked for is probed.
	restPeriod = 30 * time.Second
)

// want notes that a request is there for the dyno, and sees to it that it is
// probed as long as there are such.
func (t *target) want(now time.Time) {
	h := &t.health
	h.wanted.Store(now.UnixNano())
	if !h.armed.Load() {
		t.arm(t.r.limits.ProbeEvery)
	}
}

// urge makes sure that a dyno that is down is probed soon: somebody waits for
// it.
func (t *target) urge(now time.Time) {
	h := &t.health
	last := h.wanted.Swap(now.UnixNano())
	if now.Sub(time.Unix(0, last)) > attention {
		t.arm(t.r.limits.Quarantine / flips)
	}
}

// arm plans the next probe.
func (t *target) arm(in time.Duration) {
	h := &t.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return
	}
	h.armed.Store(true)
	if h.timer == nil {
		h.timer = time.AfterFunc(in, t.probe)
	} else {
		h.timer.Reset(in)
	}
}

// end stops probing for good.
func (h *health) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = true
	if h.timer != nil {
		h.timer.Stop()
	}
}

// refused takes note of a failed dial of a request: the dyno is out at once.
func (t *target) refused() {
	h := &t.health
	h.mu.Lock()
	h.streak = 0
	h.down.Store(true)
	h.mu.Unlock()
	t.arm(t.r.limits.Quarantine / flips)
}

// probe runs when the timer fires, and plans the next one.
func (t *target) probe() {
	r, h := t.r, &t.health
	if !h.busy.CompareAndSwap(false, true) {
		return // the one under way plans the next
	}
	defer h.busy.Store(false)
	if r.background.enter(maxBackground) != entered {
		return // the router is ending
	}
	defer r.leaveBackground()
	now := time.Now()
	recently := func(at int64, d time.Duration) bool { return now.Sub(time.Unix(0, at)) < d }

	if t.load.isShut() || !h.down.Load() && !recently(h.wanted.Load(), attention) {
		h.armed.Store(false)
		// A request may have come between the two lines above.
		if !t.load.isShut() && recently(h.wanted.Load(), attention) && h.armed.CompareAndSwap(false, true) {
			t.arm(r.limits.ProbeEvery)
		}
		return
	}
	if !h.down.Load() && recently(h.answered.Load(), r.limits.ProbeEvery) {
		h.mu.Lock()
		h.streak = 0
		h.mu.Unlock()
	} else {
		ctx, cancel := context.WithTimeout(r.life, probeTimeout)
		conn, err := dialTCP(ctx, t.addr, probeTimeout)
		cancel()
		if err == nil {
			conn.Close()
		}
		if r.life.Err() != nil {
			return
		}
		if err == nil || !errors.Is(err, errLocal) {
			t.judge(err == nil)
		}
	}
	next := r.limits.ProbeEvery
	switch {
	case h.down.Load() && recently(h.wanted.Load(), attention):
		next = r.limits.Quarantine / flips
	case h.down.Load():
		next = restPeriod
	}
	t.arm(next)
}

// judge takes the result of a probe.
func (t *target) judge(good bool) {
	h := &t.health
	h.mu.Lock()
	if good != h.down.Load() {
		h.streak = 0 // confirms what is thought
		h.mu.Unlock()
		return
	}
	h.streak++
	flipped := h.streak >= flips
	if flipped {
		h.streak = 0
		h.down.Store(!good)
	}
	h.mu.Unlock()
	if flipped && good {
		t.r.recovered.wake()
	}
}
