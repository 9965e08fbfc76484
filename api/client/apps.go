package client

import (
	"context"
	"fmt"

	v3 "paas/api/v3"
)

// Apps lists the apps the account owns or collaborates on; with all, every app
// it may see.
func (c *Client) Apps(ctx context.Context, all bool) ([]v3.App, error) {
	path := "/users/~/apps"
	if all {
		path = "/apps"
	}
	return pages[v3.App](ctx, c, request{method: "GET", path: path})
}

// App shows one.
func (c *Client) App(ctx context.Context, name string) (v3.App, error) {
	return call[v3.App](ctx, c, request{method: "GET", path: app(name)})
}

// CreateApp makes one; "" lets the server choose a name, the default stack.
func (c *Client) CreateApp(ctx context.Context, name, stack string) (v3.App, error) {
	body := map[string]string{}
	if name != "" {
		body["name"] = name
	}
	if stack != "" {
		body["stack"] = stack
	}
	return call[v3.App](ctx, c, request{method: "POST", path: "/apps", body: body})
}

// RenameApp changes an app's name.
func (c *Client) RenameApp(ctx context.Context, name, to string) (v3.App, error) {
	return call[v3.App](ctx, c, request{method: "PATCH", path: app(name), body: map[string]string{"name": to}})
}

// SetMaintenance turns maintenance mode on or off.
func (c *Client) SetMaintenance(ctx context.Context, name string, on bool) (v3.App, error) {
	return call[v3.App](ctx, c, request{method: "PATCH", path: app(name), body: map[string]bool{"maintenance": on}})
}

// DestroyApp deletes an app and all that it has.
func (c *Client) DestroyApp(ctx context.Context, name string) (v3.App, error) {
	return call[v3.App](ctx, c, request{method: "DELETE", path: app(name)})
}

// Config returns the config vars.
func (c *Client) Config(ctx context.Context, name string) (map[string]string, error) {
	return call[map[string]string](ctx, c, request{method: "GET", path: app(name, "config-vars")})
}

// SetConfig sets config vars, removes those whose value is nil, and returns
// all of them.
func (c *Client) SetConfig(ctx context.Context, name string, changes map[string]*string) (map[string]string, error) {
	return call[map[string]string](ctx, c, request{method: "PATCH", path: app(name, "config-vars"), body: changes})
}

// Buildpacks lists the explicit buildpacks of an app.
func (c *Client) Buildpacks(ctx context.Context, name string) ([]v3.BuildpackInstallation, error) {
	return call[[]v3.BuildpackInstallation](ctx, c, request{method: "GET", path: app(name, "buildpack-installations")})
}

// SetBuildpacks replaces the list.
func (c *Client) SetBuildpacks(ctx context.Context, name string, list []string) ([]v3.BuildpackInstallation, error) {
	updates := make([]map[string]string, len(list))
	for i, b := range list {
		updates[i] = map[string]string{"buildpack": b}
	}
	return call[[]v3.BuildpackInstallation](ctx, c, request{method: "PUT", path: app(name, "buildpack-installations"), body: map[string]any{"updates": updates}})
}

// newest is the Range header for the last n of a list.
func newest(prop string, n int) string {
	return fmt.Sprintf("%s ..; order=desc, max=%d", prop, n)
}
