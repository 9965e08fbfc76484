package cli

import (
	"bufio"
	"context"
	"os/exec"
	"runtime"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"paas/api"
	v3 "paas/api/v3"
)

var appsCommand = &Command{
	Name: "apps", Short: "list your apps", JSON: true,
	Flags: func(f *pflag.FlagSet) { f.BoolP("all", "A", false, "every app you may see") },
	Run: func(ctx context.Context, c *Call) error {
		api, err := c.Client()
		if err != nil {
			return err
		}
		apps, err := api.Apps(ctx, c.bool("all"))
		if err != nil {
			return err
		}
		if done, err := c.json(apps); done {
			return err
		}
		if len(apps) == 0 {
			c.say("You have no apps. Make one: paas create\n")
			return nil
		}
		c.print("=== Apps\n\n")
		for _, a := range apps {
			c.print("%s\n", a.Name)
		}
		return nil
	},
}

var createCommand = &Command{
	Name: "apps:create", Aliases: []string{"create"}, Args: "[NAME]", Short: "make a new app", JSON: true,
	Long: `Without NAME, a name is made up. In a git repository the remote "paas" is set.

Examples:
  $ paas create my-shop
  Creating my-shop... done
  http://my-shop.localhost | ssh://git@localhost:2222/my-shop.git`,
	Flags: func(f *pflag.FlagSet) {
		f.StringP("stack", "s", "", "the stack to build on")
		f.StringP("remote", "r", defaultRemote, "the git remote to set")
		f.BoolP("no-remote", "n", false, "do not set a git remote")
	},
	Run: func(ctx context.Context, c *Call) error {
		if err := c.args(0, 1); err != nil {
			return err
		}
		name := ""
		if len(c.Args) == 1 {
			name = c.Args[0]
			if err := api.CheckAppName(name); err != nil {
				return err
			}
		}
		cl, err := c.Client()
		if err != nil {
			return err
		}
		app, err := cl.CreateApp(ctx, name, c.string("stack"))
		if err != nil {
			return err
		}
		c.say("Creating %s... done\n", app.Name)
		if !c.bool("no-remote") && inGit(ctx) {
			if err := setRemote(ctx, c.string("remote"), app.GitURL); err != nil {
				return err
			}
			c.say("Git remote %s is %s\n", c.string("remote"), app.GitURL)
		}
		if done, err := c.json(app); done {
			return err
		}
		c.print("%s | %s\n", deref(app.WebURL), app.GitURL)
		return nil
	},
}

var infoCommand = &Command{
	Name: "apps:info", Aliases: []string{"info"}, Short: "show an app", App: true, JSON: true,
	Run: func(ctx context.Context, c *Call) error {
		name, err := c.App(ctx)
		if err != nil {
			return err
		}
		cl, err := c.Client()
		if err != nil {
			return err
		}
		a, err := cl.App(ctx, name)
		if err != nil {
			return err
		}
		dynos, err := cl.Dynos(ctx, name)
		if err != nil {
			return err
		}
		if done, err := c.json(struct {
			App   v3.App    `json:"app"`
			Dynos []v3.Dyno `json:"dynos"`
		}{a, dynos}); done {
			return err
		}
		c.print("=== %s\n\n", a.Name)
		rows := [][]string{
			{"Dynos:", countDynos(dynos)}, {"Git URL:", a.GitURL}, {"Owner:", a.Owner.Email}, {"Region:", a.Region.Name},
			{"Repo Size:", bytesText(deref(a.RepoSize))}, {"Slug Size:", bytesText(deref(a.SlugSize))},
			{"Stack:", a.Stack.Name}, {"Web URL:", deref(a.WebURL)},
		}
		if a.Maintenance {
			rows = append(rows, []string{"Maintenance:", "on"})
		}
		table(c.Stdout, nil, rows)
		return nil
	},
}

var renameCommand = &Command{
	Name: "apps:rename", Aliases: []string{"rename"}, Args: "NEW_NAME", Short: "rename an app", App: true, JSON: true,
	Run: func(ctx context.Context, c *Call) error {
		if err := c.args(1, 1); err != nil {
			return err
		}
		if err := api.CheckAppName(c.Args[0]); err != nil {
			return err
		}
		old, err := c.App(ctx)
		if err != nil {
			return err
		}
		cl, err := c.Client()
		if err != nil {
			return err
		}
		a, err := cl.RenameApp(ctx, old, c.Args[0])
		if err != nil {
			return err
		}
		c.say("Renaming %s to %s... done\n", old, a.Name)
		for remote, app := range gitRemotes(ctx) {
			if app == old {
				if err := setRemote(ctx, remote, a.GitURL); err != nil {
					return err
				}
				c.say("Git remote %s is %s\n", remote, a.GitURL)
			}
		}
		if done, err := c.json(a); done {
			return err
		}
		c.print("%s | %s\n", deref(a.WebURL), a.GitURL)
		return nil
	},
}

var destroyCommand = &Command{
	Name: "apps:destroy", Aliases: []string{"destroy", "apps:delete"}, Short: "delete an app and all that it has", App: true, JSON: true,
	Long: `Asks for the app's name. In scripts, say it with --confirm.

Example:
  $ paas destroy -a my-shop --confirm my-shop`,
	Flags: func(f *pflag.FlagSet) { f.StringP("confirm", "c", "", "the app's name, instead of asking") },
	Run: func(ctx context.Context, c *Call) error {
		name, err := c.App(ctx)
		if err != nil {
			return err
		}
		cl, err := c.Client()
		if err != nil {
			return err
		}
		if _, err := cl.App(ctx, name); err != nil {
			return err
		}
		if err := c.confirm(name); err != nil {
			return err
		}
		a, err := cl.DestroyApp(ctx, name)
		if err != nil {
			return err
		}
		for remote, app := range gitRemotes(ctx) {
			if app == name {
				if _, err := git(ctx, "remote", "remove", remote); err != nil {
					c.say("The git remote %s could not be removed.\n", remote)
				}
			}
		}
		if done, err := c.json(a); done {
			return err
		}
		c.say("Destroying %s... done\n", name)
		return nil
	},
}

// confirm makes people type the app's name before something is lost.
func (c *Call) confirm(name string) error {
	given := c.string("confirm")
	if given == "" {
		if !term.IsTerminal(int(c.Stdin.Fd())) {
			return usagef("This deletes %s and all that it has. To go on, add --confirm %s", name, name)
		}
		c.say(" !    WARNING: This will delete %s including all that it has.\n !    To proceed, type %s: ", name, name)
		line, err := bufio.NewReader(c.Stdin).ReadString('\n')
		if err != nil {
			return usagef("Nothing was typed. %s is untouched.", name)
		}
		given = strings.TrimSpace(line)
	}
	if given != name {
		return usagef("%q is not %q. Nothing was deleted.", given, name)
	}
	return nil
}

var gitRemoteCommand = &Command{
	Name: "git:remote", Short: "set the git remote of an app in this directory", App: true,
	Run: func(ctx context.Context, c *Call) error {
		name, err := c.App(ctx)
		if err != nil {
			return err
		}
		cl, err := c.Client()
		if err != nil {
			return err
		}
		a, err := cl.App(ctx, name)
		if err != nil {
			return err
		}
		remote := c.string("remote")
		if remote == "" {
			remote = defaultRemote
		}
		if err := setRemote(ctx, remote, a.GitURL); err != nil {
			return err
		}
		c.print("set git remote %s to %s\n", remote, a.GitURL)
		return nil
	},
}

var openCommand = &Command{
	Name: "apps:open", Aliases: []string{"open"}, Args: "[PATH]", Short: "open an app in the browser", App: true,
	Long: "Without a browser it prints the address.",
	Run: func(ctx context.Context, c *Call) error {
		if err := c.args(0, 1); err != nil {
			return err
		}
		name, err := c.App(ctx)
		if err != nil {
			return err
		}
		cl, err := c.Client()
		if err != nil {
			return err
		}
		a, err := cl.App(ctx, name)
		if err != nil {
			return err
		}
		address := strings.TrimSuffix(deref(a.WebURL), "/")
		if len(c.Args) == 1 {
			address += "/" + strings.TrimPrefix(c.Args[0], "/")
		}
		opener := "xdg-open"
		if runtime.GOOS == "darwin" {
			opener = "open"
		}
		if exec.CommandContext(ctx, opener, address).Run() != nil {
			c.print("%s\n", address)
		}
		return nil
	},
}

var maintenanceCommand = &Command{
	Name: "maintenance", Short: "show whether maintenance mode is on", App: true, JSON: true,
	Run: func(ctx context.Context, c *Call) error {
		name, err := c.App(ctx)
		if err != nil {
			return err
		}
		cl, err := c.Client()
		if err != nil {
			return err
		}
		a, err := cl.App(ctx, name)
		if err != nil {
			return err
		}
		if done, err := c.json(map[string]bool{"maintenance": a.Maintenance}); done {
			return err
		}
		if a.Maintenance {
			c.print("on\n")
		} else {
			c.print("off\n")
		}
		return nil
	},
}

var maintenanceOnCommand = &Command{
	Name: "maintenance:on", Short: "answer all requests with a maintenance page", App: true,
	Run: func(ctx context.Context, c *Call) error { return c.maintenance(ctx, true) },
}

var maintenanceOffCommand = &Command{
	Name: "maintenance:off", Short: "serve requests again", App: true,
	Run: func(ctx context.Context, c *Call) error { return c.maintenance(ctx, false) },
}

func (c *Call) maintenance(ctx context.Context, on bool) error {
	name, err := c.App(ctx)
	if err != nil {
		return err
	}
	cl, err := c.Client()
	if err != nil {
		return err
	}
	if _, err := cl.SetMaintenance(ctx, name, on); err != nil {
		return err
	}
	word := "Disabling"
	if on {
		word = "Enabling"
	}
	c.say("%s maintenance mode for %s... done\n", word, name)
	return nil
}
