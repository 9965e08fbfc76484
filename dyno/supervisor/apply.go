package supervisor

import (
	"context"
	"fmt"
	"slices"

	"paas/api"
	"paas/dyno"
)

// errStopped is what callers get while paasd goes down.
func errStopped() error {
	return api.Errorf(api.Unavailable, "The platform is restarting. Try again in a moment.")
}

// Apply implements dyno.Scheduler.
func (s *Supervisor) Apply(ctx context.Context, m dyno.Manifest) error {
	for _, r := range []*dyno.Release{m.Current, m.Candidate} {
		if err := checkRelease(r); err != nil {
			return fmt.Errorf("cannot apply manifest of app %s: %w", m.AppName, err)
		}
	}
	s.lock()
	defer s.unlock()
	if s.stopped {
		return errStopped()
	}
	a := s.app(m.AppID)
	// A failure belongs to one rollout: a version that is a candidate anew
	// starts from nothing, and one that was made current regardless is treated
	// as any current release.
	if a.failure != nil {
		v := a.failure.version
		if anew := m.Candidate != nil && m.Candidate.Version == v && !a.isCandidate(v); anew || m.Current != nil && m.Current.Version == v {
			a.failure = nil
		}
	}
	a.manifest, a.removed = &m, false
	s.reconcile(a)
	s.notify()
	return nil
}

func checkRelease(r *dyno.Release) error {
	if r == nil {
		return nil
	}
	var seen []string
	for _, p := range r.Processes {
		if p.Type == "" || p.Quantity < 0 || p.Quantity > api.MaxQuantity || slices.Contains(seen, p.Type) {
			return fmt.Errorf("release v%d has a wrong process type %q at quantity %d", r.Version, p.Type, p.Quantity)
		}
		seen = append(seen, p.Type)
	}
	return nil
}

// Remove implements dyno.Scheduler.
func (s *Supervisor) Remove(ctx context.Context, appID string) error {
	s.lock()
	defer s.unlock()
	if s.stopped {
		return errStopped()
	}
	if a := s.apps[appID]; a != nil {
		s.remove(a)
	}
	return nil
}

// remove stops everything of an app. s.mu is held.
func (s *Supervisor) remove(a *app) {
	a.manifest, a.failure, a.removed = nil, nil, true
	for _, i := range a.dynos {
		if i.spec.OneOff {
			i.retire(true)
		}
	}
	s.reconcile(a)
	s.notify()
}

// Sweep stops the dynos of apps that have no manifest and that keep does not
// want: those of apps destroyed while paasd was down. It waits for adoption;
// call it once all manifests were applied.
func (s *Supervisor) Sweep(ctx context.Context, keep func(appID string) bool) error {
	select {
	case <-s.adopted:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	s.lock()
	defer s.unlock()
	if s.stopped {
		return errStopped()
	}
	for _, a := range s.apps {
		if a.manifest == nil && !a.removed && !keep(a.id) {
			s.remove(a)
		}
	}
	return nil
}

// Dynos implements dyno.Scheduler. While a dyno is being replaced, two have
// its name; the older comes first.
func (s *Supervisor) Dynos(appID string) []dyno.Instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.apps[appID]
	if a == nil {
		return nil
	}
	var list []*instance
	for _, i := range a.dynos {
		list = append(list, i)
	}
	sortByName(list)
	public := make([]dyno.Instance, len(list))
	for n, i := range list {
		public[n] = i.public()
	}
	return public
}

// Restart implements dyno.Scheduler. One-offs and dynos of a candidate are not
// restarted.
func (s *Supervisor) Restart(ctx context.Context, appID string, sel dyno.Selector) error {
	return s.each(appID, sel, func(a *app, i *instance) bool {
		switch {
		case i.spec.OneOff || a.isCandidate(i.spec.Release):
			return false
		case i.phase == phaseCrashed:
			s.startNow(i)
		case i.phase == phaseQueued || i.replace: // it is as new as can be, or about to be replaced
		default:
			s.replace(i, "Restarting")
		}
		return true
	})
}

// Stop implements dyno.Scheduler.
func (s *Supervisor) Stop(ctx context.Context, appID string, sel dyno.Selector) error {
	return s.each(appID, sel, func(a *app, i *instance) bool {
		switch {
		case i.phase == phaseCrashed:
			s.startNow(i)
		case i.spec.OneOff:
			i.retire(true)
		default:
			if i.phase == phaseUp {
				s.say(i, "State changed from up to starting")
			}
			i.retire(false)
		}
		return true
	})
}

// startNow has a crashed dyno started without further delay.
func (s *Supervisor) startNow(i *instance) { i.due, i.crashes = i.since, 0 }

// each calls act for the selected dynos, and reconciles.
func (s *Supervisor) each(appID string, sel dyno.Selector, act func(*app, *instance) bool) error {
	s.lock()
	defer s.unlock()
	if s.stopped {
		return errStopped()
	}
	a := s.apps[appID]
	if a == nil {
		return api.Missing("dyno")
	}
	matched := false
	for _, i := range a.selected(sel) {
		matched = act(a, i) || matched
	}
	if !matched {
		return api.Missing("dyno")
	}
	s.reconcile(a)
	s.notify()
	return nil
}

// Watch implements dyno.Scheduler.
func (s *Supervisor) Watch(ctx context.Context) <-chan struct{} {
	w := make(chan struct{}, 1)
	s.mu.Lock()
	s.watchers[w] = struct{}{}
	s.mu.Unlock()
	context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, w)
	})
	return w
}
