package router

import (
	"math/rand/v2"
	"time"
)

// pick claims a target of the route: of two random ones that which has fewer
// requests in flight; if neither can be had, the least loaded of all. Without
// one, full says whether it is only that all are at their limit.
func (rt *route) pick(now time.Time) (t *target, full bool) {
	n := len(rt.targets)
	if n == 0 {
		return nil, false
	}
	first := rt.targets[0]
	if n > 1 {
		i := rand.IntN(n)
		j := rand.IntN(n - 1)
		if j >= i {
			j++
		}
		first = rt.targets[i]
		if other := rt.targets[j]; other.before(first) {
			first = other
		}
	}
	if !first.health.down.Load() && first.claim(rt.limit, now) == entered {
		return first, false
	}
	return rt.pickAny(now)
}

// before prefers healthy targets, then idle ones.
func (t *target) before(u *target) bool {
	if td, ud := t.health.down.Load(), u.health.down.Load(); td != ud {
		return ud
	}
	// A shut load is larger than any open one.
	return t.load.word.Load() < u.load.word.Load()
}

// pickAny looks at all targets. It repeats itself only when it lost a race for
// the last place on a target, so a few rounds are plenty.
func (rt *route) pickAny(now time.Time) (*target, bool) {
	full := false
	for range 4 {
		var best *target
		full = false
		for _, t := range rt.targets {
			switch load := t.load.word.Load(); {
			case t.health.down.Load() || load&shutBit != 0:
			case load >= rt.limit:
				full = true
			case best == nil || load < best.load.word.Load():
				best = t
			}
		}
		if best == nil {
			return nil, full
		}
		if best.claim(rt.limit, now) == entered {
			return best, false
		}
	}
	return nil, full
}
