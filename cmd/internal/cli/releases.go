package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
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
		list, err := cl.Releases(ctx, name, c.int("num"))
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
	Long: "Config vars are shown by name only; --config shows their values.",
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
		if err != nil {
			return err
		}
		if done, err := c.json(r); done {
			return err
		}
		c.print("=== Release v%d\n\n", r.Version)
		rows := [][]string{{"By:", r.User.Email}, {"Change:", r.Description}, {"Status:", r.Status}, {"When:", stamp(r.CreatedAt) + " (" + ago(r.CreatedAt) + ")"}}
		if r.Slug != nil {
			s, err := cl.Slug(ctx, name, r.Slug.ID)
			if err != nil {
				return err
			}
			rows = append(rows, []string{"Slug:", deref(s.Checksum)}, []string{"Commit:", deref(s.Commit)})
		}
		table(c.Stdout, nil, rows)
		c.print("\n=== v%d Config vars\n\n", r.Version)
		var vars [][]string
		for k, v := range config {
			if !c.bool("config") {
				v = "(hidden)"
			}
			vars = append(vars, []string{k + ":", v})
		}
		sort.Slice(vars, func(i, j int) bool { return vars[i][0] < vars[j][0] })
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
		if err := c.awaitRelease(ctx, cl, name, r); err != nil {
			return err
		}
		_, err = c.json(r)
		return err
	},
}

// awaitRelease waits until a pending release is current or has failed, and
// ends the line of progress that the caller has begun.
func (c *Call) awaitRelease(ctx context.Context, cl *client.Client, app string, r v3.Release) error {
	for wait := 20 * time.Millisecond; r.Status == string(api.Pending); wait = min(2*wait, time.Second) {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			c.say("still being rolled out, v%d\n", r.Version)
			return ctx.Err()
		}
		var err error
		if r, err = cl.Release(ctx, app, r.ID); err != nil {
			c.say("failed\n")
			return err
		}
	}
	if r.Status == string(api.Failed) {
		c.say("failed, v%d\n", r.Version)
		return api.Errorf(api.InvalidParams, "Release v%d did not come up; the release before it is still current.\nSee why: paas logs -a %s", r.Version, app)
	}
	c.say("done, v%d\n", r.Version)
	return nil
}

var slugsCommand = &Command{
	Name: "slugs", Short: "list an app's slugs", App: true, JSON: true,
	Flags: func(f *pflag.FlagSet) { f.IntP("num", "n", 15, "how many") },
	Run: func(ctx context.Context, c *Call) error {
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		list, err := cl.Slugs(ctx, name, c.int("num"))
		if err != nil {
			return err
		}
		if done, err := c.json(list); done {
			return err
		}
		c.print("=== %s Slugs\n\n", name)
		var rows [][]string
		for _, s := range list {
			commit := deref(s.Commit)
			rows = append(rows, []string{s.ID, commit[:min(8, len(commit))], bytesText(deref(s.Size)), strings.Join(s.Buildpacks, ", "), stamp(s.CreatedAt)})
		}
		table(c.Stdout, []string{"Slug", "Commit", "Size", "Buildpacks", "Built"}, rows)
		return nil
	},
}

var slugInfoCommand = &Command{
	Name: "slugs:info", Args: "[SLUG]", Short: "show one slug (default: of the current release)", App: true, JSON: true,
	Run: func(ctx context.Context, c *Call) error {
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		which, err := c.release()
		if err != nil {
			return err
		}
		s, err := cl.Slug(ctx, name, which)
		if err != nil {
			return err
		}
		if done, err := c.json(s); done {
			return err
		}
		c.print("=== Slug %s\n\n", s.ID)
		rows := [][]string{
			{"Digest:", deref(s.Checksum)}, {"Size:", bytesText(deref(s.Size))}, {"Stack:", s.Stack.Name},
			{"Commit:", strings.TrimSpace(deref(s.Commit) + " " + deref(s.CommitDescription))}, {"Buildpacks:", strings.Join(s.Buildpacks, ", ")},
			{"Built:", stamp(s.CreatedAt)},
		}
		if s.Author != nil {
			rows = append(rows, []string{"By:", s.Author.Email})
		}
		table(c.Stdout, nil, rows)
		c.print("\n=== Process types\n\n")
		var types [][]string
		for t, cmd := range s.ProcessTypes {
			types = append(types, []string{t + ":", cmd})
		}
		sort.Slice(types, func(i, j int) bool { return types[i][0] < types[j][0] })
		table(c.Stdout, nil, types)
		c.print("\n=== Layers\n\n")
		var layers [][]string
		for _, l := range s.Layers {
			layers = append(layers, []string{l.Name, bytesText(l.Size), l.Digest})
		}
		table(c.Stdout, nil, layers)
		return nil
	},
}

var slugExportCommand = &Command{
	Name: "slugs:export", Args: "FILE", Short: "write a slug as an OCI image (tar of an image layout)", App: true,
	Long: `FILE "-" is standard output. The image runs anywhere:

Example:
  $ paas slugs:export my-shop.tar
  $ skopeo copy oci-archive:my-shop.tar docker://registry.example.com/my-shop`,
	Flags: func(f *pflag.FlagSet) { f.StringP("slug", "s", "current", "id or digest of the slug") },
	Run: func(ctx context.Context, c *Call) error {
		if err := c.args(1, 1); err != nil {
			return err
		}
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		if c.Args[0] == "-" {
			return cl.ExportSlug(ctx, name, c.string("slug"), c.Stdout)
		}
		return writeFile(c.Args[0], func(w io.Writer) error { return cl.ExportSlug(ctx, name, c.string("slug"), w) })
	},
}

// writeFile makes a file whole or not at all.
func writeFile(path string, write func(io.Writer) error) error {
	part := path + ".part"
	f, err := os.Create(part)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	err = write(f)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return nil
}
