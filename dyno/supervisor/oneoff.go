package supervisor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"paas/api"
	"paas/dyno"
)

const (
	// rememberFor is how long Wait can be asked about a one-off that ended.
	rememberFor = time.Minute
	// longestLife is that of a one-off.
	longestLife = 24 * time.Hour
)

// Run implements dyno.Scheduler. If ctx ends before the dyno runs, it is
// stopped.
func (s *Supervisor) Run(ctx context.Context, o dyno.OneOff) (api.Dyno, error) {
	select {
	case <-s.adopted:
	case <-ctx.Done():
		return api.Dyno{}, context.Cause(ctx)
	}
	i, err := s.startOneOff(o)
	if err != nil {
		return api.Dyno{}, err
	}
	select {
	case <-i.launched:
	case <-ctx.Done():
		s.lock()
		i.retire(true)
		s.unlock()
		return api.Dyno{}, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i.startErr != nil {
		var user *api.Error
		if errors.As(i.startErr, &user) {
			return api.Dyno{}, user
		}
		return api.Dyno{}, api.Wrap(api.Unavailable, i.startErr, "The dyno could not be started. Try again; if that does not help, ask the operator of the platform.")
	}
	d := i.public().Dyno
	if d.State != api.Up { // it has ended already, which is for Wait to say
		d.State = api.Up
	}
	return d, nil
}

func (s *Supervisor) startOneOff(o dyno.OneOff) (*instance, error) {
	if o.Type == "" {
		o.Type = "run"
	}
	if o.TimeToLive <= 0 || o.TimeToLive > longestLife {
		o.TimeToLive = longestLife
	}
	s.lock()
	defer s.unlock()
	if !s.running() {
		return nil, errStopped()
	}
	a := s.app(o.AppID)
	if o.ID == "" {
		o.ID = uuid.NewString()
	}
	if o.Name == "" {
		name, err := a.freeName(o.Type)
		if err != nil {
			return nil, err
		}
		o.Name = name
	}
	if a.named(o.Name) || s.oneoffs[o.ID] != nil {
		return nil, api.Errorf(api.Conflict, "There is a dyno %s already.", o.Name)
	}
	now, port := time.Now(), s.takePort()
	i := newInstance(a, dyno.Spec{
		ID: o.ID, AppID: o.AppID, AppName: o.AppName, Name: o.Name, Type: o.Type, Release: o.Release.Version,
		OneOff: true, Image: o.Release.Image, Command: o.Command, Env: environment(o.Release.Env, o.ID, o.Name, port),
		Size: o.Size, Port: port, CreatedAt: now.UTC(), TimeToLive: o.TimeToLive,
	}, s.nextBorn(), now)
	i.streams, i.urgent = o.Streams, true
	a.dynos[o.ID], s.oneoffs[o.ID] = i, i
	s.runners.Go(func() { s.drive(i, phaseQueued) })
	s.notify()
	return i, nil
}

func (a *app) named(name string) bool {
	for _, i := range a.dynos {
		if i.spec.Name == name {
			return true
		}
	}
	return false
}

// freeName draws names like Heroku's, "run.4821".
func (a *app) freeName(typ string) (string, error) {
	const first, count = 1000, 9000
	for n, tries := rand.IntN(count), 0; tries < count; n, tries = n+1, tries+1 {
		if name := dynoName(typ, first+n%count); !a.named(name) {
			return name, nil
		}
	}
	return "", api.Errorf(api.Conflict, "The app has too many one-off dynos. Stop some.")
}

// Wait implements dyno.Scheduler.
func (s *Supervisor) Wait(ctx context.Context, dynoID string) (dyno.Exit, error) {
	s.mu.Lock()
	i := s.oneoffs[dynoID]
	s.mu.Unlock()
	if i == nil {
		return dyno.Exit{}, api.Missing("dyno")
	}
	for {
		s.mu.Lock()
		changed, stopped, exit := s.changed, s.stopped, i.exit
		s.mu.Unlock()
		select {
		case <-i.ended:
			return exit, nil
		default:
		}
		if stopped {
			return dyno.Exit{}, fmt.Errorf("cannot wait for dyno %s: %w", i.spec.Name, errStopped())
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return dyno.Exit{}, context.Cause(ctx)
		}
	}
}
