package supervisor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"paas/api"
	"paas/dyno"
)

// R-codes that the supervisor gives, or has words for.
const (
	codeBoot     = "R10"
	codeExit     = "R12"
	codeMemory   = "R15"
	codeChecksum = "R17"
)

const (
	killAgain  = 5 * time.Second  // SIGKILL is sent again after
	killGiveUp = 30 * time.Second // and Delete has to do after
)

// drain lets a web dyno finish its requests.
func (r *runner) drain() phase {
	if r.i.spec.Type != api.Web || r.i.spec.OneOff || r.s.o.Drain == nil {
		return phaseStopping
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.s.o.DrainTimeout)
	defer cancel()
	drained := make(chan struct{})
	r.s.runners.Go(func() {
		defer close(drained)
		r.s.o.Drain(ctx, r.i.spec.ID)
	})
	select {
	case e := <-r.exits:
		return r.exited(e)
	case <-drained:
	case <-ctx.Done():
	}
	if r.ctx.Err() != nil {
		return phaseLeft
	}
	return phaseStopping
}

// terminate asks the dyno to end.
func (r *runner) terminate() phase {
	r.s.tell(r.i, "Stopping all processes with SIGTERM")
	r.signal(dyno.SIGTERM)
	timeout := time.NewTimer(r.s.o.StopTimeout)
	defer timeout.Stop()
	select {
	case e := <-r.exits:
		return r.exited(e)
	case <-timeout.C:
		r.code = codeExit
		r.s.tell(r.i, "Error R12 (Exit timeout) -> Process failed to exit within %s of SIGTERM", seconds(r.s.o.StopTimeout))
		return phaseKilling
	case <-r.ctx.Done():
		return phaseLeft
	}
}

// kill ends the dyno.
func (r *runner) kill() phase {
	word := "process"
	if r.code == codeExit {
		word = "remaining processes"
	}
	r.s.tell(r.i, "Stopping %s with SIGKILL", word)
	for range killGiveUp / killAgain {
		r.signal(dyno.SIGKILL)
		select {
		case e := <-r.exits:
			return r.exited(e)
		case <-time.After(killAgain):
		case <-r.ctx.Done():
			return phaseLeft
		}
	}
	return r.exited(dyno.Exit{Status: 137, At: time.Now()})
}

func (r *runner) signal(sig dyno.Signal) {
	if err := r.s.o.Runtime.Signal(r.ctx, r.i.spec.ID, sig); err != nil && r.ctx.Err() == nil {
		r.s.o.Logger.Warn("cannot signal a dyno", "app", r.i.spec.AppName, "dyno", r.i.spec.Name, "signal", int(sig), "err", err)
	}
}

// exited notes how a dyno ended, and says what that means for it.
func (r *runner) exited(e dyno.Exit) phase {
	s, i := r.s, r.i
	if r.code != "" {
		e.Code = r.code
	}
	s.lock()
	defer s.unlock()
	i.exit = e
	if e.Code == codeMemory {
		s.say(i, "Error R15 (Memory quota vastly exceeded)")
	}
	if e.Err != nil {
		s.o.Logger.Error("lost a dyno", "app", i.spec.AppName, "dyno", i.spec.Name, "err", e.Err)
		s.say(i, "Error R99 (Platform error) -> The dyno was lost")
	}
	s.say(i, "Process exited with status %d", e.Status)
	return r.ended(failureOf(i, e))
}

// notStarted is exited for a dyno that the runtime could not start.
func (r *runner) notStarted(err error) phase {
	s, i := r.s, r.i
	s.o.Logger.Error("cannot start a dyno", "app", i.spec.AppName, "dyno", i.spec.Name, "err", err)
	f := &dyno.RolloutError{Dyno: i.spec.Name, Reason: "The platform could not start it. Try again; if that does not help, ask its operator."}
	var image *dyno.ImageError
	var user *api.Error
	line := "Error R99 (Platform error) -> Failed to start the dyno"
	switch {
	case errors.As(err, &image):
		f.Code, f.Reason = codeChecksum, "Checksum error: the slug is damaged. Deploy again."
		line = "Error R17 (Checksum error) -> Slug " + image.Image + " does not match its checksum"
	case errors.As(err, &user):
		f.Reason = user.Message
		line = "Error R99 (Platform error) -> " + user.Message
	}
	s.lock()
	defer s.unlock()
	i.exit = dyno.Exit{Status: -1, At: time.Now(), Code: f.Code, Err: err}
	i.startErr = err
	s.say(i, "%s", line)
	return r.ended(f)
}

// ended decides between crashed and gone. s.mu is held.
func (r *runner) ended(f *dyno.RolloutError) phase {
	s, i := r.s, r.i
	from := "starting"
	if !i.upAt.IsZero() {
		from = "up"
	}
	switch {
	case i.spec.OneOff:
		s.say(i, "State changed from %s to complete", from)
		return phaseGone
	case i.retired:
		if i.down {
			s.say(i, "State changed from %s to down", from)
		}
		return phaseGone
	}
	if !i.replace { // else its state is that of the dyno that replaces it
		s.say(i, "State changed from %s to crashed", from)
	}
	i.crashedWith(f, time.Now())
	if i.app.isCandidate(i.spec.Release) && !i.app.failed() {
		i.app.failure = &failure{i.spec.Release, f}
	}
	return phaseCrashed
}

// failureOf says in a user's words why a dyno did not come up, or stay up.
func failureOf(i *instance, e dyno.Exit) *dyno.RolloutError {
	f := &dyno.RolloutError{Dyno: i.spec.Name, Code: e.Code}
	web := i.spec.Type == api.Web
	switch {
	case e.Code == codeBoot:
		f.Reason = "Boot timeout: the web process did not listen on $PORT in time. It has to listen on 0.0.0.0, not on localhost."
	case e.Code == codeMemory:
		f.Reason = fmt.Sprintf("Memory quota vastly exceeded: the process needs more than a %s dyno has.", i.spec.Size.Name)
	case e.Err != nil:
		f.Reason = "The platform lost it while it was booting. Try again."
	case web && i.upAt.IsZero():
		f.Code = "H10"
		f.Reason = fmt.Sprintf("Process exited with status %d before it listened on $PORT.", e.Status)
	default:
		if web {
			f.Code = "H10"
		}
		f.Reason = fmt.Sprintf("Process exited with status %d soon after it was started.", e.Status)
	}
	return f
}

// clean releases what the runtime holds for a dyno that ended.
func (r *runner) clean() {
	r.letGo()
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		err := r.s.o.Runtime.Delete(r.ctx, r.i.spec.ID)
		if err == nil {
			break
		}
		if r.ctx.Err() != nil {
			return
		}
		r.s.o.Logger.Warn("cannot delete a dyno", "app", r.i.spec.AppName, "dyno", r.i.spec.Name, "err", err)
		select {
		case <-time.After(pause):
		case <-r.ctx.Done():
			return
		}
	}
	r.s.lock()
	delete(r.s.ports, r.i.spec.Port)
	r.s.unlock()
}

// leave lets a dyno run on without paasd; an attached one has nobody to talk
// to then.
func (r *runner) leave() {
	if r.i.streams == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), killGiveUp)
	defer cancel()
	if err := r.s.o.Runtime.Delete(ctx, r.i.spec.ID); err != nil {
		r.s.o.Logger.Warn("cannot delete an attached dyno", "dyno", r.i.spec.Name, "err", err)
	}
}

// seconds writes a duration as Heroku's lines do: "60 seconds".
func seconds(d time.Duration) string {
	if d == time.Second {
		return "1 second"
	}
	return strings.TrimSuffix(fmt.Sprint(d.Seconds()), ".0") + " seconds"
}
