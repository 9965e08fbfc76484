package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

var slugsCommand = &Command{
	Name: "slugs", Short: "list an app's slugs", App: true, JSON: true,
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
		list, err := cl.Slugs(ctx, name, n)
		if err != nil {
			return err
		}
		if done, err := c.json(list); done {
			return err
		}
		if len(list) == 0 {
			c.say("%s has no slugs yet. Push first: git push paas main\n", name)
			return nil
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
		for _, t := range slices.Sorted(maps.Keys(s.ProcessTypes)) {
			types = append(types, []string{t + ":", s.ProcessTypes[t]})
		}
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
		var size counter
		err = writeFile(c.Args[0], func(w io.Writer) error {
			return cl.ExportSlug(ctx, name, c.string("slug"), io.MultiWriter(w, &size))
		})
		if err == nil {
			c.say("Exporting to %s... done, %s\n", c.Args[0], bytesText(int64(size)))
		}
		return err
	},
}

// counter counts what is written to it.
type counter int64

func (n *counter) Write(b []byte) (int, error) {
	*n += counter(len(b))
	return len(b), nil
}

// writeFile makes a file whole or not at all.
func writeFile(path string, write func(io.Writer) error) error {
	part := path + ".part"
	f, err := os.Create(part)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	if err := os.Rename(part, path); err != nil {
		return errors.Join(fmt.Errorf("cannot write %s: %w", path, err), os.Remove(part))
	}
	return nil
}
