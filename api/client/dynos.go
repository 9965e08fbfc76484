package client

import (
	"context"

	v3 "paas/api/v3"
)

// Formation lists the process types.
func (c *Client) Formation(ctx context.Context, name string) ([]v3.Formation, error) {
	return call[[]v3.Formation](ctx, c, request{method: "GET", path: app(name, "formation")})
}

// Scale changes quantities and sizes and returns what it changed.
func (c *Client) Scale(ctx context.Context, name string, updates []v3.FormationUpdate) ([]v3.Formation, error) {
	return call[[]v3.Formation](ctx, c, request{method: "PATCH", path: app(name, "formation"), body: map[string]any{"updates": updates}})
}

// Dynos lists the dynos.
func (c *Client) Dynos(ctx context.Context, name string) ([]v3.Dyno, error) {
	return pages[v3.Dyno](ctx, c, request{method: "GET", path: app(name, "dynos")})
}

// Run starts a one-off dyno. With Attach, connect to its AttachURL.
func (c *Client) Run(ctx context.Context, name string, r v3.RunRequest) (v3.Dyno, error) {
	return call[v3.Dyno](ctx, c, request{method: "POST", path: app(name, "dynos"), body: r})
}

// Restart replaces dynos: all (both ""), those of a type, or one by name.
func (c *Client) Restart(ctx context.Context, name, processType, dyno string) error {
	path := app(name, "dynos")
	switch {
	case dyno != "":
		path = app(name, "dynos", dyno)
	case processType != "":
		path = app(name, "formations", processType)
	}
	_, err := call[struct{}](ctx, c, request{method: "DELETE", path: path})
	return err
}

// Stop stops the dynos of a type, or one by name.
func (c *Client) Stop(ctx context.Context, name, processType, dyno string) error {
	path := app(name, "dynos", dyno, "actions", "stop")
	if dyno == "" {
		path = app(name, "formations", processType, "actions", "stop")
	}
	_, err := call[struct{}](ctx, c, request{method: "POST", path: path})
	return err
}
