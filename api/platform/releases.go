package platform

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"paas/api"
	"paas/api/auth"
	"paas/api/store"
)

// Releases lists an app's releases, newest first; limit 0 = all.
func (p *Platform) Releases(ctx context.Context, app api.App, limit int) (list []api.Release, err error) {
	err = p.Store.View(ctx, func(tx store.Tx) error {
		list, err = tx.Releases(app.ID, limit)
		return err
	})
	return list, err
}

// Release finds a release of app by id, "7" or "v7", or "current".
func (p *Platform) Release(ctx context.Context, app api.App, name string) (r api.Release, err error) {
	err = p.Store.View(ctx, func(tx store.Tx) error {
		r, err = findRelease(tx, app, name)
		return err
	})
	return r, fold(err, "release")
}

func findRelease(tx store.Tx, app api.App, name string) (api.Release, error) {
	if name == "current" {
		return tx.ReleaseByVersion(app.ID, app.Current)
	}
	if _, err := uuid.Parse(name); err == nil {
		r, err := tx.Release(name)
		if err == nil && r.AppID != app.ID {
			err = store.ErrNotFound
		}
		return r, err
	}
	v, err := strconv.Atoi(strings.TrimPrefix(name, "v"))
	if err != nil {
		return api.Release{}, store.ErrNotFound
	}
	return tx.ReleaseByVersion(app.ID, v)
}

// ReleaseConfig returns the config vars that a release froze.
func (p *Platform) ReleaseConfig(ctx context.Context, r api.Release) (config api.ConfigVars, err error) {
	err = p.Store.View(ctx, func(tx store.Tx) error {
		config, err = tx.ReleaseConfig(r.ID)
		return err
	})
	return config, err
}

// CanRollBack says whether a release can be rolled back to: it ran once.
func CanRollBack(r api.Release) bool { return r.SlugID != "" && r.Status == api.Succeeded }

// Rollback makes a new release with the slug and config of an older one and
// rolls it out in the background. name "" means the release before the
// current one that can be rolled back to.
func (p *Platform) Rollback(ctx context.Context, who auth.Principal, app api.App, name string) (api.Release, error) {
	unlock, err := p.lockReleases(ctx, app.ID)
	if err != nil {
		return api.Release{}, err
	}
	r, err := p.createRelease(ctx, app.ID, who, func(tx store.Tx, current api.Release) (releaseDraft, error) {
		var target api.Release
		var err error
		if name == "" {
			target, err = previousRelease(tx, current)
		} else {
			target, err = findRelease(tx, app, name)
		}
		if err != nil {
			return releaseDraft{}, fold(err, "release")
		}
		if !CanRollBack(target) {
			return releaseDraft{}, api.Errorf(api.InvalidParams, "Cannot roll back to v%d: it %s.", target.Version, whyNot(target))
		}
		config, err := tx.ReleaseConfig(target.ID)
		if err != nil {
			return releaseDraft{}, err
		}
		return releaseDraft{slugID: target.SlugID, config: config, description: fmt.Sprintf("Rollback to v%d", target.Version)}, nil
	})
	if err != nil {
		unlock()
		return api.Release{}, err
	}
	p.event(app.ID, r.Description+" by user "+who.Account.Email)
	p.rollOut(rollout{Release: r}, unlock)
	return r, nil
}

func previousRelease(tx store.Tx, current api.Release) (api.Release, error) {
	all, err := tx.Releases(current.AppID, 0)
	if err != nil {
		return api.Release{}, err
	}
	for _, r := range all {
		if r.Version < current.Version && CanRollBack(r) {
			return r, nil
		}
	}
	return api.Release{}, api.Errorf(api.NotFound, "There is no earlier release to roll back to.")
}

func whyNot(r api.Release) string {
	switch {
	case r.SlugID == "":
		return "has no slug"
	case r.Status == api.Pending:
		return "is still being rolled out"
	}
	return "failed"
}

// maxDescription bounds what becomes a part of every dyno's environment.
const maxDescription = 1000

// ReleaseSlug makes a release of a slug that the app has already.
func (p *Platform) ReleaseSlug(ctx context.Context, who auth.Principal, app api.App, slugID, description string) (api.Release, error) {
	if len(description) > maxDescription {
		return api.Release{}, api.Errorf(api.InvalidParams, "A release's description may have %d bytes at most.", maxDescription)
	}
	unlock, err := p.lockReleases(ctx, app.ID)
	if err != nil {
		return api.Release{}, err
	}
	r, err := p.createRelease(ctx, app.ID, who, func(tx store.Tx, _ api.Release) (releaseDraft, error) {
		s, err := tx.Slug(slugID)
		if err != nil || s.AppID != app.ID {
			return releaseDraft{}, api.Missing("slug")
		}
		config, err := latestConfig(tx, app.ID)
		if description == "" {
			description = "Deploy " + short(s.Commit, s.Digest)
		}
		return releaseDraft{slugID: slugID, config: config, description: description}, err
	})
	if err != nil {
		unlock()
		return api.Release{}, err
	}
	p.event(app.ID, r.Description+" by user "+who.Account.Email)
	p.rollOut(rollout{Release: r}, unlock)
	return r, nil
}

// releaseLockWait bounds how long a use case waits for a rollout of the same
// app to end. A boot takes at most 60 s (R10), so only a long release phase
// makes it fail.
const releaseLockWait = 2 * time.Minute

// lockReleases takes the app's release lock; the returned func gives it back
// and may be called once, from any goroutine.
func (p *Platform) lockReleases(ctx context.Context, appID string) (unlock func(), err error) {
	s := p.state(appID)
	ctx, cancel := context.WithTimeout(ctx, releaseLockWait)
	defer cancel()
	select {
	case s.release <- struct{}{}:
		return func() { <-s.release }, nil
	case <-ctx.Done():
		return nil, api.Errorf(api.Conflict, "Another release of this app is being rolled out. Try again when it has finished (paas releases shows it).")
	}
}

// releaseDraft is what differs between the ways a release comes about.
type releaseDraft struct {
	slugID      string
	config      api.ConfigVars
	description string
}

var errNoRelease = errors.New("nothing to release")

// createRelease makes the app's next release, pending, and its formation
// entries. The caller holds the release lock.
func (p *Platform) createRelease(ctx context.Context, appID string, who auth.Principal, draft func(tx store.Tx, current api.Release) (releaseDraft, error)) (api.Release, error) {
	now := p.Now()
	r := api.Release{ID: newID(), AppID: appID, Status: api.Pending, AuthorID: who.Account.ID, AuthorEmail: who.Account.Email, CreatedAt: now, UpdatedAt: now}
	err := p.Store.Update(ctx, func(tx store.Tx) error {
		app, err := tx.App(appID)
		if err != nil {
			return fold(err, "app")
		}
		current, err := tx.ReleaseByVersion(appID, app.Current)
		if err != nil {
			return err
		}
		latest, err := tx.LatestRelease(appID)
		if err != nil {
			return err
		}
		d, err := draft(tx, current)
		if err != nil {
			return err
		}
		r.Version, r.SlugID, r.Description = latest.Version+1, d.slugID, d.description
		if r.SlugID != "" {
			s, err := tx.Slug(r.SlugID)
			if err != nil {
				return err
			}
			if _, has := command(s, api.ReleasePhase); has {
				r.OutputID = newID()
			}
			if err := growFormation(tx, appID, s, now); err != nil {
				return err
			}
		}
		return tx.CreateRelease(r, d.config)
	})
	return r, err
}

// short is what "Deploy 1a2b3c4d" shows.
func short(commit, digest string) string {
	if commit == "" {
		commit = strings.TrimPrefix(digest, "sha256:")
	}
	return commit[:min(8, len(commit))]
}

func command(s api.Slug, processType string) (string, bool) {
	for _, pt := range s.Processes {
		if pt.Name == processType {
			return pt.Command, true
		}
	}
	return "", false
}
