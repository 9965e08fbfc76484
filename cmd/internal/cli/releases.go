package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"paas/api"
	"paas/api/client"
	v3 "paas/api/v3"
)

var releasesCommand = &Command{
	Name: "releases", Short: "list an app's releases", App: true, JSON: true,
	Flags: func(f *pflag.FlagSet) { f.IntP("num", "n", 15, "how many") },
	Run: func(ctx context.Context, c *Call) error {
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		n, err := c.count()
		if err != nil {
			return err
		}
		list, err := cl.Releases(ctx, name, n)
		if err != nil {
			return err
		}
		if done, err := c.json(list); done {
			return err
		}
		title := "=== " + name + " Releases"
		for _, r := range list {
			if r.Current {
				title += fmt.Sprintf(" - Current: v%d", r.Version)
			}
		}
		c.print("%s\n\n", title)
		var rows [][]string
		for _, r := range list {
			d := r.Description
			if r.Status != string(api.Succeeded) {
				d += " (" + releaseWord(r.Status) + ")"
			}
			rows = append(rows, []string{fmt.Sprintf("v%d", r.Version), d, r.User.Email, stamp(r.CreatedAt)})
		}
		table(c.Stdout, nil, rows)
		return nil
	},
}

func releaseWord(status string) string {
	if status == string(api.Pending) {
		return "being rolled out"
	}
	return status
}

var releaseInfoCommand = &Command{
	Name: "releases:info", Args: "[RELEASE]", Short: "show one release", App: true, JSON: true,
	Long: `Config vars are shown by name only; --config shows their values.

Examples:
  $ paas releases:info
  $ paas releases:info v7 --config`,
	Flags: func(f *pflag.FlagSet) {
		f.Bool("config", false, "show the values of config vars")
	},
	Run: func(ctx context.Context, c *Call) error {
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		which, err := c.release()
		if err != nil {
			return err
		}
		r, err := cl.Release(ctx, name, which)
		if err != nil {
			return err
		}
		config, err := cl.ReleaseConfig(ctx, name, r.ID)
		if api.IDOf(err) == api.Forbidden && !c.bool("config") {
			config, err = nil, nil // a token that may read all but this
		}
		if err != nil {
			return err
		}
		if c.bool("config") {
			if done, err := c.json(struct {
				v3.Release
				ConfigVars map[string]string `json:"config_vars"`
			}{r, config}); done {
				return err
			}
		}
		if done, err := c.json(r); done {
			return err
		}
		c.print("=== Release v%d\n\n", r.Version)
		rows := [][]string{{"By:", r.User.Email}, {"Change:", r.Description}, {"Status:", r.Status}, {"When:", stamp(r.CreatedAt) + " (~ " + ago(r.CreatedAt) + ")"}}
		if r.Slug != nil {
			s, err := cl.Slug(ctx, name, r.Slug.ID)
			if err != nil {
				return err
			}
			rows = append(rows, []string{"Slug:", deref(s.Checksum)}, []string{"Commit:", deref(s.Commit)})
		}
		table(c.Stdout, nil, rows)
		if len(config) == 0 {
			return nil
		}
		c.print("\n=== v%d Config vars\n\n", r.Version)
		var vars [][]string
		for _, k := range slices.Sorted(maps.Keys(config)) {
			v := "(hidden)"
			if c.bool("config") {
				v = config[k]
			}
			vars = append(vars, []string{k + ":", v})
		}
		table(c.Stdout, nil, vars)
		return nil
	},
}

// release is the argument that names a release; without it, the current one.
func (c *Call) release() (string, error) {
	if err := c.args(0, 1); err != nil {
		return "", err
	}
	if len(c.Args) == 0 {
		return "current", nil
	}
	return c.Args[0], nil
}

var releaseOutputCommand = &Command{
	Name: "releases:output", Args: "[RELEASE]", Short: "show what a release phase printed", App: true,
	Run: func(ctx context.Context, c *Call) error {
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		which, err := c.release()
		if err != nil {
			return err
		}
		r, err := cl.Release(ctx, name, which)
		if err != nil {
			return err
		}
		if r.OutputStreamURL == nil {
			c.say("Release v%d had no release phase.\n", r.Version)
			return nil
		}
		return cl.Output(ctx, *r.OutputStreamURL, c.Stdout)
	},
}

var rollbackCommand = &Command{
	Name: "releases:rollback", Aliases: []string{"rollback"}, Args: "[RELEASE]", Short: "go back to an older release", App: true, JSON: true,
	Long: `Makes a new release with the slug and config vars of an older one; without
RELEASE, of the one before the current one. Nothing is built.

Example:
  $ paas rollback v4
  Rolling back my-shop to v4... done, v7`,
	Run: func(ctx context.Context, c *Call) error {
		if err := c.args(0, 1); err != nil {
			return err
		}
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		target, words := "", "the previous release"
		if len(c.Args) == 1 {
			target, words = c.Args[0], c.Args[0]
		}
		c.say("Rolling back %s to %s... ", name, words)
		r, err := cl.Rollback(ctx, name, target)
		if err != nil {
			c.say("failed\n")
			return err
		}
		if r, err = c.awaitRelease(ctx, cl, name, r); err != nil {
			return err
		}
		_, err = c.json(r)
		return err
	},
}

// awaitRelease waits until a pending release is current or has failed, and
// ends the line of progress that the caller has begun.
func (c *Call) awaitRelease(ctx context.Context, cl *client.Client, app string, r v3.Release) (v3.Release, error) {
	for wait := 20 * time.Millisecond; r.Status == string(api.Pending); wait = min(2*wait, time.Second) {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			c.say("still being rolled out, v%d\n", r.Version)
			return r, ctx.Err()
		}
		next, err := cl.Release(ctx, app, r.ID)
		switch {
		case ctx.Err() != nil:
			continue
		case err != nil:
			c.say("v%d is being rolled out, but how it ends is not known\n", r.Version)
			return r, err
		}
		r = next
	}
	if r.Status == string(api.Failed) {
		c.say("failed, v%d\n", r.Version)
		why := "paas logs -a " + app
		if r.OutputStreamURL != nil {
			why = fmt.Sprintf("paas releases:output v%d -a %s, or %s", r.Version, app, why)
		}
		return r, api.Errorf(api.InvalidParams, "Release v%d did not come up; the release before it is still current.\nSee why: %s", r.Version, why)
	}
	c.say("done, v%d\n", r.Version)
	return r, nil
}
