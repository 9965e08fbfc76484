package platform

import (
	"context"
	"io"

	"paas/api"
	"paas/api/store"
	"paas/slug"
)

// SlugsOf lists an app's slugs, newest first.
func (p *Platform) SlugsOf(ctx context.Context, app api.App, limit int) (list []api.Slug, err error) {
	err = p.Store.View(ctx, func(tx store.Tx) error {
		list, err = tx.Slugs(app.ID, limit)
		return err
	})
	return list, err
}

// Slug finds a slug of app by id or digest; "current" is that of the current
// release.
func (p *Platform) Slug(ctx context.Context, app api.App, name string) (s api.Slug, err error) {
	err = p.Store.View(ctx, func(tx store.Tx) error {
		if name == "current" {
			r, err := tx.ReleaseByVersion(app.ID, app.Current)
			if err != nil {
				return err
			}
			if r.SlugID == "" {
				return store.ErrNotFound
			}
			s, err = tx.Slug(r.SlugID)
			return err
		}
		all, err := tx.Slugs(app.ID, 0)
		if err != nil {
			return err
		}
		for _, s = range all {
			if s.ID == name || s.Digest == name {
				return nil
			}
		}
		return store.ErrNotFound
	})
	return s, fold(err, "slug")
}

// SlugInfo says what a slug's image holds.
func (p *Platform) SlugInfo(ctx context.Context, s api.Slug) (slug.Info, error) {
	return p.Slugs.Info(ctx, s.Digest)
}

// ExportSlug writes a slug as a tar of an OCI image layout.
func (p *Platform) ExportSlug(ctx context.Context, app api.App, s api.Slug, w io.Writer) error {
	return p.Slugs.Export(ctx, s.Digest, app.Name+":"+short(s.Commit, s.Digest), w)
}

// Author names the account that a slug was built for.
func (p *Platform) Author(ctx context.Context, s api.Slug) (a api.Account, err error) {
	err = p.Store.View(ctx, func(tx store.Tx) error {
		a, err = tx.Account(s.AuthorID)
		return err
	})
	return a, fold(err, "account")
}
