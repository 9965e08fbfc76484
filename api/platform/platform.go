// Package platform holds the use cases: the only code that changes state.
//
// # Design
//
// A use case checks its input, changes the database in one transaction and
// then tells the engines. The database is the truth: what the scheduler and
// the router are told is computed from it, again and again, by reconcile.go,
// so a lost call heals with the next one and a restart loses nothing.
//
// The engines are interfaces here (slug.Builder, slug.Store, dyno.Scheduler,
// Publisher ...) and meet their implementations in cmd/internal/daemon alone.
//
// One struct holds all dependencies and each noun has a file. Whoever calls a
// method that takes an api.App has got it from Find, which is where access is
// decided; the methods themselves do not check it again.
//
// # Releases
//
// A release is created under its app's release lock, which is kept until the
// release is current or has failed; so releases of one app take effect in the
// order of their versions, and none is built on another that may yet fail
// (rollout.go).
package platform

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"paas/api"
	"paas/api/auth"
	"paas/api/store"
	"paas/dyno"
	"paas/router"
	"paas/slug"
)

// Publisher takes the router's table. router.Router implements it.
type Publisher interface{ Publish(*router.Table) }

// Repositories are the git repositories, one per app.
type Repositories interface {
	Delete(appID string) error
	// Size in bytes on disk, 0 if there is none.
	Size(appID string) int64
}

// Options is everything a Platform needs. All fields but Settled are required.
type Options struct {
	Store     store.Store
	Auth      *auth.Authenticator
	Builder   slug.Builder
	Slugs     slug.Store
	Scheduler dyno.Scheduler
	Router    Publisher
	Logs      Logs
	Repos     Repositories
	Outputs   *Outputs
	Log       *slog.Logger
	Now       func() time.Time
	// Domain under which apps answer: NAME.<Domain>.
	Domain string
	// WebURL and GitURL make what users see of an app's addresses.
	WebURL func(appName string) string
	GitURL func(appName string) string
	// Stacks are the names a new app may choose from; the first is the default.
	Stacks []string
	// Settled is called once after a start when every app's manifest has been
	// applied: what else runs belongs to nobody.
	Settled func()
}

// Platform is the set of use cases. Its methods may be called concurrently
// once Run has been started.
type Platform struct {
	Options

	ctx    context.Context // ends with Run; background work of requests uses it
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	apps     map[string]*appState
	builds   map[string]*runningBuild // by id
	stopping bool                     // nothing more is begun in the background

	started    bool // Start was called
	publishing sync.Mutex
	attachments
	logSessions
}

// New makes a Platform; nothing runs until Run.
func New(o Options) *Platform {
	p := &Platform{Options: o, apps: map[string]*appState{}, builds: map[string]*runningBuild{}}
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	p.attachments.init()
	p.logSessions.init()
	return p
}

var errStopping = api.Errorf(api.Unavailable, "The platform is being restarted. Push again.")

// reconcileEvery is the period of the full pass that heals whatever a lost
// call or a bug has left behind. It is a safety net: everything that matters
// happens on events.
const reconcileEvery = 10 * time.Minute

// Run recovers from whatever the last run left behind, keeps the engines in
// step with the database until ctx ends, and returns when all work in the
// background has ended. Dynos keep running.
func (p *Platform) Run(ctx context.Context) error {
	defer func() {
		p.mu.Lock()
		p.stopping = true
		p.mu.Unlock()
		p.cancel(errStopping)
		p.wg.Wait()
	}()
	// Before the first table with dynos in it is made: what changes meanwhile
	// makes another one.
	dynos := p.Scheduler.Watch(ctx)
	if !p.started {
		if err := p.Start(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
	// One app that cannot be applied must not keep the others down; it is
	// tried again with the next full pass.
	if err := p.reconcile(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		p.Log.Error("cannot reconcile", "err", err)
	}
	if p.Settled != nil {
		p.Settled()
	}
	tick := time.NewTicker(reconcileEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-dynos:
			if err := p.publish(ctx); err != nil {
				p.Log.Error("cannot publish routes", "err", err)
			}
		case <-tick.C:
			if err := p.reconcile(ctx); err != nil {
				p.Log.Error("cannot reconcile", "err", err)
			}
			p.collect(ctx)
		}
	}
}

// Start fails what was under way when the last run ended and makes the first
// routing table, without waiting for anything: a router that listens already
// then holds requests instead of refusing them. It is called before any other
// use case, which could else be taken for a leftover; Run makes up for it.
func (p *Platform) Start(ctx context.Context) error {
	p.started = true
	if err := p.recover(ctx); err != nil {
		return err
	}
	return p.publish(ctx)
}

// background runs fn until it returns or the platform stops. If it has stopped
// already, fn is called all the same, with a context that has ended.
func (p *Platform) background(fn func(ctx context.Context)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopping {
		go fn(p.ctx)
		return
	}
	p.wg.Go(func() { fn(p.ctx) })
}

// afterCommit is the context for what has to follow a change in the database:
// a client that leaves at that moment must not leave it half in effect.
func afterCommit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
}

// appState is what is held in memory about one app; none of it matters after
// a restart.
type appState struct {
	// release is the release lock: a semaphore of one, so that waiting can be
	// bounded.
	release chan struct{}
	// apply keeps two reconciliations of one app from overtaking each other.
	apply sync.Mutex
	// candidate is the version being rolled out, 0 = none. Guarded by apply.
	candidate int
}

func (p *Platform) state(appID string) *appState {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.apps[appID]
	if !ok {
		s = &appState{release: make(chan struct{}, 1)}
		p.apps[appID] = s
	}
	return s
}
