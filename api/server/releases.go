package server

import (
	"errors"
	"net/http"
	"strconv"

	"paas/api"
	v3 "paas/api/v3"
)

func showConfig(c *call) error {
	config, err := c.server.platform.Config(c.Request().Context(), c.app)
	if err != nil {
		return err
	}
	return c.replyConfig(config)
}

// replyConfig is the one place where config vars leave the platform.
func (c *call) replyConfig(config api.ConfigVars) error {
	out := map[string]string{}
	for k, v := range config {
		out[k] = v
	}
	return c.reply(http.StatusOK, out)
}

func setConfig(c *call) error {
	var changes map[string]*string
	if err := c.decode(&changes); err != nil {
		if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
			return err
		}
		// The cause could quote a value, so it is dropped.
		return api.Errorf(api.BadRequest, "Config vars are a JSON object of strings; null removes one.")
	}
	config, err := c.server.platform.SetConfig(c.Request().Context(), c.who, c.app, changes)
	if err != nil {
		return err
	}
	return c.replyConfig(config)
}

func showReleaseConfig(c *call) error {
	r, err := c.server.platform.Release(c.Request().Context(), c.app, c.Param("release"))
	if err != nil {
		return err
	}
	config, err := c.server.platform.ReleaseConfig(c.Request().Context(), r)
	if err != nil {
		return err
	}
	return c.replyConfig(config)
}

func listReleases(c *call) error {
	all, err := c.server.platform.Releases(c.Request().Context(), c.app, 0)
	if err != nil {
		return err
	}
	out := make([]v3.Release, len(all))
	for i, r := range all {
		out[i] = c.renderRelease(c.app, r)
	}
	return list(c, out, []string{"version", "id"}, func(r v3.Release, prop string) string {
		if prop == "id" {
			return r.ID
		}
		return strconv.Itoa(r.Version)
	})
}

func showRelease(c *call) error {
	r, err := c.server.platform.Release(c.Request().Context(), c.app, c.Param("release"))
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, c.renderRelease(c.app, r))
}

// createRelease is a rollback ({release: id}, as Heroku's CLI does it; "" is
// the previous one) or the release of a slug ({slug: id, description}).
func createRelease(c *call) error {
	var body struct {
		Release     *string `json:"release"`
		Slug        string  `json:"slug"`
		Description string  `json:"description"`
	}
	if err := c.decode(&body); err != nil {
		return err
	}
	ctx := c.Request().Context()
	var r api.Release
	var err error
	switch {
	case body.Slug != "":
		r, err = c.server.platform.ReleaseSlug(ctx, c.who, c.app, body.Slug, body.Description)
	case body.Release != nil:
		r, err = c.server.platform.Rollback(ctx, c.who, c.app, *body.Release)
	default:
		return api.Errorf(api.InvalidParams, "Say which slug to release, or which release to roll back to.")
	}
	if err != nil {
		return err
	}
	return c.reply(http.StatusCreated, c.renderRelease(c.app, r))
}
