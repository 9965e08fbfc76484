package cli

import (
	"context"

	"github.com/spf13/pflag"

	"paas/api"
	"paas/api/client"
	v3 "paas/api/v3"
)

var buildsCommand = &Command{
	Name: "builds", Short: "list an app's builds", App: true, JSON: true,
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
		list, err := cl.Builds(ctx, name, n)
		if err != nil {
			return err
		}
		if done, err := c.json(list); done {
			return err
		}
		if len(list) == 0 {
			c.say("%s has no builds yet. Push first: git push paas main\n", name)
			return nil
		}
		c.print("=== %s Builds\n\n", name)
		var rows [][]string
		for _, b := range list {
			commit := deref(b.SourceBlob.Version)
			rows = append(rows, []string{b.ID, commit[:min(8, len(commit))], b.Status, b.User.Email, stamp(b.CreatedAt), b.Reason})
		}
		table(c.Stdout, []string{"Build", "Commit", "Status", "By", "Started", "Why"}, rows)
		return nil
	},
}

// build names the build that a command is about: its argument, or the newest.
func (c *Call) build(ctx context.Context, cl *client.Client, app string) (v3.Build, error) {
	if err := c.args(0, 1); err != nil {
		return v3.Build{}, err
	}
	if len(c.Args) == 1 {
		return cl.Build(ctx, app, c.Args[0])
	}
	list, err := cl.Builds(ctx, app, 1)
	if err == nil && len(list) == 0 {
		err = api.Errorf(api.NotFound, "%s has no builds yet. Push first: git push paas main", app)
	}
	if err != nil {
		return v3.Build{}, err
	}
	return list[0], nil
}

var buildsOutputCommand = &Command{
	Name: "builds:output", Args: "[BUILD]", Short: "show what a build printed (default: the newest); follows one that runs", App: true,
	Run: func(ctx context.Context, c *Call) error {
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		b, err := c.build(ctx, cl, name)
		if err != nil {
			return err
		}
		return cl.Output(ctx, b.OutputStreamURL, c.Stdout)
	},
}

var buildsCancelCommand = &Command{
	Name: "builds:cancel", Args: "[BUILD]", Short: "cancel a build that runs (default: the newest)", App: true, JSON: true,
	Run: func(ctx context.Context, c *Call) error {
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		b, err := c.build(ctx, cl, name)
		if err != nil {
			return err
		}
		if b, err = cl.CancelBuild(ctx, name, b.ID); err != nil {
			return err
		}
		c.say("Cancelling build %s... done\n", b.ID)
		_, err = c.json(b)
		return err
	},
}

var cachePurgeCommand = &Command{
	Name: "builds:cache:purge", Short: "drop what builds have cached", App: true,
	Run: func(ctx context.Context, c *Call) error {
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		if err := cl.PurgeBuildCache(ctx, name); err != nil {
			return err
		}
		c.say("Clearing the build cache of %s... done\n", name)
		return nil
	},
}
