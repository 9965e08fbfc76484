package cli

import (
	"context"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"paas/api"
)

var configCommand = &Command{
	Name: "config", Short: "list an app's config vars", App: true, JSON: true,
	Long: `Example, to copy them to another app:
  $ paas config -s -a my-shop | paas config:set --file - -a my-shop-staging`,
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
	Name: "config:get", Args: "NAME...", Short: "print config vars", App: true, JSON: true,
	Long:  "If one of them is not set, nothing is printed for it and the exit status is 1.",
	Flags: func(f *pflag.FlagSet) { f.BoolP("shell", "s", false, "print NAME=value lines for a shell") },
	Run: func(ctx context.Context, c *Call) error {
		if err := c.args(1, -1); err != nil {
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
		var absent error
		found := map[string]string{}
		for _, key := range c.Args {
			value, ok := config[key]
			if !ok {
				absent = exitError(exitFail)
				continue
			}
			found[key] = value
			switch {
			case c.bool("json"):
			case c.bool("shell"):
				c.print("%s=%s\n", key, shellQuote(value))
			default:
				c.print("%s\n", value)
			}
		}
		if done, err := c.json(found); done && err != nil {
			return err
		}
		return absent
	},
}

var configSetCommand = &Command{
	Name: "config:set", Aliases: []string{"config:add"}, Args: "[NAME=VALUE...]", Short: "set config vars, in one new release", App: true, JSON: true,
	Long: `What stands on a command line can be seen by other users of your machine and
stays in the shell's history; a file cannot and does not.

Examples:
  $ paas config:set RAILS_ENV=staging LOG_LEVEL=debug
  Setting RAILS_ENV, LOG_LEVEL and restarting my-shop... done, v7
  $ paas config:set --file .env`,
	Flags: func(f *pflag.FlagSet) {
		f.StringP("file", "f", "", "file of NAME=VALUE lines, as config -s prints them; - is standard input")
	},
	Run: func(ctx context.Context, c *Call) error {
		file := c.string("file")
		if file == "" && len(c.Args) == 0 {
			return c.args(1, -1)
		}
		var vars []assignment
		if file != "" {
			text, err := c.readFile(file)
			if err != nil {
				return err
			}
			if vars, err = parseAssignments(text); err != nil {
				return usagef("%s: %v", file, err)
			}
		}
		for _, a := range c.Args {
			key, value, ok := strings.Cut(a, "=")
			if !ok {
				return usagef("%s is not NAME=VALUE.", a)
			}
			vars = append(vars, assignment{key, value})
		}
		changes := map[string]*string{}
		var names []string
		for _, v := range vars {
			if err := api.CheckConfigKey(v.name); err != nil {
				return err
			}
			if _, twice := changes[v.name]; !twice {
				names = append(names, v.name)
			}
			changes[v.name] = &v.value
		}
		if len(names) == 0 {
			return usagef("%s holds no NAME=VALUE line.", file)
		}
		return c.changeConfig(ctx, "Setting", names, changes)
	},
}

// readFile reads a small text file, or standard input ("-").
func (c *Call) readFile(file string) (string, error) {
	in := c.Stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, 1<<20))
	return string(b), err
}

var configUnsetCommand = &Command{
	Name: "config:unset", Aliases: []string{"config:remove"}, Args: "NAME...", Short: "remove config vars, in one new release", App: true, JSON: true,
	Run: func(ctx context.Context, c *Call) error {
		if err := c.args(1, -1); err != nil {
			return err
		}
		changes := map[string]*string{}
		for _, key := range c.Args {
			if strings.Contains(key, "=") {
				return usagef("config:unset takes names only: %s", key[:strings.Index(key, "=")])
			}
			changes[key] = nil
		}
		return c.changeConfig(ctx, "Unsetting", c.Args, changes)
	},
}

// changeConfig makes the change and waits until its release is current. With
// --json it prints the release; values are never printed.
func (c *Call) changeConfig(ctx context.Context, verb string, names []string, changes map[string]*string) error {
	name, cl, err := c.appClient(ctx)
	if err != nil {
		return err
	}
	before, err := cl.Releases(ctx, name, 1)
	if err != nil {
		return err
	}
	c.say("%s %s and restarting %s... ", verb, strings.Join(names, ", "), name)
	if _, err := cl.SetConfig(ctx, name, changes); err != nil {
		c.say("failed\n")
		return err
	}
	latest, err := cl.Releases(ctx, name, 1)
	if err != nil {
		c.say("done\n")
		return err
	}
	r := latest[0] // there is a first one from the app's creation
	if r.Version == before[0].Version {
		c.say("done, no change\n")
	} else if r, err = c.awaitRelease(ctx, cl, name, r); err != nil {
		return err
	}
	_, err = c.json(r)
	return err
}
