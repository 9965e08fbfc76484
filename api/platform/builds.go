package platform

import (
	"context"
	"errors"
	"fmt"
	"time"

	"paas/api"
	"paas/api/store"
)

// errBuildCancelled is the cause of a build's end when somebody cancelled it.
var errBuildCancelled = api.Errorf(api.Conflict, "Build cancelled.")

// runningBuild is a build that has not ended.
type runningBuild struct {
	appID string
	// cancel is nil once the build is being released, which cannot be
	// cancelled. Guarded by Platform.mu.
	cancel context.CancelCauseFunc
	ended  chan struct{}
}

// trackBuild makes it known that a build runs, until end is called. The
// returned context ends when the build is cancelled, or the platform stops.
func (p *Platform) trackBuild(ctx context.Context, id, appID string) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(p.ctx, func() { cancel(errStopping) })
	if p.ctx.Err() != nil {
		cancel(errStopping) // now, not soon
	}
	b := &runningBuild{appID: appID, cancel: cancel, ended: make(chan struct{})}
	p.mu.Lock()
	p.builds[id] = b
	p.mu.Unlock()
	return ctx, func() {
		p.mu.Lock()
		delete(p.builds, id)
		p.mu.Unlock()
		stop()
		cancel(nil)
		close(b.ended)
	}
}

// beginBuild takes the lock of the app's deploys: its one pending build.
func (p *Platform) beginBuild(ctx context.Context, id string, d Deploy) (api.Build, *Output, error) {
	if ctx.Err() != nil {
		return api.Build{}, nil, context.Cause(ctx)
	}
	now := p.Now()
	rev := d.Source.Revision()
	b := api.Build{
		ID: id, AppID: d.App.ID, Status: api.Pending, Commit: rev.Commit, Stack: d.App.Stack,
		Buildpacks: d.App.Buildpacks, AuthorID: d.Who.Account.ID, AuthorEmail: d.Who.Account.Email, CreatedAt: now, UpdatedAt: now,
	}
	output, err := p.Outputs.Create(b.ID)
	if err != nil {
		return api.Build{}, nil, err
	}
	err = p.Store.Update(ctx, func(tx store.Tx) error { return tx.CreateBuild(b) })
	if err != nil {
		output.Close()
		if derr := p.Outputs.Delete(b.ID); derr != nil {
			p.Log.Error("cannot delete an output", "err", derr)
		}
		if conflicts(err, store.RulePendingBuild) {
			return api.Build{}, nil, api.Errorf(api.Conflict, "Another build of %s is in progress. Wait for it, or cancel it: paas builds:cancel -a %s", d.App.Name, d.App.Name)
		}
		return api.Build{}, nil, fold(err, "app")
	}
	p.event(d.App.ID, "Build started by user "+d.Who.Account.Email)
	return b, output, nil
}

// endBuild records a failure.
func (p *Platform) endBuild(d Deploy, b api.Build, cause error) {
	b.Status, b.Reason, b.UpdatedAt = api.Failed, Reason(cause), p.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := p.Store.Update(ctx, func(tx store.Tx) error { return tx.UpdateBuild(b) })
	if err != nil && !errors.Is(err, store.ErrNotFound) { // not found: the app was destroyed
		// The record is left pending; CancelBuild mends that.
		p.Log.Error("cannot record a failed build", "app", d.App.Name, "build", b.ID, "err", err)
	}
	if api.IDOf(cause) == api.Internal {
		p.Log.Error("build failed", "app", d.App.Name, "build", b.ID, "err", cause)
		fmt.Fprintf(d.Output, " !     Internal error (build %s). Nothing has changed; push again, or tell your operator.\n", b.ID)
	}
	p.event(d.App.ID, "Build failed -- check your build output: paas builds:output "+b.ID)
	fmt.Fprintf(d.Output, "\nVerifying deploy...\n\n!\tPush rejected to %s.\n", d.App.Name)
}

// Reason is what a user may know of an error, in one line.
func Reason(err error) string {
	var known *api.Error
	if errors.As(err, &known) {
		return known.Message
	}
	return "Internal error"
}

// Builds lists an app's builds, newest first.
func (p *Platform) Builds(ctx context.Context, app api.App, limit int) (list []api.Build, err error) {
	err = p.Store.View(ctx, func(tx store.Tx) error {
		list, err = tx.Builds(app.ID, limit)
		return err
	})
	return list, err
}

// Build finds a build of app by id.
func (p *Platform) Build(ctx context.Context, app api.App, id string) (b api.Build, err error) {
	err = p.Store.View(ctx, func(tx store.Tx) error {
		if b, err = tx.Build(id); err == nil && b.AppID != app.ID {
			err = store.ErrNotFound
		}
		return err
	})
	return b, fold(err, "build")
}

// CancelBuild cancels a build that still runs; once its release is being
// rolled out it is too late. A record that was left pending, because its end
// could not be stored, is ended here.
func (p *Platform) CancelBuild(ctx context.Context, app api.App, id string) (api.Build, error) {
	b, err := p.Build(ctx, app, id)
	if err != nil {
		return b, err
	}
	switch running, cancelled := p.cancelBuild(id); {
	case cancelled:
		return b, nil
	case running || b.Status != api.Pending:
		return b, api.Errorf(api.Conflict, "Build %s cannot be cancelled: it %s.", id, buildWord(b.Status))
	}
	err = p.Store.Update(ctx, func(tx store.Tx) (err error) {
		// It may have ended since it was read.
		if b, err = tx.Build(id); err != nil || b.Status != api.Pending {
			return err
		}
		b.Status, b.Reason, b.UpdatedAt = api.Failed, errBuildCancelled.Message, p.Now()
		return tx.UpdateBuild(b)
	})
	return b, fold(err, "build")
}

func (p *Platform) cancelBuild(id string) (running, cancelled bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, running := p.builds[id]
	if !running || b.cancel == nil {
		return running, false
	}
	b.cancel(errBuildCancelled)
	return true, true
}

func buildWord(s api.Status) string {
	switch s {
	case api.Pending:
		return "is being released already"
	case api.Succeeded:
		return "has succeeded"
	}
	return "has failed"
}

// endBuilds cancels the builds of an app and waits until they have ended.
func (p *Platform) endBuilds(ctx context.Context, appID string) {
	var ended []chan struct{}
	p.mu.Lock()
	for _, b := range p.builds {
		if b.appID != appID {
			continue
		}
		if b.cancel != nil {
			b.cancel(errBuildCancelled)
		}
		ended = append(ended, b.ended)
	}
	p.mu.Unlock()
	for _, e := range ended {
		select {
		case <-e:
		case <-ctx.Done():
			return
		}
	}
}

// PurgeBuildCache drops what builds of the app have cached.
func (p *Platform) PurgeBuildCache(ctx context.Context, app api.App) error {
	return p.Builder.PurgeCache(ctx, app.ID)
}
