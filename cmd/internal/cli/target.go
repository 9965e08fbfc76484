package cli

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// defaultRemote is the git remote that create and git:remote make.
const defaultRemote = "paas"

// App names the app the command is about: -a, then PAAS_APP, then the git
// remote of the directory.
func (c *Call) App(ctx context.Context) (string, error) {
	if name := c.string("app"); name != "" {
		return name, nil
	}
	remote := c.string("remote")
	if name := os.Getenv("PAAS_APP"); name != "" && remote == "" {
		return name, nil
	}
	remotes := gitRemotes(ctx)
	if remote != "" {
		if name := remotes[remote]; name != "" {
			return name, nil
		}
		return "", usagef("There is no git remote %s that names an app here. See: git remote -v", remote)
	}
	if name := remotes[defaultRemote]; name != "" {
		return name, nil
	}
	if chosen, err := git(ctx, "config", "paas.remote"); err == nil && remotes[chosen] != "" {
		return remotes[chosen], nil
	}
	return "", usagef("Which app? Add -a APP, or run this in the app's git directory (paas git:remote -a APP adds the remote).")
}

var remoteURL = regexp.MustCompile(`^(?:ssh://)?git@[^/]+?[:/]/?([a-z][a-z0-9-]*)\.git$`)

// gitRemotes maps the remotes of this directory to the apps they name.
func gitRemotes(ctx context.Context) map[string]string {
	out, err := git(ctx, "remote", "-v")
	if err != nil {
		return nil
	}
	remotes := map[string]string{}
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) >= 2 {
			if m := remoteURL.FindStringSubmatch(f[1]); m != nil {
				remotes[f[0]] = m[1]
			}
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
	if _, err := git(ctx, "remote", verb, name, url); err != nil {
		return usagef("git cannot set the remote %s to %s.", name, url)
	}
	return nil
}
