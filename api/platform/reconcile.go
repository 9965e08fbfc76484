package platform

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"paas/api"
	"paas/api/store"
	"paas/dyno"
	"paas/router"
)

// recover makes the database consistent after a start: what was under way when
// paasd died has failed.
func (p *Platform) recover(ctx context.Context) error {
	now := p.Now()
	var builds []api.Build
	var releases []api.Release
	err := p.Store.Update(ctx, func(tx store.Tx) (err error) {
		if builds, err = tx.PendingBuilds(); err != nil {
			return err
		}
		for _, b := range builds {
			b.Status, b.Reason, b.UpdatedAt = api.Failed, "The platform was restarted during the build. Push again.", now
			if err := tx.UpdateBuild(b); err != nil {
				return err
			}
		}
		if releases, err = tx.PendingReleases(); err != nil {
			return err
		}
		for _, r := range releases {
			r.Status, r.UpdatedAt = api.Failed, now
			if err := tx.UpdateRelease(r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot recover: %w", err)
	}
	for _, b := range builds {
		p.event(b.AppID, "Build failed -- the platform was restarted")
	}
	for _, r := range releases {
		p.event(r.AppID, fmt.Sprintf("Release v%d failed: the platform was restarted", r.Version))
	}
	return nil
}

// reconcile tells the scheduler and the router everything again.
func (p *Platform) reconcile(ctx context.Context) error {
	var apps []api.App
	err := p.Store.View(ctx, func(tx store.Tx) (err error) {
		apps, err = tx.Apps()
		return err
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, app := range apps {
		if err := p.apply(ctx, app.ID); err != nil {
			errs = append(errs, fmt.Errorf("cannot apply %s: %w", app.Name, err))
		}
	}
	return errors.Join(append(errs, p.publish(ctx))...)
}

// apply tells the scheduler what should run of one app.
func (p *Platform) apply(ctx context.Context, appID string) error {
	s := p.state(appID)
	s.apply.Lock()
	defer s.apply.Unlock()
	return p.applyLocked(ctx, appID, s.candidate)
}

// setCandidate changes which release is rolled out beside the current one
// (0 = none) and applies it.
func (p *Platform) setCandidate(ctx context.Context, appID string, version int) error {
	s := p.state(appID)
	s.apply.Lock()
	defer s.apply.Unlock()
	s.candidate = version
	return p.applyLocked(ctx, appID, version)
}

func (p *Platform) applyLocked(ctx context.Context, appID string, candidate int) error {
	var m dyno.Manifest
	err := p.Store.View(ctx, func(tx store.Tx) error {
		app, err := tx.App(appID)
		if err != nil {
			return err
		}
		m = dyno.Manifest{AppID: app.ID, AppName: app.Name}
		if m.Current, err = p.wanted(tx, app, app.Current); err != nil {
			return err
		}
		if candidate != 0 && candidate != app.Current {
			m.Candidate, err = p.wanted(tx, app, candidate)
		}
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return p.Scheduler.Remove(ctx, appID) // destroyed meanwhile
	}
	if err != nil {
		return err
	}
	return p.Scheduler.Apply(ctx, m)
}

// wanted is what should run of a release; nil if it has no slug.
func (p *Platform) wanted(tx store.Tx, app api.App, version int) (*dyno.Release, error) {
	r, err := tx.ReleaseByVersion(app.ID, version)
	if err != nil || r.SlugID == "" {
		return nil, err
	}
	release, err := p.schedulable(tx, app, r)
	return &release, err
}

// schedulable turns a release into what a scheduler needs of it.
func (p *Platform) schedulable(tx store.Tx, app api.App, r api.Release) (dyno.Release, error) {
	s, err := tx.Slug(r.SlugID)
	if err != nil {
		return dyno.Release{}, fmt.Errorf("cannot find the slug of v%d: %w", r.Version, err)
	}
	config, err := tx.ReleaseConfig(r.ID)
	if err != nil {
		return dyno.Release{}, err
	}
	formation, err := tx.Formation(app.ID)
	if err != nil {
		return dyno.Release{}, err
	}
	out := dyno.Release{Version: r.Version, Image: s.Digest, Env: p.environment(app, r, s, config)}
	for _, pt := range s.Processes {
		proc := dyno.Process{Type: pt.Name, Command: pt.Command}
		size := api.DefaultDynoSize
		for _, f := range formation {
			if f.Type == pt.Name {
				size = f.Size
				if pt.Name != api.ReleasePhase {
					proc.Quantity = f.Quantity
				}
			}
		}
		if proc.Size, err = api.SizeNamed(size); err != nil {
			return dyno.Release{}, err
		}
		out.Processes = append(out.Processes, proc)
	}
	return out, nil
}

// environment adds to the config vars what Heroku's feature
// runtime-dyno-metadata does (Dev Center: "Dyno Metadata"). A config var of
// the same name wins, as there. Descriptions are cut: no program can be started
// with a variable of more than 128 kB.
func (p *Platform) environment(app api.App, r api.Release, s api.Slug, config api.ConfigVars) api.ConfigVars {
	env := api.ConfigVars{
		"HEROKU_APP_ID":                  app.ID,
		"HEROKU_APP_NAME":                app.Name,
		"HEROKU_APP_DEFAULT_DOMAIN_NAME": p.Host(app),
		"HEROKU_RELEASE_CREATED_AT":      r.CreatedAt.UTC().Format(time.RFC3339),
		"HEROKU_RELEASE_VERSION":         fmt.Sprintf("v%d", r.Version),
		"HEROKU_SLUG_COMMIT":             s.Commit,
		"HEROKU_SLUG_DESCRIPTION":        r.Description[:min(len(r.Description), maxDescription)],
		"HEROKU_BUILD_COMMIT":            s.Commit,
		"HEROKU_BUILD_DESCRIPTION":       s.CommitDescription[:min(len(s.CommitDescription), maxDescription)],
	}
	maps.Copy(env, config)
	return env
}

// Host is the app's own host name.
func (p *Platform) Host(app api.App) string { return app.Name + "." + p.Domain }

// publish computes the routing table from the database and the running dynos
// and gives it to the router. Concurrent calls take turns, so an older table
// never replaces a newer one.
func (p *Platform) publish(ctx context.Context) error {
	p.publishing.Lock()
	defer p.publishing.Unlock()
	table := &router.Table{Hosts: map[string]*router.Route{}}
	err := p.Store.View(ctx, func(tx store.Tx) error {
		apps, err := tx.Apps()
		if err != nil {
			return err
		}
		for _, app := range apps {
			route, err := p.route(tx, app)
			if err != nil {
				return fmt.Errorf("cannot route to %s: %w", app.Name, err)
			}
			table.Hosts[p.Host(app)] = route
		}
		return nil
	})
	if err != nil {
		return err
	}
	p.Router.Publish(table)
	return nil
}

func (p *Platform) route(tx store.Tx, app api.App) (*router.Route, error) {
	route := &router.Route{AppID: app.ID, AppName: app.Name}
	r, err := tx.ReleaseByVersion(app.ID, app.Current)
	if err != nil {
		return nil, err
	}
	wanted := 0
	if r.SlugID != "" {
		s, err := tx.Slug(r.SlugID)
		if err != nil {
			return nil, err
		}
		formation, err := tx.Formation(app.ID)
		if err != nil {
			return nil, err
		}
		if _, has := command(s, api.Web); has {
			wanted = quantity(formation, api.Web)
		}
	}
	crashed := 0
	for _, d := range p.Scheduler.Dynos(app.ID) {
		if d.Type != api.Web || d.Release != app.Current || d.Retired {
			continue
		}
		switch d.State {
		case api.Up:
			route.Targets = append(route.Targets, router.Target{DynoID: d.ID, Name: d.Name, Addr: d.Addr})
		case api.Crashed:
			crashed++
		}
	}
	switch {
	case app.Maintenance:
		route.State = router.InMaintenance
	case r.SlugID == "":
		route.State = router.Blank
	case wanted == 0:
		route.State = router.NoWeb
	case len(route.Targets) == 0 && crashed >= wanted:
		route.State = router.CrashedApp
	default:
		route.State = router.Serving
	}
	return route, nil
}

func quantity(formation []api.Formation, processType string) int {
	for _, f := range formation {
		if f.Type == processType {
			return f.Quantity
		}
	}
	return 0
}

// collect frees the bytes of slugs that no release and no slug record names.
func (p *Platform) collect(ctx context.Context) {
	var live []string
	err := p.Store.View(ctx, func(tx store.Tx) (err error) {
		live, err = tx.SlugDigests()
		return err
	})
	if err == nil {
		var freed int64
		if freed, err = p.Slugs.Collect(ctx, live); freed > 0 {
			p.Log.Info("collected slugs", "bytes", freed)
		}
	}
	if err != nil && ctx.Err() == nil {
		p.Log.Error("cannot collect slugs", "err", err)
	}
}
