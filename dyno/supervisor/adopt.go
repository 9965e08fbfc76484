package supervisor

import (
	"cmp"
	"context"
	"slices"
	"time"

	"paas/dyno"
)

// recoverTries is how often a runtime that is itself just coming up is asked.
const recoverTries = 6

func (s *Supervisor) recover(ctx context.Context) (found []dyno.Recovered, err error) {
	for try, pause := 1, 250*time.Millisecond; ; try, pause = try+1, 2*pause {
		if found, err = s.o.Runtime.Recover(ctx); err == nil {
			return found, nil
		}
		if try == recoverTries || ctx.Err() != nil {
			return nil, err
		}
		s.o.Logger.Warn("cannot recover dynos, trying again", "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// adopt takes over dynos of an earlier run. Each begins as booting: the first
// probe, at once, tells whether it is up. A boot that had just begun gets its
// time anew; that is better than to judge one that may have been up for days.
// s.mu is held.
func (s *Supervisor) adopt(found []dyno.Recovered) {
	slices.SortFunc(found, func(a, b dyno.Recovered) int {
		return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.Spec.ID, b.Spec.ID))
	})
	for _, r := range found {
		a := s.app(r.Spec.AppID)
		i := newInstance(a, r.Spec, s.nextBorn(), r.Started)
		i.phase, i.addr, i.adopted = phaseBooting, r.Handle.Addr, true
		i.upAt = r.Started // which is nearer to the truth than now
		a.dynos[r.Spec.ID] = i
		s.ports[r.Spec.Port] = true
		if r.Spec.OneOff {
			s.oneoffs[r.Spec.ID] = i
		}
		s.runners.Go(func() { s.drive(i, phaseBooting) })
	}
}
