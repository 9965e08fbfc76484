package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"paas/api"
	"paas/api/auth"
	"paas/api/platform"
	v3 "paas/api/v3"
	"paas/dyno"
)

func listFormation(c *call) error {
	entries, err := c.server.platform.Formation(c.Request().Context(), c.app)
	if err != nil {
		return err
	}
	return c.replyFormation(entries)
}

func (c *call) replyFormation(entries []platform.FormationEntry) error {
	out := []v3.Formation{}
	for _, f := range entries {
		out = append(out, renderFormation(c.app, f))
	}
	return c.reply(http.StatusOK, out)
}

func showFormation(c *call) error {
	entries, err := c.server.platform.Formation(c.Request().Context(), c.app)
	if err != nil {
		return err
	}
	for _, f := range entries {
		if f.Type == c.Param("type") || f.ID == c.Param("type") {
			return c.reply(http.StatusOK, renderFormation(c.app, f))
		}
	}
	return api.Missing("formation")
}

func updateFormation(c *call) error {
	var body struct {
		Updates []v3.FormationUpdate `json:"updates"`
	}
	if err := c.decode(&body); err != nil {
		return err
	}
	changed, err := c.scale(body.Updates)
	if err != nil {
		return err
	}
	return c.replyFormation(changed)
}

func updateOneFormation(c *call) error {
	var u v3.FormationUpdate
	if err := c.decode(&u); err != nil {
		return err
	}
	u.Type = c.Param("type")
	changed, err := c.scale([]v3.FormationUpdate{u})
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, renderFormation(c.app, changed[0]))
}

func (c *call) scale(updates []v3.FormationUpdate) ([]platform.FormationEntry, error) {
	var wanted []platform.ScaleUpdate
	for _, u := range updates {
		w := platform.ScaleUpdate{Type: u.Type, Size: u.Size}
		switch q := u.Quantity.(type) {
		case nil:
		case string:
			w.Quantity = q
		case float64:
			w.Quantity = fmt.Sprint(q)
		default:
			return nil, api.Errorf(api.InvalidParams, "quantity must be a number, or a string such as \"+1\".")
		}
		wanted = append(wanted, w)
	}
	return c.server.platform.Scale(c.Request().Context(), c.who, c.app, wanted)
}

func listDynos(c *call) error {
	out, err := c.dynos()
	if err != nil {
		return err
	}
	return list(c, out, []string{"name", "id"}, func(d v3.Dyno, prop string) string {
		if prop == "id" {
			return d.ID
		}
		return d.Name
	})
}

// dynos renders all dynos of the app with the ids of their releases.
func (c *call) dynos() ([]v3.Dyno, error) {
	releases, err := c.server.platform.Releases(c.Request().Context(), c.app, 0)
	if err != nil {
		return nil, err
	}
	out := []v3.Dyno{}
	for _, d := range c.server.platform.Dynos(c.app) {
		i := slices.IndexFunc(releases, func(r api.Release) bool { return r.Version == d.Release })
		id := ""
		if i >= 0 {
			id = releases[i].ID
		}
		out = append(out, renderDyno(c.app, d, id))
	}
	return out, nil
}

func showDyno(c *call) error {
	all, err := c.dynos()
	if err != nil {
		return err
	}
	for _, d := range all {
		if d.Name == c.Param("dyno") || d.ID == c.Param("dyno") {
			return c.reply(http.StatusOK, d)
		}
	}
	return api.Missing("dyno")
}

func runDyno(c *call) error {
	var body v3.RunRequest
	if err := c.decode(&body); err != nil {
		return err
	}
	if body.TimeToLive < 0 || body.TimeToLive > 86400 {
		return api.Errorf(api.InvalidParams, "time_to_live must be from 1 to 86400 seconds.")
	}
	ctx := c.Request().Context()
	d, secret, err := c.server.platform.RunDyno(ctx, c.who, c.app, platform.RunRequest{
		Command: body.Command, Type: body.Type, Size: body.Size, Env: body.Env, Attach: body.Attach,
		TTY: body.Attach && !body.ForceNoTTY, TTL: time.Duration(body.TimeToLive) * time.Second,
	})
	if err != nil {
		return err
	}
	r, err := c.server.platform.Release(ctx, c.app, fmt.Sprint(d.Release))
	if err != nil {
		return err
	}
	out := renderDyno(c.app, d, r.ID)
	if secret != "" {
		out.AttachURL = text(c.url("/attach/" + secret))
	}
	return c.reply(http.StatusCreated, out)
}

func restartAll(c *call) error  { return c.restart(dyno.Selector{}) }
func restartType(c *call) error { return c.restart(dyno.Selector{Type: c.Param("type")}) }
func restartDyno(c *call) error { return c.restart(dyno.Selector{Name: c.Param("dyno")}) }
func stopType(c *call) error    { return c.stop(dyno.Selector{Type: c.Param("type")}) }
func stopDyno(c *call) error    { return c.stop(dyno.Selector{Name: c.Param("dyno")}) }

func (c *call) restart(s dyno.Selector) error { return c.accept(s, c.server.platform.RestartDynos) }
func (c *call) stop(s dyno.Selector) error    { return c.accept(s, c.server.platform.StopDynos) }

// accept answers 202 {}: what was asked for has begun.
func (c *call) accept(s dyno.Selector, do func(context.Context, auth.Principal, api.App, dyno.Selector) error) error {
	if err := do(c.Request().Context(), c.who, c.app, s); err != nil {
		return err
	}
	return c.reply(http.StatusAccepted, struct{}{})
}
