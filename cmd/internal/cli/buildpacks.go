package cli

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"paas/api/client"
)

var buildpacksCommand = &Command{
	Name: "buildpacks", Short: "show which buildpacks an app uses", App: true, JSON: true,
	Run: func(ctx context.Context, c *Call) error {
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		list, err := cl.Buildpacks(ctx, name)
		if err != nil {
			return err
		}
		if done, err := c.json(list); done {
			return err
		}
		if len(list) == 0 {
			c.say("%s has no buildpacks set: each build detects which one fits.\n", name)
			return nil
		}
		c.print("=== %s Buildpacks\n\n", name)
		for i, b := range list {
			c.print("%d. %s\n", i+1, b.Buildpack.Name)
		}
		return nil
	},
}

func indexFlag(f *pflag.FlagSet) { f.IntP("index", "i", 0, "its place in the list, from 1") }

var buildpacksSetCommand = &Command{
	Name: "buildpacks:set", Args: "BUILDPACK", Short: "set the buildpack", App: true,
	Long: `Without --index it replaces the whole list, with it one place of it.

Examples:
  $ paas buildpacks:set heroku/nodejs
  $ paas buildpacks:set https://example.com/my-buildpack.git#v3 --index 2`,
	Flags: indexFlag,
	Run: func(ctx context.Context, c *Call) error {
		return c.changeBuildpacks(ctx, func(list []string, place int) ([]string, error) {
			switch {
			case place == 0:
				return c.Args, nil
			case place <= len(list):
				list[place-1] = c.Args[0]
				return list, nil
			}
			return append(list, c.Args[0]), nil
		})
	},
}

var buildpacksAddCommand = &Command{
	Name: "buildpacks:add", Args: "BUILDPACK", Short: "add a buildpack", App: true,
	Long: `Without --index it becomes the last.

Example:
  $ paas buildpacks:add --index 1 heroku/nodejs`,
	Flags: indexFlag,
	Run: func(ctx context.Context, c *Call) error {
		return c.changeBuildpacks(ctx, func(list []string, place int) ([]string, error) {
			switch {
			case slices.Contains(list, c.Args[0]):
				return nil, usagef("%s is in the list already. See: paas buildpacks", c.Args[0])
			case place == 0 || place > len(list):
				return append(list, c.Args[0]), nil
			}
			return slices.Insert(list, place-1, c.Args[0]), nil
		})
	},
}

var buildpacksRemoveCommand = &Command{
	Name: "buildpacks:remove", Args: "BUILDPACK | NUMBER", Short: "remove a buildpack", App: true,
	Run: func(ctx context.Context, c *Call) error {
		return c.changeBuildpacks(ctx, func(list []string, _ int) ([]string, error) {
			i := slices.Index(list, c.Args[0])
			if n, err := strconv.Atoi(c.Args[0]); err == nil && n >= 1 && n <= len(list) {
				i = n - 1
			}
			if i < 0 {
				return nil, usagef("%s is not in the list. See: paas buildpacks", c.Args[0])
			}
			return slices.Delete(list, i, i+1), nil
		})
	},
}

var buildpacksClearCommand = &Command{
	Name: "buildpacks:clear", Short: "let each build detect its buildpack again", App: true,
	Run: func(ctx context.Context, c *Call) error {
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		return c.setBuildpacks(ctx, cl, name, nil)
	},
}

// changeBuildpacks replaces the list by what change makes of it. The command
// has one argument, and perhaps --index.
func (c *Call) changeBuildpacks(ctx context.Context, change func(list []string, place int) ([]string, error)) error {
	if err := c.args(1, 1); err != nil {
		return err
	}
	place := c.int("index")
	if place < 0 {
		return usagef("--index counts from 1.")
	}
	name, cl, err := c.appClient(ctx)
	if err != nil {
		return err
	}
	now, err := cl.Buildpacks(ctx, name)
	if err != nil {
		return err
	}
	list := make([]string, len(now))
	for i, b := range now {
		list[i] = b.Buildpack.URL
	}
	if list, err = change(list, place); err != nil {
		return err
	}
	return c.setBuildpacks(ctx, cl, name, list)
}

func (c *Call) setBuildpacks(ctx context.Context, cl *client.Client, app string, list []string) error {
	if _, err := cl.SetBuildpacks(ctx, app, list); err != nil {
		return err
	}
	if len(list) == 0 {
		c.say("Buildpacks of %s are detected from now on.\n", app)
		return nil
	}
	c.say("Buildpacks of %s: %s. The next push uses them.\n", app, strings.Join(list, ", "))
	return nil
}
