package server

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"paas/api"
	v3 "paas/api/v3"
)

func listBuilds(c *call) error {
	all, err := c.server.platform.Builds(c.Request().Context(), c.app, limitMax)
	if err != nil {
		return err
	}
	type build struct {
		v3.Build
		made time.Time // to the millisecond
	}
	out := make([]build, len(all))
	for i, b := range all {
		out[i] = build{c.renderBuild(c.app, b), b.CreatedAt}
	}
	slices.Reverse(out) // oldest first, as list takes them: it keeps the order of equal times
	return list(c, out, []string{"created_at", "id"}, func(b build, prop string) string {
		if prop == "id" {
			return b.ID
		}
		return moment(b.made)
	})
}

func showBuild(c *call) error {
	b, err := c.server.platform.Build(c.Request().Context(), c.app, c.Param("build"))
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, c.renderBuild(c.app, b))
}

func cancelBuild(c *call) error {
	b, err := c.server.platform.CancelBuild(c.Request().Context(), c.app, c.Param("build"))
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, c.renderBuild(c.app, b))
}

func purgeCache(c *call) error {
	if err := c.server.platform.PurgeBuildCache(c.Request().Context(), c.app); err != nil {
		return err
	}
	return c.reply(http.StatusOK, struct{}{})
}

func listSlugs(c *call) error {
	all, err := c.server.platform.SlugsOf(c.Request().Context(), c.app, limitMax)
	if err != nil {
		return err
	}
	type slug struct {
		v3.Slug
		made time.Time
	}
	out := make([]slug, len(all))
	for i, s := range all {
		out[i] = slug{c.renderSlug(c.app, s), s.CreatedAt}
	}
	slices.Reverse(out)
	return list(c, out, []string{"created_at", "id"}, func(s slug, prop string) string {
		if prop == "id" {
			return s.ID
		}
		return moment(s.made)
	})
}

func showSlug(c *call) error {
	ctx := c.Request().Context()
	s, err := c.server.platform.Slug(ctx, c.app, c.Param("slug"))
	if err != nil {
		return err
	}
	info, err := c.server.platform.SlugInfo(ctx, s)
	if err != nil {
		return err
	}
	out := c.renderSlug(c.app, s)
	for _, l := range info.Layers {
		out.Layers = append(out.Layers, v3.Layer{Name: l.Name, Digest: l.Digest, Size: l.Size})
	}
	author, err := c.server.platform.Author(ctx, s)
	switch {
	case err == nil:
		out.Author = &v3.Person{ID: author.ID, Email: author.Email}
	case api.IDOf(err) != api.NotFound:
		return err
	}
	return c.reply(http.StatusOK, out)
}

func exportSlug(c *call) error {
	s, err := c.server.platform.Slug(c.Request().Context(), c.app, c.Param("slug"))
	if err != nil {
		return err
	}
	head := c.Response().Header()
	head.Set("Content-Type", "application/x-tar")
	head.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", c.app.Name+"-"+s.ID+".tar"))
	return c.server.platform.ExportSlug(c.Request().Context(), c.app, s, c.Response())
}
