package platform

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"paas/api"
	"paas/api/auth"
	"paas/api/store"
)

// AppRequest is what a new app may ask for.
type AppRequest struct {
	Name  string // "" = made up
	Stack string // "" = the default
}

// CreateApp makes an app and its release v1, so that every app has a current
// release from the first moment.
func (p *Platform) CreateApp(ctx context.Context, who auth.Principal, r AppRequest) (api.App, error) {
	if r.Stack == "" {
		r.Stack = p.Stacks[0]
	}
	if !slices.Contains(p.Stacks, r.Stack) {
		return api.App{}, api.Errorf(api.InvalidParams, "Stack %q does not exist here. Stacks: %v.", r.Stack, p.Stacks)
	}
	made := r.Name == ""
	for try := 0; ; try++ {
		if made {
			r.Name = madeUpName()
		}
		if err := api.CheckAppName(r.Name); err != nil {
			return api.App{}, err
		}
		app, err := p.createApp(ctx, who, r)
		if conflicts(err, store.RuleAppName) {
			if made && try < 10 {
				continue
			}
			return api.App{}, api.Errorf(api.InvalidParams, "Name %s is already taken", r.Name)
		}
		return app, err
	}
}

func (p *Platform) createApp(ctx context.Context, who auth.Principal, r AppRequest) (api.App, error) {
	now := p.Now()
	app := api.App{
		ID: newID(), Name: r.Name, OwnerID: who.Account.ID, Stack: r.Stack, Current: 1,
		CreatedAt: now, UpdatedAt: now, ReleasedAt: now,
	}
	first := api.Release{
		ID: newID(), AppID: app.ID, Version: 1, Description: "Initial release", Status: api.Succeeded,
		AuthorID: who.Account.ID, AuthorEmail: who.Account.Email, CreatedAt: now, UpdatedAt: now,
	}
	err := p.Store.Update(ctx, func(tx store.Tx) error {
		if err := tx.CreateApp(app); err != nil {
			return err
		}
		return tx.CreateRelease(first, nil)
	})
	if err != nil {
		return api.App{}, err
	}
	p.event(app.ID, "Initial release by user "+who.Account.Email)
	p.event(app.ID, "Release v1 created by user "+who.Account.Email)
	ctx, cancel := afterCommit(ctx)
	defer cancel()
	return app, p.publish(ctx)
}

// Apps lists the apps that who may view, by name. With own, only those that
// who owns or collaborates on, even for an admin.
func (p *Platform) Apps(ctx context.Context, who auth.Principal, own bool) ([]api.App, error) {
	var seen []api.App
	err := p.Store.View(ctx, func(tx store.Tx) error {
		all, err := tx.Apps()
		if err != nil {
			return err
		}
		for _, app := range all {
			collaborators, err := tx.Collaborators(app.ID)
			if err != nil {
				return err
			}
			mine := app.OwnerID == who.Account.ID || slices.ContainsFunc(collaborators, func(c api.Collaborator) bool { return c.AccountID == who.Account.ID })
			if (mine || !own) && auth.Can(who, auth.View, app, collaborators) {
				seen = append(seen, app)
			}
		}
		return nil
	})
	return seen, err
}

// AppChange is what may be changed of an app; nil = leave.
type AppChange struct {
	Name        *string
	Stack       *string
	Maintenance *bool
	Buildpacks  *[]string
}

// UpdateApp changes an app. None of it makes a release.
func (p *Platform) UpdateApp(ctx context.Context, who auth.Principal, app api.App, c AppChange) (api.App, error) {
	if c.Name != nil {
		if err := api.CheckAppName(*c.Name); err != nil {
			return api.App{}, err
		}
	}
	if c.Stack != nil && !slices.Contains(p.Stacks, *c.Stack) {
		return api.App{}, api.Errorf(api.InvalidParams, "Stack %q does not exist here. Stacks: %v.", *c.Stack, p.Stacks)
	}
	var before api.App
	err := p.Store.Update(ctx, func(tx store.Tx) (err error) {
		if before, err = tx.App(app.ID); err != nil {
			return err
		}
		app = before
		if c.Name != nil {
			app.Name = *c.Name
		}
		if c.Stack != nil {
			app.Stack = *c.Stack
		}
		if c.Maintenance != nil {
			app.Maintenance = *c.Maintenance
		}
		if c.Buildpacks != nil {
			app.Buildpacks = *c.Buildpacks
		}
		app.UpdatedAt = p.Now()
		return tx.UpdateApp(app)
	})
	switch {
	case conflicts(err, store.RuleAppName):
		return api.App{}, api.Errorf(api.InvalidParams, "Name %s is already taken", *c.Name)
	case err != nil:
		return api.App{}, fold(err, "app")
	}
	if before.Stack != app.Stack {
		p.event(app.ID, fmt.Sprintf("Stack changed from %s to %s by user %s", before.Stack, app.Stack, who.Account.Email))
	}
	ctx, cancel := afterCommit(ctx)
	defer cancel()
	return app, p.publish(ctx)
}

// DestroyApp stops everything of an app and deletes all that it had. Slug
// bytes that no other app names go with the next collection.
func (p *Platform) DestroyApp(ctx context.Context, app api.App) error {
	unlock, err := p.lockReleases(ctx, app.ID)
	if err != nil {
		return err
	}
	var outputs []string
	err = p.Store.Update(ctx, func(tx store.Tx) error {
		builds, err := tx.Builds(app.ID, 0)
		if err != nil {
			return err
		}
		for _, b := range builds {
			outputs = append(outputs, b.ID)
		}
		releases, err := tx.Releases(app.ID, 0)
		if err != nil {
			return err
		}
		for _, r := range releases {
			if r.OutputID != "" {
				outputs = append(outputs, r.OutputID)
			}
		}
		return tx.DeleteApp(app.ID)
	})
	unlock() // a build that waits to be released finds no app
	if err != nil {
		return fold(err, "app")
	}
	// From here on the app is gone, and nothing new of it can begin; what is
	// left of it is cleaned as far as possible, and the rest is said in the log.
	ctx, cancel := afterCommit(ctx)
	defer cancel()
	p.dropAwaiting(app.ID)
	p.endBuilds(ctx, app.ID)
	p.mu.Lock()
	delete(p.apps, app.ID)
	p.mu.Unlock()
	errs := []error{p.publish(ctx), p.Scheduler.Remove(ctx, app.ID), p.Logs.Delete(app.ID), p.Repos.Delete(app.ID), p.Builder.PurgeCache(ctx, app.ID)}
	for _, id := range outputs {
		errs = append(errs, p.Outputs.Delete(id))
	}
	if err := errors.Join(errs...); err != nil {
		p.Log.Error("cannot clean up after a destroyed app", "app", app.Name, "err", err)
	}
	return nil
}

// Two short lists make 1,024 pairs; with four digits a clash is rare enough.
var (
	adjectives = []string{"agile", "amber", "ancient", "arctic", "autumn", "bold", "brisk", "bright", "calm", "clear", "cosmic", "crisp", "eager", "early", "fair", "gentle", "golden", "grand", "keen", "lively", "lucid", "mellow", "nimble", "noble", "patient", "quiet", "rapid", "rustic", "silver", "steady", "sunny", "vivid"}
	nouns      = []string{"badger", "beacon", "birch", "breeze", "brook", "canyon", "cedar", "comet", "coral", "delta", "dune", "ember", "falcon", "fern", "fjord", "garden", "harbor", "heron", "island", "lagoon", "lark", "maple", "meadow", "otter", "pebble", "pine", "prairie", "ridge", "river", "sparrow", "summit", "tundra"}
)

// madeUpName is like Heroku's: "quiet-heron-4821".
func madeUpName() string {
	pick := func(n int) int {
		i, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
		if err != nil {
			panic("crypto/rand does not fail: " + err.Error())
		}
		return int(i.Int64())
	}
	return fmt.Sprintf("%s-%s-%04d", adjectives[pick(len(adjectives))], nouns[pick(len(nouns))], pick(10000))
}
