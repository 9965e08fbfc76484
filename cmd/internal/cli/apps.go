package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"github.com/spf13/pflag"

	"paas/api"
	v3 "paas/api/v3"
)

var appsCommand = &Command{
	Name: "apps", Aliases: []string{"list"}, Short: "list your apps", JSON: true,
	Flags: func(f *pflag.FlagSet) { f.BoolP("all", "A", false, "every app you may see") },
	Run: func(ctx context.Context, c *Call) error {
		cl, err := c.Client()
		if err != nil {
			return err
		}
		apps, err := cl.Apps(ctx, c.bool("all"))
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
	Long: `Without NAME, a name is made up. In a git repository the remote "paas" is set,
unless it belongs to another app.

Examples:
  $ paas create my-shop
  Creating my-shop... done
  http://my-shop.localhost | ssh://git@localhost:2222/my-shop.git`,
	Flags: func(f *pflag.FlagSet) {
		f.StringP("app", "a", "", "the new app's name, like NAME")
		f.StringArrayP("buildpack", "b", nil, "the buildpack, may be repeated (default: detect)")
		f.StringP("stack", "s", "", "the stack to build on")
		f.StringP("remote", "r", defaultRemote, "the git remote to set")
		f.BoolP("no-remote", "n", false, "do not set a git remote")
	},
	Run: func(ctx context.Context, c *Call) error {
		if err := c.args(0, 1); err != nil {
			return err
		}
		name := c.string("app")
		if len(c.Args) == 1 {
			if name != "" && name != c.Args[0] {
				return usagef("Is it %s or %s? An app has one name.", c.Args[0], name)
			}
			name = c.Args[0]
		}
		if name != "" {
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
		if packs := c.strings("buildpack"); len(packs) > 0 {
			if err := c.setBuildpacks(ctx, cl, app.Name, packs); err != nil {
				return err
			}
		}
		if !c.bool("no-remote") && inGit(ctx) {
			if err := c.remoteOfNew(ctx, c.string("remote"), app); err != nil {
				return err
			}
		}
		if done, err := c.json(app); done {
			return err
		}
		c.print("%s | %s\n", deref(app.WebURL), app.GitURL)
		return nil
	},
}

// remoteOfNew sets the git remote of a new app. A remote that is there already
// is left alone: the next push should not go to another app than the last.
func (c *Call) remoteOfNew(ctx context.Context, remote string, app v3.App) error {
	if url, err := git(ctx, "remote", "get-url", remote); err == nil && url != app.GitURL {
		c.say("The git remote %s is left at %s. To push to the new app: paas git:remote -a %s [-r REMOTE]\n", remote, url, app.Name)
		return nil
	}
	if err := setRemote(ctx, remote, app.GitURL); err != nil {
		return err
	}
	c.say("Git remote %s is %s\n", remote, app.GitURL)
	return nil
}

var infoCommand = &Command{
	Name: "apps:info", Aliases: []string{"info"}, Short: "show an app", App: true, JSON: true,
	Run: func(ctx context.Context, c *Call) error {
		name, cl, err := c.appClient(ctx)
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
	Long: "Git remotes of this directory that name the app are changed too.",
	Run: func(ctx context.Context, c *Call) error {
		if err := c.args(1, 1); err != nil {
			return err
		}
		if err := api.CheckAppName(c.Args[0]); err != nil {
			return err
		}
		old, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		a, err := cl.RenameApp(ctx, old, c.Args[0])
		if err != nil {
			return err
		}
		c.say("Renaming %s to %s... done\n", old, a.Name)
		for _, r := range gitRemotes(ctx) {
			if r.app == old {
				if err := setRemote(ctx, r.name, a.GitURL); err != nil {
					return err
				}
				c.say("Git remote %s is %s\n", r.name, a.GitURL)
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
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		if _, err := cl.App(ctx, name); err != nil {
			return err
		}
		if err := c.confirm(ctx, name); err != nil {
			return err
		}
		a, err := cl.DestroyApp(ctx, name)
		if err != nil {
			return err
		}
		c.say("Destroying %s... done\n", name)
		for _, r := range gitRemotes(ctx) {
			if r.app == name {
				if _, err := git(ctx, "remote", "remove", r.name); err != nil {
					c.say("The git remote %s could not be removed.\n", r.name)
				}
			}
		}
		_, err = c.json(a)
		return err
	},
}

var gitRemoteCommand = &Command{
	Name: "git:remote", Short: "set the git remote of an app in this directory", App: true,
	Long: `Examples:
  $ paas git:remote -a my-shop
  set git remote paas to ssh://git@localhost:2222/my-shop.git
  $ paas git:remote -a my-shop-staging -r staging`,
	Run: func(ctx context.Context, c *Call) error {
		name, cl, err := c.appClient(ctx)
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
	Long: "Where there is no browser it prints the address.",
	Run: func(ctx context.Context, c *Call) error {
		if err := c.args(0, 1); err != nil {
			return err
		}
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		a, err := cl.App(ctx, name)
		if err != nil {
			return err
		}
		address := strings.TrimSuffix(deref(a.WebURL), "/")
		if !strings.HasPrefix(address, "http://") && !strings.HasPrefix(address, "https://") {
			return fmt.Errorf("cannot open %s: its address is %q", name, address)
		}
		if len(c.Args) == 1 {
			address += "/" + strings.TrimPrefix(c.Args[0], "/")
		}
		opener := browser()
		if opener == nil || exec.CommandContext(ctx, opener[0], append(opener[1:], address)...).Run() != nil {
			c.print("%s\n", address)
			return nil
		}
		c.say("Opening %s\n", address)
		return nil
	},
}

// browser is the command that opens an address here; nil = there is none.
func browser() []string {
	switch runtime.GOOS {
	case "darwin":
		return []string{"open"}
	case "windows":
		return []string{"rundll32", "url.dll,FileProtocolHandler"}
	}
	// Without a display xdg-open takes over the terminal with a text browser.
	if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" && os.Getenv("BROWSER") == "" {
		return nil
	}
	return []string{"xdg-open"}
}
