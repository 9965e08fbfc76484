package supervisor

import (
	"context"

	"paas/api"
	"paas/dyno"
)

// Ready implements dyno.Scheduler. The error is an *api.Error (Conflict) when
// the release is neither current nor candidate, or stops being either.
func (s *Supervisor) Ready(ctx context.Context, appID string, version int) error {
	for {
		s.mu.Lock()
		done, err := s.readiness(appID, version)
		changed := s.changed
		s.mu.Unlock()
		if done {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// readiness is Ready's answer, if there is one yet. s.mu is held.
func (s *Supervisor) readiness(appID string, version int) (done bool, err error) {
	a := s.apps[appID]
	if a != nil && a.failure != nil && a.failure.version == version {
		return true, a.failure.err
	}
	if s.stopped {
		return true, errStopped()
	}
	if a == nil || a.release(version) == nil {
		return true, api.Errorf(api.Conflict, "Release v%d is not being rolled out: another one took its place.", version)
	}
	release, candidate := a.release(version), a.isCandidate(version)
	up := true
	for _, process := range release.Processes {
		for n := 1; n <= process.Quantity; n++ {
			i := a.best(release, process, n)
			switch {
			case i == nil:
				up = false
			case i.phase == phaseCrashed && i.crashes > 1:
				return true, i.failure
			case i.phase != phaseUp || candidate && !i.settled:
				up = false
			}
		}
	}
	return up, nil
}

// best is the dyno that stands for a slot of a release, nil if there is none.
func (a *app) best(r *dyno.Release, process dyno.Process, n int) *instance {
	var best *instance
	var view have
	for _, i := range a.dynos {
		if i.spec.OneOff || i.retired || i.replace || i.spec.Type != process.Type || i.number != n {
			continue
		}
		h := i.have(0)
		if fits(&h, r, process) && (best == nil || better(&h, &view, r.Version)) {
			best, view = i, h
		}
	}
	return best
}
