package platform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"paas/api"
	"paas/api/store"
	"paas/dyno"
)

// A rollout takes a pending release to its end:
//
//	pending -- release phase -- candidate up -- commit --> succeeded, current
//	   |             |               |
//	   '-------------+---------------'--> failed; the old release never noticed
//
// Commit is one transaction per release, never per dyno; before it everything
// can be undone by stopping the candidate's dynos, after it the old ones are
// only waiting to be drained.

// readyTimeout bounds the wait for a candidate's dynos. Each has 60 s to boot
// once it is started (R10); the rest is for waiting in the start queue.
const readyTimeout = 5 * time.Minute

// rollout is a release on its way.
type rollout struct {
	api.Release
	// build, when set, is what made the slug. It succeeds in the same
	// transaction in which the release becomes current.
	build *api.Build
	out   io.Writer // gets what the release phase prints; nil = nobody waits
}

// rollOut runs the rollout of r in the background and gives the release lock
// back when it has ended. The channel gets the outcome.
func (p *Platform) rollOut(r rollout, unlock func()) <-chan error {
	done := make(chan error, 1)
	p.background(func(ctx context.Context) {
		defer unlock()
		err := p.tryRollOut(ctx, r)
		if err != nil {
			err = p.failRelease(ctx, r.Release, err)
		}
		done <- err
	})
	return done
}

func (p *Platform) tryRollOut(ctx context.Context, r rollout) error {
	if r.OutputID != "" {
		if err := p.releasePhase(ctx, r.Release, r.out); err != nil {
			return err
		}
	}
	if r.SlugID != "" {
		if err := p.setCandidate(ctx, r.AppID, r.Version); err != nil {
			return err
		}
		readyCtx, cancel := context.WithTimeout(ctx, readyTimeout)
		defer cancel()
		if err := p.Scheduler.Ready(readyCtx, r.AppID, r.Version); err != nil {
			var rollout *dyno.RolloutError
			switch {
			case errors.As(err, &rollout):
				return &api.Error{ID: api.InvalidParams, Message: fmt.Sprintf("%s did not come up: %s", rollout.Dyno, rollout.Reason), Err: err}
			case errors.Is(err, context.DeadlineExceeded):
				return api.Errorf(api.Unavailable, "The new dynos were not up within %s. Is the machine overloaded? (paas doctor, paas ps)", readyTimeout)
			}
			return err
		}
	}
	return p.activate(ctx, r)
}

// activate is the commit point. The router shifts before the old dynos are
// told to stop, so at no time is there nowhere to send a request to.
func (p *Platform) activate(ctx context.Context, r rollout) error {
	now := p.Now()
	r.Status, r.UpdatedAt = api.Succeeded, now
	err := p.Store.Update(ctx, func(tx store.Tx) error {
		app, err := tx.App(r.AppID)
		if err != nil {
			return fold(err, "app")
		}
		app.Current, app.ReleasedAt, app.UpdatedAt = r.Version, now, now
		if err := tx.UpdateApp(app); err != nil {
			return err
		}
		if r.build != nil {
			b := *r.build
			b.Status, b.ReleaseID, b.UpdatedAt = api.Succeeded, r.ID, now
			if err := tx.UpdateBuild(b); err != nil {
				return err
			}
		}
		return tx.UpdateRelease(r.Release)
	})
	if err != nil {
		return err
	}
	p.event(r.AppID, fmt.Sprintf("Release v%d created by user %s", r.Version, r.AuthorEmail))
	// The release is current now; what follows only makes it so, and is
	// repeated by reconcile if it fails.
	if err := p.publish(ctx); err != nil {
		p.Log.Error("cannot publish routes", "err", err)
	}
	if err := p.setCandidate(ctx, r.AppID, 0); err != nil {
		p.Log.Error("cannot apply a new release", "app", r.AppID, "version", r.Version, "err", err)
	}
	return nil
}

// failRelease marks r as failed and stops what was started for it. It returns
// what to tell the user.
func (p *Platform) failRelease(ctx context.Context, r api.Release, cause error) error {
	if ctx.Err() != nil {
		return errStopping // the next start marks it, see recover
	}
	if err := p.setCandidate(ctx, r.AppID, 0); err != nil {
		p.Log.Error("cannot stop a failed release", "app", r.AppID, "version", r.Version, "err", err)
	}
	r.Status, r.UpdatedAt = api.Failed, p.Now()
	if err := p.Store.Update(ctx, func(tx store.Tx) error { return tx.UpdateRelease(r) }); err != nil {
		// It looks pending until the next start, and keeps nobody waiting.
		p.Log.Error("cannot record a failed release", "app", r.AppID, "version", r.Version, "err", err)
	}
	reason := "internal error"
	var known *api.Error
	if errors.As(cause, &known) {
		reason = known.Message
	}
	p.event(r.AppID, fmt.Sprintf("Release v%d failed: %s", r.Version, reason))
	if known == nil {
		p.Log.Error("cannot roll out a release", "app", r.AppID, "version", r.Version, "err", cause)
	}
	return cause
}

// releasePhaseLimit is Heroku's ("Release Phase").
const releasePhaseLimit = time.Hour

// releasePhase runs the release process of r as a one-off dyno.
func (p *Platform) releasePhase(ctx context.Context, r api.Release, out io.Writer) error {
	kept, err := p.Outputs.Create(r.OutputID)
	if err != nil {
		return err
	}
	defer kept.Close()
	app, release, err := p.load(ctx, r)
	if err != nil {
		return err
	}
	line, size := "", api.DynoSize{}
	for _, proc := range release.Processes {
		if proc.Type == api.ReleasePhase {
			line, size = proc.Command, proc.Size
		}
	}
	name := fmt.Sprintf("%s.%04d", api.ReleasePhase, 1000+r.Version%9000)
	lines := &lineWriter{emit: func(text string) {
		p.Logs.Write(app.ID, api.LogLine{Time: p.Now(), Source: api.SourceApp, Proc: name, Message: text})
	}}
	defer lines.Close()
	writers := []io.Writer{kept, lines}
	if out != nil {
		writers = append(writers, out)
	}
	d, err := p.Scheduler.Run(ctx, dyno.OneOff{
		Name: name, AppID: app.ID, AppName: app.Name, Type: api.ReleasePhase, Release: release, Command: line,
		Size: size, TimeToLive: releasePhaseLimit, Streams: &dyno.Streams{Stdout: io.MultiWriter(writers...)},
	})
	if err != nil {
		return err
	}
	exit, err := p.Scheduler.Wait(ctx, d.ID)
	switch {
	case err != nil:
		return err
	case exit.Err != nil:
		return api.Wrap(api.InvalidParams, exit.Err, "The release command was lost. Push again.")
	case exit.Status != 0:
		return api.Errorf(api.InvalidParams, "Release command failed with exit status %d", exit.Status)
	}
	return nil
}

// load reads everything a scheduler needs to know of a release.
func (p *Platform) load(ctx context.Context, r api.Release) (app api.App, release dyno.Release, err error) {
	err = p.Store.View(ctx, func(tx store.Tx) error {
		if app, err = tx.App(r.AppID); err != nil {
			return fold(err, "app")
		}
		release, err = p.schedulable(tx, app, r)
		return err
	})
	return app, release, err
}

// lastLines returns what an app's dyno printed since then, for a failed push.
func (p *Platform) lastLines(ctx context.Context, appID, dynoName string, since time.Time, n int) []string {
	s, err := p.Logs.Tail(ctx, appID, LogFilter{Lines: MaxLogLines, Dyno: dynoName}, false)
	if err != nil {
		return nil
	}
	defer s.Close()
	var lines []string
	for {
		_, l, err := s.Next(ctx)
		if err != nil {
			break
		}
		if !l.Time.Before(since) {
			lines = append(lines, l.String())
		}
	}
	return lines[max(0, len(lines)-n):]
}

// lineWriter cuts what is written into lines of at most api.MaxLogLine bytes.
type lineWriter struct {
	emit func(line string)
	mu   sync.Mutex
	rest []byte
}

func (w *lineWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest = append(w.rest, b...)
	for {
		i := bytes.IndexByte(w.rest, '\n')
		if i < 0 && len(w.rest) < api.MaxLogLine {
			return len(b), nil
		}
		if i < 0 || i > api.MaxLogLine {
			w.emit(string(w.rest[:api.MaxLogLine]))
			w.rest = w.rest[api.MaxLogLine:]
			continue
		}
		w.emit(string(bytes.TrimSuffix(w.rest[:i], []byte{'\r'})))
		w.rest = w.rest[i+1:]
	}
}

// Close emits an unfinished last line.
func (w *lineWriter) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.rest) > 0 {
		w.emit(string(w.rest))
		w.rest = nil
	}
}
