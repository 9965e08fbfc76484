package supervisor

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"paas/api"
	"paas/dyno"
)

// Supervisor is a dyno.Scheduler. Make it with New, and run Supervise.
type Supervisor struct {
	o       Options
	adopted chan struct{} // closed when Recover's dynos are known
	poke    chan struct{} // capacity 1: look at the clock again
	starts  gate          // what nobody waits for
	urgent  gate
	runners sync.WaitGroup

	mu       sync.Mutex
	ctx      context.Context // of Supervise; nil before it has adopted
	stopped  bool            // Supervise has returned, or is about to
	apps     map[string]*app
	oneoffs  map[string]*instance // also those that ended a minute ago
	ports    map[int]bool
	lastPort int
	born     uint64
	changed  chan struct{} // closed and replaced at every change
	watchers map[chan struct{}]struct{}
	pending  []event

	// logMu is held while events are handed to Options.Log, so that they come
	// in the order in which they happened.
	logMu sync.Mutex
}

var _ dyno.Scheduler = (*Supervisor)(nil)

// New makes a Supervisor. Manifests may be applied before Supervise, but
// nothing is done until it has adopted what runs.
func New(o Options) *Supervisor {
	o = o.withDefaults()
	return &Supervisor{
		o: o, adopted: make(chan struct{}), poke: make(chan struct{}, 1),
		starts: make(gate, o.Starts), urgent: make(gate, o.Starts),
		apps: map[string]*app{}, oneoffs: map[string]*instance{}, ports: map[int]bool{},
		changed: make(chan struct{}), watchers: map[chan struct{}]struct{}{},
	}
}

// gate lets a bounded number pass at once.
type gate chan struct{}

// Supervise adopts what the runtime still runs and makes manifests so until ctx
// ends. Dynos are then left running, but for attached ones. It returns when all
// its goroutines have; an error means that the runtime could not be asked what
// runs. Call it once.
func (s *Supervisor) Supervise(ctx context.Context) error {
	found, err := s.recover(ctx)
	if err != nil {
		s.lock()
		s.stopped = true
		s.notify()
		s.unlock()
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("cannot adopt dynos: %w", err)
	}
	s.lock()
	s.ctx = ctx
	s.adopt(found)
	for _, a := range s.apps {
		s.reconcile(a)
	}
	close(s.adopted)
	s.notify()
	s.unlock()

	s.watchClock(ctx)

	s.lock()
	s.stopped = true
	s.notify()
	s.unlock()
	s.runners.Wait()
	s.flush()
	return nil
}

// Adopted is closed when the dynos that ran before Supervise are known.
func (s *Supervisor) Adopted() <-chan struct{} { return s.adopted }

// watchClock reconciles apps when their time has come, until ctx ends.
func (s *Supervisor) watchClock(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.poke:
		case <-timer.C:
		}
		s.lock()
		now, next := time.Now(), time.Time{}
		for _, a := range s.apps {
			if !a.wake.IsZero() && !a.wake.After(now) {
				s.reconcile(a)
			}
			next = earlier(next, a.wake)
		}
		for id, i := range s.oneoffs {
			if i.phase != phaseGone {
				continue
			}
			if forget := i.since.Add(rememberFor); forget.After(now) {
				next = earlier(next, forget)
				continue
			}
			delete(s.oneoffs, id)
		}
		s.unlock()
		if next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(next))
		}
	}
}

// earlier is the earlier of two times of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (s *Supervisor) lock() { s.mu.Lock() }

// unlock unlocks s.mu and hands over what was said meanwhile.
func (s *Supervisor) unlock() {
	said := len(s.pending) > 0
	s.mu.Unlock()
	if said {
		s.flush()
	}
}

// running reports whether dynos may be started and stopped.
func (s *Supervisor) running() bool { return s.ctx != nil && !s.stopped && s.ctx.Err() == nil }

// notify tells everybody who waits that something changed. s.mu is held.
func (s *Supervisor) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
	for w := range s.watchers {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

// app finds or makes an app. s.mu is held.
func (s *Supervisor) app(id string) *app {
	a := s.apps[id]
	if a == nil {
		a = &app{id: id, dynos: map[string]*instance{}}
		s.apps[id] = a
	}
	return a
}

// reconcile carries out what the plan says for one app. s.mu is held.
func (s *Supervisor) reconcile(a *app) {
	if !s.running() || a.manifest == nil && !a.removed {
		return
	}
	// Each round that marks dynos for replacement is followed by one that acts
	// on it; the plan of that one marks no more.
	for again := true; again; {
		again = false
		var view []have
		for _, i := range a.formation() {
			view = append(view, i.have(s.o.Cycle))
		}
		actions, wake := plan(want{a.current(), a.candidate(), a.failed()}, view, time.Now())
		for _, act := range actions {
			switch act.verb {
			case start:
				s.start(a, act)
			case retire:
				s.retire(a.dynos[act.id], act.down)
			case cycle:
				s.replace(a.dynos[act.id], "Cycling")
				again = true
			}
		}
		a.wake = wake
	}
	if a.removed && len(a.dynos) == 0 {
		delete(s.apps, a.id)
	}
	if !a.wake.IsZero() {
		s.lookAtClock()
	}
	s.notify()
}

// lookAtClock has watchClock find out anew when to wake.
func (s *Supervisor) lookAtClock() {
	select {
	case s.poke <- struct{}{}:
	default:
	}
}

// start makes a dyno of the formation and its runner. s.mu is held.
func (s *Supervisor) start(a *app, act action) {
	now := time.Now()
	id, name := uuid.NewString(), dynoName(act.process.Type, act.number)
	port := s.takePort()
	i := newInstance(a, dyno.Spec{
		ID: id, AppID: a.id, AppName: a.manifest.AppName, Name: name, Type: act.process.Type,
		Release: act.release.Version, Image: act.release.Image, Command: act.process.Command,
		Env: environment(act.release.Env, id, name, port), Size: act.process.Size, Port: port, CreatedAt: now.UTC(),
	}, s.nextBorn(), now)
	i.urgent = a.isCandidate(act.release.Version)
	if before := a.dynos[act.id]; before != nil {
		i.again, i.crashes = true, before.crashes
		delete(a.dynos, act.id)
	}
	a.dynos[id] = i
	s.runners.Go(func() { s.drive(i, phaseQueued) })
}

// retire takes a dyno out of service; its runner does the rest. s.mu is held.
func (s *Supervisor) retire(i *instance, down bool) {
	if i.phase == phaseCrashed { // nothing runs
		delete(i.app.dynos, i.spec.ID)
		if down {
			s.say(i, "State changed from crashed to down")
		}
		return
	}
	i.retire(down)
}

// replace has a dyno replaced by a new one beside it. s.mu is held.
func (s *Supervisor) replace(i *instance, word string) {
	i.replace = true
	if word != "" {
		s.say(i, "%s", word)
	}
	if i.phase == phaseUp {
		s.say(i, "State changed from up to starting")
	}
}

func (s *Supervisor) nextBorn() uint64 {
	s.born++
	return s.born
}

// environment is a dyno's, complete.
func environment(release api.ConfigVars, id, name string, port int) api.ConfigVars {
	env := make(api.ConfigVars, len(release)+3)
	for k, v := range release {
		env[k] = v
	}
	env["PORT"], env["DYNO"], env["HEROKU_DYNO_ID"] = strconv.Itoa(port), name, id
	return env
}

// takePort finds a port that no other dyno has; when there are more dynos than
// ports, two share one, which their network namespaces allow. s.mu is held.
func (s *Supervisor) takePort() int {
	for range s.o.Ports {
		port := s.o.FirstPort + s.lastPort
		s.lastPort = (s.lastPort + 1) % s.o.Ports
		if !s.ports[port] {
			s.ports[port] = true
			return port
		}
	}
	return s.o.FirstPort + s.lastPort
}
