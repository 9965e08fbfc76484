package platform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"paas/api"
	"paas/api/auth"
	"paas/api/store"
	"paas/dyno"
	"paas/slug"
)

// Deploy is a source to be built and released.
type Deploy struct {
	Who    auth.Principal
	App    api.App
	Source slug.Source
	// Output gets what the pusher sees, live. Writes to it never fail and
	// never block for long.
	Output io.Writer
	// Abandoned is closed when the pusher has gone (Ctrl-C, a broken
	// connection): a build under way is cancelled then, a release that is being
	// rolled out goes on. nil = never.
	Abandoned <-chan struct{}
}

// errBuildCancelled is the cause of a build's end when somebody cancelled it.
var errBuildCancelled = api.Errorf(api.Conflict, "Build cancelled.")

// Deploy builds a source, releases the slug and returns when the release is
// current. On any error nothing has changed for those who use the app, and
// Output has had an explanation.
func (p *Platform) Deploy(ctx context.Context, d Deploy) (api.Release, error) {
	build, output, err := p.beginBuild(ctx, d)
	if err != nil {
		return api.Release{}, err
	}
	defer output.Close()
	d.Output = io.MultiWriter(output, d.Output)
	r, err := p.buildAndRelease(ctx, d, build)
	if err != nil {
		p.endBuild(d, build, err)
		return api.Release{}, err
	}
	fmt.Fprintf(d.Output, "       Released v%d\n       %s deployed to Heroku\n\nVerifying deploy... done.\n", r.Version, p.WebURL(d.App.Name))
	return r, nil
}

// beginBuild takes the lock of the app's deploys: its one pending build.
func (p *Platform) beginBuild(ctx context.Context, d Deploy) (api.Build, *Output, error) {
	now := p.Now()
	rev := d.Source.Revision()
	b := api.Build{
		ID: newID(), AppID: d.App.ID, Status: api.Pending, Commit: rev.Commit, Stack: d.App.Stack,
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
		return api.Build{}, nil, err
	}
	p.event(d.App.ID, "Build started by user "+d.Who.Account.Email)
	return b, output, nil
}

// buildAndRelease does not end with ctx: a dropped client must not leave a
// release half-made.
func (p *Platform) buildAndRelease(ctx context.Context, d Deploy, b api.Build) (api.Release, error) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	p.mu.Lock()
	p.builds[b.ID] = cancel
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.builds, b.ID)
		p.mu.Unlock()
	}()
	stop := context.AfterFunc(p.ctx, func() { cancel(errStopping) })
	defer stop()
	built := make(chan struct{})
	go func() {
		select {
		case <-d.Abandoned:
			cancel(errBuildCancelled)
		case <-built:
		}
	}()
	s, err := p.build(ctx, d, b)
	close(built)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx) // what broke then, broke because of it
		}
		return api.Release{}, err
	}
	p.mu.Lock()
	delete(p.builds, b.ID) // from here on it cannot be cancelled
	p.mu.Unlock()
	return p.release(context.WithoutCancel(ctx), d, b, s)
}

// build makes the slug and its record.
func (p *Platform) build(ctx context.Context, d Deploy, b api.Build) (api.Slug, error) {
	config, err := p.Config(ctx, d.App)
	if err != nil {
		return api.Slug{}, err
	}
	result, err := p.Builder.Build(ctx, slug.BuildRequest{
		BuildID: b.ID, AppID: d.App.ID, AppName: d.App.Name, Source: d.Source, Stack: d.App.Stack,
		Buildpacks: d.App.Buildpacks, Config: config, Output: d.Output,
		Reuse: func(key string) (s api.Slug, ok bool) {
			err := p.Store.View(ctx, func(tx store.Tx) (err error) {
				s, err = tx.SlugByKey(d.App.ID, key)
				return err
			})
			return s, err == nil
		},
	})
	if err != nil || result.Reused {
		return result.Slug, err
	}
	s := result.Slug
	s.ID, s.AppID, s.AuthorID, s.CreatedAt = newID(), d.App.ID, d.Who.Account.ID, p.Now()
	return s, p.Store.Update(ctx, func(tx store.Tx) error { return tx.CreateSlug(s) })
}

// release makes the release of a new slug and waits until it is current.
func (p *Platform) release(ctx context.Context, d Deploy, b api.Build, s api.Slug) (api.Release, error) {
	unlock, err := p.lockReleases(ctx, d.App.ID)
	if err != nil {
		return api.Release{}, err
	}
	started := p.Now()
	commit := d.Source.Revision().Commit
	r, err := p.createRelease(ctx, d.App.ID, d.Who, func(tx store.Tx, _ api.Release) (releaseDraft, error) {
		config, err := latestConfig(tx, d.App.ID)
		return releaseDraft{slugID: s.ID, config: config, description: "Deploy " + short(commit, s.Digest)}, err
	})
	if err != nil {
		unlock()
		return api.Release{}, err
	}
	fmt.Fprint(d.Output, "-----> Launching...\n")
	var phase io.Writer
	if r.OutputID != "" {
		fmt.Fprint(d.Output, " !     Release command declared: this new release will not be available until the command succeeds.\nRunning release command...\n\n")
		phase = d.Output
	}
	p.event(d.App.ID, r.Description+" by user "+d.Who.Account.Email)
	if err := <-p.rollOut(r, phase, unlock); err != nil {
		p.explainRollout(ctx, d, r, started, err)
		return api.Release{}, err
	}
	b.Status, b.SlugID, b.ReleaseID, b.Buildpacks, b.UpdatedAt = api.Succeeded, s.ID, r.ID, s.Buildpacks, p.Now()
	if err := p.Store.Update(ctx, func(tx store.Tx) error { return tx.UpdateBuild(b) }); err != nil {
		return api.Release{}, err
	}
	p.event(d.App.ID, "Build succeeded")
	r.Status = api.Succeeded
	return r, nil
}

// explainRollout tells the pusher why a release did not come up, with the last
// lines its dynos printed.
func (p *Platform) explainRollout(ctx context.Context, d Deploy, r api.Release, since time.Time, err error) {
	if r.OutputID != "" && api.IDOf(err) != api.Internal {
		fmt.Fprint(d.Output, "\n")
	}
	fmt.Fprintf(d.Output, " !     Release v%d failed: %s\n", r.Version, Reason(err))
	var rollout *dyno.RolloutError
	if errors.As(err, &rollout) {
		if lines := p.lastLines(ctx, d.App.ID, rollout.Dyno, since, 20); len(lines) > 0 {
			fmt.Fprintf(d.Output, " !     The last lines of %s:\n", rollout.Dyno)
			for _, l := range lines {
				fmt.Fprintf(d.Output, "       %s\n", l)
			}
		}
	}
	fmt.Fprint(d.Output, " !     The release before it is still current and was not touched. Mend the cause and push again.\n")
}

// endBuild records a failure.
func (p *Platform) endBuild(d Deploy, b api.Build, cause error) {
	b.Status, b.Reason, b.UpdatedAt = api.Failed, Reason(cause), p.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := p.Store.Update(ctx, func(tx store.Tx) error { return tx.UpdateBuild(b) }); err != nil {
		p.Log.Error("cannot record a failed build", "app", d.App.Name, "err", err)
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
	if errors.Is(err, errStopping) {
		return "The platform is being restarted. Push again."
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
// rolled out it is too late.
func (p *Platform) CancelBuild(ctx context.Context, app api.App, id string) (api.Build, error) {
	b, err := p.Build(ctx, app, id)
	if err != nil {
		return b, err
	}
	p.mu.Lock()
	cancel, running := p.builds[id]
	p.mu.Unlock()
	if !running {
		return b, api.Errorf(api.Conflict, "Build %s cannot be cancelled: it %s.", id, buildWord(b.Status))
	}
	cancel(errBuildCancelled)
	return b, nil
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

func (p *Platform) cancelBuilds(ctx context.Context, appID string) {
	builds, err := p.Builds(ctx, api.App{ID: appID}, 1)
	if err != nil || len(builds) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if cancel, ok := p.builds[builds[0].ID]; ok {
		cancel(errBuildCancelled)
	}
}

// PurgeBuildCache drops what builds of the app have cached.
func (p *Platform) PurgeBuildCache(ctx context.Context, app api.App) error {
	return p.Builder.PurgeCache(ctx, app.ID)
}
