package supervisor

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"paas/api"
	"paas/dyno"
)

// runner drives one dyno through its phases. Its fields are its goroutine's.
type runner struct {
	s     *Supervisor
	i     *instance
	ctx   context.Context // ends with Supervise, or with this runner
	held  gate            // where this dyno counts as booting; nil = nowhere
	exits chan dyno.Exit
	code  string // R-code by which the dyno is being ended
}

// drive is the goroutine of one dyno.
func (s *Supervisor) drive(i *instance, from phase) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	r := &runner{s: s, i: i, ctx: ctx, exits: make(chan dyno.Exit, 1)}
	defer r.letGo()
	if from == phaseBooting { // adopted
		r.await()
	}
	for p := from; ; r.enter(p) {
		switch p {
		case phaseQueued:
			p = r.queue()
		case phaseLaunching:
			p = r.launch()
		case phaseBooting:
			p = r.boot()
		case phaseUp:
			p = r.up()
		case phaseDraining:
			p = r.drain()
		case phaseStopping:
			p = r.terminate()
		case phaseKilling:
			p = r.kill()
		case phaseCrashed, phaseGone:
			r.clean()
			return
		case phaseLeft:
			r.leave()
			return
		default:
			s.o.Logger.Error("internal error: a dyno is in an unknown phase", "dyno", i.spec.ID, "phase", int(p))
			return
		}
	}
}

// enter makes a phase known. Leaving is none.
func (r *runner) enter(p phase) {
	if p == phaseLeft {
		return
	}
	s, i := r.s, r.i
	s.lock()
	defer s.unlock()
	before, now := i.state(), time.Now()
	i.phase = p
	switch p {
	case phaseLaunching:
		if i.again {
			s.say(i, "State changed from crashed to starting")
		}
		s.say(i, "Starting process with command `%s`", i.spec.Command)
	case phaseUp:
		i.settled = i.spec.Type == api.Web
		if !i.adopted {
			i.upAt = now
			s.say(i, "State changed from starting to up")
		}
		closeOnce(i.launched)
		r.letGo()
	case phaseCrashed:
		i.addr = netip.AddrPort{}
		closeOnce(i.launched)
		closeOnce(i.ended)
	case phaseGone:
		delete(i.app.dynos, i.spec.ID)
		closeOnce(i.launched)
		closeOnce(i.ended)
		if i.spec.OneOff {
			i.since = now
			s.lookAtClock() // to be forgotten in time
		}
	}
	if i.state() != before && !(p == phaseUp && i.adopted) {
		i.since = now
	}
	s.reconcile(i.app)
	s.notify()
}

// letGo ends that the dyno counts as booting.
func (r *runner) letGo() {
	if r.held != nil {
		<-r.held
		r.held = nil
	}
}

// queue waits until the dyno may be started.
func (r *runner) queue() phase {
	g := r.s.starts
	if r.i.urgent {
		g = r.s.urgent
	}
	select {
	case g <- struct{}{}:
		r.held = g
		return phaseLaunching
	case <-r.i.stop:
		return r.neverRan()
	case <-r.ctx.Done():
		return phaseLeft
	}
}

// neverRan ends a dyno that was retired before it ran.
func (r *runner) neverRan() phase {
	r.s.lock()
	defer r.s.unlock()
	r.i.startErr = api.Errorf(api.Conflict, "The dyno was stopped before it ran.")
	if r.i.down {
		r.s.say(r.i, "State changed from starting to down")
	}
	return phaseGone
}

// launch starts the dyno. What is not the app's fault is tried again for as
// long as a boot may take: a runtime that is itself just coming back must not
// fail a deploy.
func (r *runner) launch() phase {
	giveUp := time.Now().Add(r.s.o.BootTimeout)
	for pause := 250 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		h, err := r.start()
		if err == nil {
			r.s.lock()
			r.i.addr = h.Addr
			r.s.unlock()
			r.await()
			return phaseBooting
		}
		select {
		case <-r.ctx.Done():
			return phaseLeft
		case <-r.i.stop:
			return r.neverRan()
		default:
		}
		if !transient(err) || time.Now().Add(pause).After(giveUp) {
			return r.notStarted(err)
		}
		r.s.o.Logger.Warn("cannot start a dyno, trying again", "app", r.i.spec.AppName, "dyno", r.i.spec.Name, "err", err)
		select {
		case <-time.After(pause):
		case <-r.ctx.Done():
			return phaseLeft
		case <-r.i.stop:
			return r.neverRan()
		}
	}
}

// start is Runtime.Start, given up when the dyno is retired.
func (r *runner) start() (dyno.Handle, error) {
	ctx, cancel := context.WithTimeout(r.ctx, r.s.o.StartTimeout)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-r.i.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	h, err := r.s.o.Runtime.Start(ctx, r.i.spec, r.i.streams)
	cancel()
	<-watched
	return h, err
}

// transient reports whether a start that failed may succeed if tried again.
func transient(err error) bool {
	var image *dyno.ImageError
	var user *api.Error
	return !errors.As(err, &image) && !errors.As(err, &user)
}

// await has the dyno's exit come to r.exits.
func (r *runner) await() {
	r.s.runners.Go(func() {
		for failures := 0; ; failures++ {
			e, err := r.s.o.Runtime.Wait(r.ctx, r.i.spec.ID)
			switch {
			case r.ctx.Err() != nil:
				return
			case err == nil:
				r.exits <- e
				return
			case failures == waitFailures:
				r.exits <- dyno.Exit{Status: -1, At: time.Now(), Err: err}
				return
			}
			select {
			case <-time.After(time.Second):
			case <-r.ctx.Done():
				return
			}
		}
	})
}

// waitFailures is how often Runtime.Wait may fail, a second apart, before the
// dyno counts as lost.
const waitFailures = 30

// boot waits until a web dyno accepts connections; others are up at once.
func (r *runner) boot() phase {
	if r.i.spec.Type != api.Web || r.i.spec.OneOff {
		return phaseUp
	}
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	listening := r.probe(ctx)
	timeout := time.NewTimer(r.s.o.BootTimeout)
	defer timeout.Stop()
	hold := time.NewTimer(r.s.o.StartHold)
	defer hold.Stop()
	for {
		select {
		case <-listening:
			return phaseUp
		case e := <-r.exits:
			return r.exited(e)
		case <-r.i.stop:
			return phaseStopping
		case <-timeout.C:
			r.code = codeBoot
			r.s.tell(r.i, "Error R10 (Boot timeout) -> Web process failed to bind to $PORT within %s of launch", seconds(r.s.o.BootTimeout))
			return phaseKilling
		case <-hold.C:
			r.letGo()
		case <-r.ctx.Done():
			return phaseLeft
		}
	}
}

// probe closes the channel when the dyno accepts connections. It tries often
// at first: most of the time between a push and its answer is booting.
func (r *runner) probe(ctx context.Context) <-chan struct{} {
	listening, addr := make(chan struct{}), r.i.addr
	r.s.runners.Go(func() {
		for pause := 20 * time.Millisecond; ; pause = min(pause*3/2, 100*time.Millisecond) {
			once, cancel := context.WithTimeout(ctx, time.Second)
			err := r.s.o.Probe(once, addr)
			cancel()
			if err == nil {
				close(listening)
				return
			}
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return
			}
		}
	})
	return listening
}

// up waits for the end of a dyno that is up.
func (r *runner) up() phase {
	var settled, expired <-chan time.Time
	if !r.i.settled {
		t := time.NewTimer(r.s.o.Settle)
		defer t.Stop()
		settled = t.C
	}
	if r.i.spec.OneOff {
		t := time.NewTimer(time.Until(r.i.spec.CreatedAt.Add(r.i.spec.TimeToLive)))
		defer t.Stop()
		expired = t.C
	}
	for {
		select {
		case e := <-r.exits:
			return r.exited(e)
		case <-r.i.stop:
			return phaseDraining
		case <-settled:
			r.s.lock()
			r.i.settled = true
			r.s.notify()
			r.s.unlock()
		case <-expired:
			r.s.lock()
			r.i.retire(true)
			r.s.unlock()
			return phaseStopping
		case <-r.ctx.Done():
			return phaseLeft
		}
	}
}
