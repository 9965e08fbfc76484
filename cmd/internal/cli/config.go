package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"paas/api"
	"paas/api/client"
)

var configCommand = &Command{
	Name: "config", Short: "list an app's config vars", App: true, JSON: true,
	Flags: func(f *pflag.FlagSet) { f.BoolP("shell", "s", false, "print NAME=value lines for a shell") },
	Run: func(ctx context.Context, c *Call) error {
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		config, err := cl.Config(ctx, name)
		if err != nil {
			return err
		}
		if done, err := c.json(config); done {
			return err
		}
		keys := slices.Sorted(maps.Keys(config))
		if c.bool("shell") {
			for _, k := range keys {
				c.print("%s=%s\n", k, shellQuote(config[k]))
			}
			return nil
		}
		if len(keys) == 0 {
			c.say("%s has no config vars.\n", name)
			return nil
		}
		c.print("=== %s Config Vars\n\n", name)
		var rows [][]string
		for _, k := range keys {
			rows = append(rows, []string{k + ":", config[k]})
		}
		table(c.Stdout, nil, rows)
		return nil
	},
}

var configGetCommand = &Command{
	Name: "config:get", Args: "NAME", Short: "print one config var", App: true, JSON: true,
	Run: func(ctx context.Context, c *Call) error {
		if err := c.args(1, 1); err != nil {
			return err
		}
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		config, err := cl.Config(ctx, name)
		if err != nil {
			return err
		}
		value, ok := config[c.Args[0]]
		if !ok {
			return exitError(exitFail) // as Heroku does: nothing printed
		}
		if done, err := c.json(value); done {
			return err
		}
		c.print("%s\n", value)
		return nil
	},
}

var configSetCommand = &Command{
	Name: "config:set", Aliases: []string{"config:add"}, Args: "NAME=VALUE...", Short: "set config vars, in one new release", App: true, JSON: true,
	Long: `Example:
  $ paas config:set RAILS_ENV=staging LOG_LEVEL=debug
  Setting RAILS_ENV, LOG_LEVEL and restarting my-shop... done, v7`,
	Run: func(ctx context.Context, c *Call) error {
		if err := c.args(1, -1); err != nil {
			return err
		}
		changes := map[string]*string{}
		var names []string
		for _, a := range c.Args {
			key, value, ok := strings.Cut(a, "=")
			if !ok {
				return usagef("%s is not NAME=VALUE.", a)
			}
			if err := api.CheckConfigKey(key); err != nil {
				return err
			}
			changes[key] = &value
			names = append(names, key)
		}
		return c.changeConfig(ctx, "Setting", names, changes)
	},
}

var configUnsetCommand = &Command{
	Name: "config:unset", Aliases: []string{"config:remove"}, Args: "NAME...", Short: "remove config vars, in one new release", App: true, JSON: true,
	Run: func(ctx context.Context, c *Call) error {
		if err := c.args(1, -1); err != nil {
			return err
		}
		changes := map[string]*string{}
		for _, key := range c.Args {
			changes[key] = nil
		}
		return c.changeConfig(ctx, "Unsetting", c.Args, changes)
	},
}

func (c *Call) changeConfig(ctx context.Context, verb string, names []string, changes map[string]*string) error {
	name, cl, err := c.appClient(ctx)
	if err != nil {
		return err
	}
	before, err := cl.Release(ctx, name, "current")
	if err != nil {
		return err
	}
	c.say("%s %s and restarting %s... ", verb, strings.Join(names, ", "), name)
	config, err := cl.SetConfig(ctx, name, changes)
	if err != nil {
		c.say("failed\n")
		return err
	}
	latest, err := cl.Releases(ctx, name, 1)
	if err != nil || len(latest) == 0 {
		c.say("done\n")
		return err
	}
	if latest[0].Version <= before.Version {
		c.say("done, no change\n")
	} else if err := c.awaitRelease(ctx, cl, name, latest[0]); err != nil {
		return err
	}
	if done, err := c.json(config); done {
		return err
	}
	if verb == "Setting" {
		var rows [][]string
		for _, n := range names {
			rows = append(rows, []string{n + ":", config[n]})
		}
		table(c.Stdout, nil, rows)
	}
	return nil
}

// appClient is the first step of every command about an app.
func (c *Call) appClient(ctx context.Context) (string, *client.Client, error) {
	name, err := c.App(ctx)
	if err != nil {
		return "", nil, err
	}
	cl, err := c.Client()
	return name, cl, err
}

// shellQuote quotes for a POSIX shell. It is for people to paste; nothing here
// runs it.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:@%+,=", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return fmt.Sprintf("'%s'", strings.ReplaceAll(s, "'", `'\''`))
}
