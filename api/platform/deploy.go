package platform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
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

// Deploy builds a source, releases the slug and returns when the release is
// current. On any error nothing has changed for those who use the app, and
// Output, if it has had anything, has had an explanation too.
func (p *Platform) Deploy(ctx context.Context, d Deploy) (api.Release, error) {
	id := newID()
	// It does not end with ctx: a dropped client must not leave a release
	// half-made.
	ctx, end := p.trackBuild(context.WithoutCancel(ctx), id, d.App.ID)
	defer end()
	build, output, err := p.beginBuild(ctx, id, d)
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

func (p *Platform) buildAndRelease(ctx context.Context, d Deploy, b api.Build) (api.Release, error) {
	built, watching := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watching)
		select {
		case <-d.Abandoned:
			p.cancelBuild(b.ID)
		case <-built:
		}
	}()
	s, config, err := p.build(ctx, d, b)
	close(built)
	<-watching
	// From here on it cannot be cancelled; and who has cancelled it before was
	// told that it is.
	p.mu.Lock()
	p.builds[b.ID].cancel = nil
	p.mu.Unlock()
	if ctx.Err() != nil {
		return api.Release{}, context.Cause(ctx) // what broke then, broke because of it
	}
	if err != nil {
		return api.Release{}, err
	}
	return p.release(context.WithoutCancel(ctx), d, b, s, config)
}

// build makes the slug and its record. The config vars are those that its
// buildpacks suggest for a new app.
func (p *Platform) build(ctx context.Context, d Deploy, b api.Build) (api.Slug, api.ConfigVars, error) {
	config, err := p.Config(ctx, d.App)
	if err != nil {
		return api.Slug{}, nil, p.explain(d, err)
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
		return result.Slug, result.Config, err
	}
	s := result.Slug
	s.ID, s.AppID, s.AuthorID, s.CreatedAt = newID(), d.App.ID, d.Who.Account.ID, p.Now()
	err = p.Store.Update(ctx, func(tx store.Tx) error { return tx.CreateSlug(s) })
	return s, result.Config, p.explain(d, fold(err, "app"))
}

// explain tells the pusher of an error that nobody else explains. Those that
// are not for users are endBuild's to tell.
func (p *Platform) explain(d Deploy, err error) error {
	if err != nil && api.IDOf(err) != api.Internal {
		fmt.Fprintf(d.Output, " !     %s\n", Reason(err))
	}
	return err
}

// release makes the release of a new slug and waits until it is current.
func (p *Platform) release(ctx context.Context, d Deploy, b api.Build, s api.Slug, suggested api.ConfigVars) (api.Release, error) {
	unlock, err := p.lockReleases(ctx, d.App.ID)
	if err != nil {
		return api.Release{}, p.explain(d, err)
	}
	started := p.Now()
	commit := d.Source.Revision().Commit
	r, err := p.createRelease(ctx, d.App.ID, d.Who, func(tx store.Tx, current api.Release) (releaseDraft, error) {
		config, err := latestConfig(tx, d.App.ID)
		if current.SlugID == "" {
			config = withSuggested(config, suggested)
		}
		return releaseDraft{slugID: s.ID, config: config, description: "Deploy " + short(commit, s.Digest)}, err
	})
	if err != nil {
		unlock()
		return api.Release{}, p.explain(d, err)
	}
	fmt.Fprint(d.Output, "-----> Launching...\n")
	var phase io.Writer
	if r.OutputID != "" {
		fmt.Fprint(d.Output, " !     Release command declared: this new release will not be available until the command succeeds.\nRunning release command...\n\n")
		phase = d.Output
	}
	p.event(d.App.ID, r.Description+" by user "+d.Who.Account.Email)
	b.SlugID, b.Buildpacks = s.ID, s.Buildpacks
	if err := <-p.rollOut(rollout{Release: r, build: &b, out: phase}, unlock); err != nil {
		p.explainRollout(ctx, d, r, started, err)
		return api.Release{}, err
	}
	if r.OutputID != "" {
		fmt.Fprint(d.Output, "\nWaiting for release.... done.\n")
	}
	p.event(d.App.ID, "Build succeeded")
	r.Status = api.Succeeded
	return r, nil
}

// explainRollout tells the pusher why a release did not come up, with the last
// lines its dynos printed.
func (p *Platform) explainRollout(ctx context.Context, d Deploy, r api.Release, since time.Time, err error) {
	if r.OutputID != "" {
		fmt.Fprint(d.Output, "\nWaiting for release.... failed.\n")
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

// withSuggested adds what is not set yet of the config vars that buildpacks of
// an older kind bring along, for an app's first release.
func withSuggested(config, suggested api.ConfigVars) api.ConfigVars {
	all := maps.Clone(suggested)
	maps.DeleteFunc(all, func(key, value string) bool {
		return api.CheckConfigKey(key) != nil || strings.ContainsRune(value, 0)
	})
	if all == nil {
		return config
	}
	maps.Copy(all, config)
	if all.Bytes() > api.MaxConfigBytes {
		return config
	}
	return all
}
