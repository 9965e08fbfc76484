package client

import (
	"context"
	"io"

	v3 "paas/api/v3"
)

// Releases lists the newest n releases, newest first.
func (c *Client) Releases(ctx context.Context, name string, n int) ([]v3.Release, error) {
	return call[[]v3.Release](ctx, c, request{method: "GET", path: app(name, "releases"), ranges: newest("version", n)})
}

// Release shows one: "v7", "7", an id or "current".
func (c *Client) Release(ctx context.Context, name, release string) (v3.Release, error) {
	return call[v3.Release](ctx, c, request{method: "GET", path: app(name, "releases", release)})
}

// ReleaseConfig returns the config vars that a release froze.
func (c *Client) ReleaseConfig(ctx context.Context, name, release string) (map[string]string, error) {
	return call[map[string]string](ctx, c, request{method: "GET", path: app(name, "releases", release, "config-vars")})
}

// Rollback makes a new release of an older one; "" = the one before the
// current one. The answer may still be pending: see Release.
func (c *Client) Rollback(ctx context.Context, name, release string) (v3.Release, error) {
	return call[v3.Release](ctx, c, request{method: "POST", path: app(name, "releases"), body: map[string]string{"release": release}})
}

// ReleaseSlug makes a new release of a slug that the app has.
func (c *Client) ReleaseSlug(ctx context.Context, name, slug string) (v3.Release, error) {
	return call[v3.Release](ctx, c, request{method: "POST", path: app(name, "releases"), body: map[string]string{"slug": slug}})
}

// Output copies a build's or release's output to w until it is complete.
func (c *Client) Output(ctx context.Context, address string, w io.Writer) error {
	body, err := c.stream(ctx, address, "text/plain", "")
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(w, body)
	return err
}

// Builds lists the newest n builds, newest first.
func (c *Client) Builds(ctx context.Context, name string, n int) ([]v3.Build, error) {
	return call[[]v3.Build](ctx, c, request{method: "GET", path: app(name, "builds"), ranges: newest("created_at", n)})
}

// Build shows one.
func (c *Client) Build(ctx context.Context, name, id string) (v3.Build, error) {
	return call[v3.Build](ctx, c, request{method: "GET", path: app(name, "builds", id)})
}

// CancelBuild cancels a build that still runs.
func (c *Client) CancelBuild(ctx context.Context, name, id string) (v3.Build, error) {
	return call[v3.Build](ctx, c, request{method: "DELETE", path: app(name, "builds", id)})
}

// PurgeBuildCache drops what builds have cached.
func (c *Client) PurgeBuildCache(ctx context.Context, name string) error {
	_, err := call[struct{}](ctx, c, request{method: "DELETE", path: app(name, "build-cache")})
	return err
}

// Slugs lists the newest n slugs, newest first.
func (c *Client) Slugs(ctx context.Context, name string, n int) ([]v3.Slug, error) {
	return call[[]v3.Slug](ctx, c, request{method: "GET", path: app(name, "slugs"), ranges: newest("created_at", n)})
}

// Slug shows one by id or digest, or the "current" one, with its layers.
func (c *Client) Slug(ctx context.Context, name, slug string) (v3.Slug, error) {
	return call[v3.Slug](ctx, c, request{method: "GET", path: app(name, "slugs", slug)})
}

// ExportSlug writes a slug as a tar of an OCI image layout.
func (c *Client) ExportSlug(ctx context.Context, name, slug string, w io.Writer) error {
	resp, err := c.send(ctx, request{method: "GET", path: app(name, "slugs", slug, "image")})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(w, resp.Body)
	return err
}
