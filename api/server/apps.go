package server

import (
	"net/http"
	"strings"

	"paas/api"
	"paas/api/auth"
	"paas/api/platform"
	v3 "paas/api/v3"
)

func listApps(c *call) error { return c.apps(false) }

// listOwnApps lists the caller's, under whichever name the caller goes.
func listOwnApps(c *call) error {
	if who := c.Param("account"); who != "~" && who != c.who.Account.ID && !strings.EqualFold(who, c.who.Account.Email) {
		return api.Missing("account")
	}
	return c.apps(true)
}

func (c *call) apps(own bool) error {
	ctx := c.Request().Context()
	all, err := c.server.platform.Apps(ctx, c.who, own)
	if err != nil {
		return err
	}
	out := make([]v3.App, len(all))
	for i, app := range all {
		owner, err := c.server.platform.Owner(ctx, app)
		if err != nil {
			return err
		}
		out[i] = c.server.renderApp(app, owner, nil)
	}
	return list(c, out, []string{"name", "id"}, func(a v3.App, prop string) string {
		if prop == "id" {
			return a.ID
		}
		return a.Name
	})
}

// replyApp answers with an app, its owner and the size of its current slug.
func (c *call) replyApp(code int, app api.App) error {
	ctx := c.Request().Context()
	owner, err := c.server.platform.Owner(ctx, app)
	if err != nil {
		return err
	}
	var size *int64
	s, err := c.server.platform.Slug(ctx, app, "current")
	switch {
	case err == nil:
		size = &s.Size
	case api.IDOf(err) != api.NotFound:
		return err
	}
	return c.reply(code, c.server.renderApp(app, owner, size))
}

func showApp(c *call) error { return c.replyApp(http.StatusOK, c.app) }

func createApp(c *call) error {
	var body struct {
		Name  string `json:"name"`
		Stack string `json:"stack"`
	}
	if err := c.decode(&body); err != nil {
		return err
	}
	app, err := c.server.platform.CreateApp(c.Request().Context(), c.who, platform.AppRequest{Name: body.Name, Stack: body.Stack})
	if err != nil {
		return err
	}
	return c.replyApp(http.StatusCreated, app)
}

func updateApp(c *call) error {
	var body struct {
		Name        *string `json:"name"`
		BuildStack  *string `json:"build_stack"`
		Maintenance *bool   `json:"maintenance"`
	}
	if err := c.decode(&body); err != nil {
		return err
	}
	if body.Name != nil {
		if _, err := c.server.platform.Find(c.Request().Context(), c.who, c.app.ID, auth.Manage); err != nil {
			return err
		}
	}
	app, err := c.server.platform.UpdateApp(c.Request().Context(), c.who, c.app, platform.AppChange{Name: body.Name, Stack: body.BuildStack, Maintenance: body.Maintenance})
	if err != nil {
		return err
	}
	return c.replyApp(http.StatusOK, app)
}

func destroyApp(c *call) error {
	owner, err := c.server.platform.Owner(c.Request().Context(), c.app)
	if err != nil {
		return err
	}
	gone := c.server.renderApp(c.app, owner, nil)
	if err := c.server.platform.DestroyApp(c.Request().Context(), c.app); err != nil {
		return err
	}
	return c.reply(http.StatusOK, gone)
}

func listCollaborators(c *call) error {
	ctx := c.Request().Context()
	owner, err := c.server.platform.Owner(ctx, c.app)
	if err != nil {
		return err
	}
	others, err := c.server.platform.Collaborators(ctx, c.app)
	if err != nil {
		return err
	}
	type collaborator struct {
		ID   string    `json:"id"`
		App  v3.Ref    `json:"app"`
		Role string    `json:"role"`
		User v3.Person `json:"user"`
	}
	out := []collaborator{}
	for i, a := range append([]api.Account{owner}, others...) {
		role := "collaborator"
		if i == 0 {
			role = "owner"
		}
		out = append(out, collaborator{
			ID: stableID(c.app.ID + a.ID), App: v3.Ref{ID: c.app.ID, Name: c.app.Name}, Role: role, User: v3.Person{ID: a.ID, Email: a.Email},
		})
	}
	return c.reply(http.StatusOK, out)
}

func listBuildpacks(c *call) error { return c.replyBuildpacks(c.app) }

func (c *call) replyBuildpacks(app api.App) error {
	out := make([]v3.BuildpackInstallation, len(app.Buildpacks))
	for i, b := range app.Buildpacks {
		out[i] = v3.BuildpackInstallation{Ordinal: i, Buildpack: v3.Buildpack{Name: b, URL: b}}
	}
	return c.reply(http.StatusOK, out)
}

func setBuildpacks(c *call) error {
	var body struct {
		Updates []struct {
			Buildpack string `json:"buildpack"`
		} `json:"updates"`
	}
	if err := c.decode(&body); err != nil {
		return err
	}
	packs := []string{}
	for _, u := range body.Updates {
		b := strings.TrimSpace(u.Buildpack)
		if b == "" || strings.ContainsAny(b, " \t\r\n\x00") || len(b) > 1000 {
			return api.Errorf(api.InvalidParams, "%q is not a buildpack: use a name such as heroku/nodejs or a URL.", u.Buildpack)
		}
		packs = append(packs, b)
	}
	if len(packs) > 50 {
		return api.Errorf(api.InvalidParams, "An app may have 50 buildpacks at most.")
	}
	app, err := c.server.platform.UpdateApp(c.Request().Context(), c.who, c.app, platform.AppChange{Buildpacks: &packs})
	if err != nil {
		return err
	}
	return c.replyBuildpacks(app)
}

func listStacks(c *call) error {
	type stack struct {
		v3.Ref
		Default bool   `json:"default"`
		State   string `json:"state"`
	}
	out := []stack{}
	for i, name := range c.server.platform.Stacks {
		out = append(out, stack{Ref: named(name), Default: i == 0, State: "public"})
	}
	return c.reply(http.StatusOK, out)
}

func listRegions(c *call) error {
	return c.reply(http.StatusOK, []map[string]any{{
		"id": stableID(region), "name": region, "description": "This machine", "country": "", "locale": "",
		"private_capable": false, "default": true,
	}})
}

func listDynoSizes(c *call) error {
	var out []v3.DynoSize
	for _, s := range api.DynoSizes() {
		out = append(out, v3.DynoSize{ID: stableID(s.Name), Name: s.Name, Memory: float64(s.Memory) / (1 << 30), Pids: s.Pids})
	}
	return c.reply(http.StatusOK, out)
}
