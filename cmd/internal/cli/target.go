package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"paas/api/client"
)

// defaultRemote is the git remote that create and git:remote make.
const defaultRemote = "paas"

// appClient is the first step of every command about an app.
func (c *Call) appClient(ctx context.Context) (string, *client.Client, error) {
	name, err := c.App(ctx)
	if err != nil {
		return "", nil, err
	}
	cl, err := c.Client()
	return name, cl, err
}

// App names the app the command is about: -a, then -r, then PAAS_APP, then the
// git remotes of the directory.
func (c *Call) App(ctx context.Context) (string, error) {
	name, err := c.findApp(ctx)
	c.app = name
	return name, err
}

func (c *Call) findApp(ctx context.Context) (string, error) {
	if name := c.string("app"); name != "" {
		return name, nil
	}
	remote := c.string("remote")
	if name := os.Getenv("PAAS_APP"); name != "" && remote == "" {
		return name, nil
	}
	remotes := gitRemotes(ctx)
	if remote != "" {
		if name := appOf(remotes, remote); name != "" {
			return name, nil
		}
		return "", usagef("There is no git remote %s that names an app here. See: git remote -v", remote)
	}
	if name := appOf(remotes, defaultRemote); name != "" {
		return name, nil
	}
	if chosen, err := git(ctx, "config", "paas.remote"); err == nil && appOf(remotes, chosen) != "" {
		return appOf(remotes, chosen), nil
	}
	switch len(remotes) {
	case 0:
		return "", usagef("Which app? Add -a APP, or run this in the app's git directory (paas git:remote -a APP adds the remote).")
	case 1:
		return remotes[0].app, nil
	}
	choices := make([]string, len(remotes))
	for i, r := range remotes {
		choices[i] = fmt.Sprintf("-r %s (%s)", r.name, r.app)
	}
	return "", usagef("Which app? This directory has several: %s.\nOr choose one for good: git config paas.remote %s", strings.Join(choices, ", "), remotes[0].name)
}

// gitRemote is a git remote that names an app.
type gitRemote struct{ name, app string }

func appOf(remotes []gitRemote, name string) string {
	for _, r := range remotes {
		if r.name == name {
			return r.app
		}
	}
	return ""
}

// The two forms of our own git addresses, git@host:app.git and
// ssh://git@host:port/app.git. Other servers have a directory in front of the
// name.
var remoteURL = regexp.MustCompile(`^(?:git@(?:[^/:]+|\[[^/]+\]):/?|ssh://git@[^/]+/)([a-z][a-z0-9-]*)\.git$`)

// gitRemotes lists the remotes of this directory that name apps, in git's
// order.
func gitRemotes(ctx context.Context) []gitRemote {
	out, err := git(ctx, "remote", "-v")
	if err != nil {
		return nil
	}
	return parseRemotes(out)
}

func parseRemotes(out string) []gitRemote {
	var remotes []gitRemote
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		// Each is listed twice, for fetch and push.
		if m := remoteURL.FindStringSubmatch(f[1]); m != nil && appOf(remotes, f[0]) == "" {
			remotes = append(remotes, gitRemote{f[0], m[1]})
		}
	}
	return remotes
}

// git runs git in this directory and returns what it printed.
func git(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", args...).Output()
	return strings.TrimSpace(string(out)), err
}

// inGit says whether this directory belongs to a git repository.
func inGit(ctx context.Context) bool {
	_, err := git(ctx, "rev-parse", "--git-dir")
	return err == nil
}

// setRemote points a remote at url.
func setRemote(ctx context.Context, name, url string) error {
	list, err := git(ctx, "remote")
	if err != nil {
		return usagef("This is not a git repository. Make one first: git init")
	}
	verb := "add"
	if slices.Contains(strings.Fields(list), name) {
		verb = "set-url"
	}
	if _, err := git(ctx, "remote", verb, "--", name, url); err != nil {
		return usagef("git cannot set the remote %s to %s.", name, url)
	}
	return nil
}
