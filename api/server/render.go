package server

import (
	"time"

	"paas/api"
	"paas/api/platform"
	v3 "paas/api/v3"
)

// The functions here turn nouns into what travels. Times are cut to seconds in
// UTC, as Heroku's are.

func when(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = when(t)
	return &t
}

func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func ref(id string) *v3.Ref {
	if id == "" {
		return nil
	}
	return &v3.Ref{ID: id}
}

// Heroku's clients want ids of things that here are only names. They are made
// from the name, so that they stay the same.
func named(name string) v3.Ref { return v3.Ref{ID: stableID(name), Name: name} }

func renderAccount(a api.Account) v3.Account {
	return v3.Account{
		ID: a.ID, Email: a.Email, Name: text(a.Name), Verified: true,
		CreatedAt: when(a.CreatedAt), UpdatedAt: when(a.UpdatedAt),
	}
}

func (s *Server) renderApp(app api.App, owner api.Account, slugSize *int64) v3.App {
	repo := s.platform.Repos.Size(app.ID)
	return v3.App{
		ID: app.ID, Name: app.Name, BuildStack: named(app.Stack), Stack: named(app.Stack), Generation: named("cedar"),
		GitURL: s.platform.GitURL(app.Name), WebURL: text(s.platform.WebURL(app.Name)), Maintenance: app.Maintenance,
		Owner: v3.Person{ID: owner.ID, Email: owner.Email}, Region: named(region), RepoSize: &repo, SlugSize: slugSize,
		ReleasedAt: optional(app.ReleasedAt), CreatedAt: when(app.CreatedAt), UpdatedAt: when(app.UpdatedAt),
	}
}

func renderKey(k api.Key, email string) v3.Key {
	return v3.Key{
		ID: k.ID, Comment: k.Comment, Email: email, Fingerprint: k.Fingerprint, PublicKey: k.PublicKey,
		CreatedAt: when(k.CreatedAt), UpdatedAt: when(k.CreatedAt),
	}
}

func (c *call) renderRelease(app api.App, r api.Release) v3.Release {
	out := v3.Release{
		ID: r.ID, App: v3.Ref{ID: app.ID, Name: app.Name}, AddonPlanNames: []string{}, Current: r.Version == app.Current,
		Description: r.Description, EligibleForRollback: platform.CanRollBack(r), Slug: ref(r.SlugID), Status: string(r.Status),
		User: v3.Person{ID: r.AuthorID, Email: r.AuthorEmail}, Version: r.Version,
		CreatedAt: when(r.CreatedAt), UpdatedAt: when(r.UpdatedAt),
	}
	if r.OutputID != "" {
		out.OutputStreamURL = text(c.url("/streams/outputs/" + r.OutputID))
	}
	return out
}

func (c *call) renderBuild(app api.App, b api.Build) v3.Build {
	packs := make([]v3.Buildpack, len(b.Buildpacks))
	for i, name := range b.Buildpacks {
		packs[i] = v3.Buildpack{Name: name, URL: name}
	}
	return v3.Build{
		ID: b.ID, App: v3.Ref{ID: app.ID}, Buildpacks: packs, OutputStreamURL: c.url("/streams/outputs/" + b.ID),
		SourceBlob: v3.SourceBlob{URL: c.server.platform.GitURL(app.Name), Version: text(b.Commit)},
		Release:    ref(b.ReleaseID), Slug: ref(b.SlugID), Stack: b.Stack, Status: string(b.Status), Reason: b.Reason,
		User:      v3.Person{ID: b.AuthorID, Email: b.AuthorEmail},
		CreatedAt: when(b.CreatedAt), UpdatedAt: when(b.UpdatedAt),
	}
}

func (c *call) renderSlug(app api.App, s api.Slug) v3.Slug {
	types := make(map[string]string, len(s.Processes))
	for _, pt := range s.Processes {
		types[pt.Name] = pt.Command
	}
	return v3.Slug{
		ID: s.ID, Blob: v3.Blob{Method: "get", URL: c.url("/apps/" + app.ID + "/slugs/" + s.ID + "/image")},
		BuildpackProvidedDescription: text(s.Description), Checksum: text(s.Digest), Commit: text(s.Commit),
		CommitDescription: text(s.CommitDescription), ProcessTypes: types, Size: &s.Size, Stack: named(s.Stack),
		Buildpacks: s.Buildpacks, CreatedAt: when(s.CreatedAt), UpdatedAt: when(s.CreatedAt),
	}
}

func renderFormation(app api.App, f platform.FormationEntry) v3.Formation {
	return v3.Formation{
		ID: f.ID, App: v3.Ref{ID: app.ID, Name: app.Name}, Command: f.Command, Quantity: f.Quantity, Size: f.Size,
		DynoSize: named(f.Size), Type: f.Type, CreatedAt: when(f.UpdatedAt), UpdatedAt: when(f.UpdatedAt),
	}
}

func renderDyno(app api.App, d api.Dyno, releaseID string) v3.Dyno {
	return v3.Dyno{
		ID: d.ID, App: v3.Ref{ID: app.ID, Name: app.Name}, Command: d.Command, Name: d.Name,
		Release: v3.DynoRelease{ID: releaseID, Version: d.Release}, Size: d.Size, State: string(d.State), Type: d.Type,
		CreatedAt: when(d.CreatedAt), UpdatedAt: when(d.UpdatedAt),
	}
}

func renderAuthorization(a api.Authorization, who api.Account, token string, now time.Time) v3.Authorization {
	out := v3.Authorization{
		ID: a.ID, AccessToken: v3.AccessToken{ID: a.ID, Token: token}, Description: a.Description, Scope: []string{},
		User: v3.Person{ID: who.ID, Email: who.Email}, CreatedAt: when(a.CreatedAt), UpdatedAt: when(a.CreatedAt),
	}
	for _, s := range a.Scopes {
		out.Scope = append(out.Scope, string(s))
	}
	if !a.ExpiresAt.IsZero() {
		left := max(0, int(a.ExpiresAt.Sub(now).Seconds()))
		out.AccessToken.ExpiresIn = &left
	}
	return out
}
