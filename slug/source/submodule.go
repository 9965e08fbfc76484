package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"paas/api"
)

// gitlink is a submodule's place in a tree.
type gitlink struct{ path, commit string }

// Bounds of one export.
const (
	maxModules     = 100
	maxModuleDepth = 8
)

var tooManyModules = api.Errorf(api.InvalidParams, "The source has more than %d submodules.", maxModules)

// submodules fetches the submodules of a tree and writes their files below
// dir. A gitlink that .gitmodules does not know stays an empty directory, as
// in a clone.
func (x *export) submodules(ctx context.Context, t tree, links []gitlink, dir string, depth int) error {
	if len(links) == 0 {
		return nil
	}
	urls, err := x.urls(ctx, t)
	if err != nil {
		return err
	}
	if depth == 0 && len(urls) > 0 {
		fmt.Fprint(x.progress, "-----> Git submodules detected, installing\n")
	}
	for _, l := range links {
		raw, ok := urls[l.path]
		if !ok {
			continue
		}
		if x.modules++; x.modules > maxModules {
			return tooManyModules
		}
		if depth == maxModuleDepth {
			return api.Errorf(api.InvalidParams, "Submodule %s is nested too deeply (%d levels at most).", l.path, maxModuleDepth)
		}
		if err := x.submodule(ctx, t, l, raw, dir, depth); err != nil {
			var known *api.Error
			if errors.As(err, &known) || ctx.Err() != nil {
				return err
			}
			return api.Wrap(api.InvalidParams, err, fmt.Sprintf("Submodule %s cannot be fetched from %s at %.7s: %s", l.path, redact(raw), l.commit, explain(err)))
		}
	}
	return nil
}

// explain is the last thing git said, which is what a user can act on.
func explain(err error) string {
	var failed *gitError
	if !errors.As(err, &failed) || failed.stderr == "" {
		return err.Error()
	}
	return failed.stderr[strings.LastIndexByte(failed.stderr, '\n')+1:]
}

// submodule fetches one submodule into a repository that lives for this
// export only.
func (x *export) submodule(ctx context.Context, parent tree, l gitlink, raw, dir string, depth int) (err error) {
	o := x.repos.o
	from, err := resolveURL(raw, parent.url, o.LocalSubmodules)
	if err != nil {
		return api.Errorf(api.InvalidParams, "Submodule %s cannot be fetched: %s", l.path, err)
	}
	if !o.PrivateSubmodules && !o.LocalSubmodules {
		if err := checkPublic(ctx, from); err != nil {
			return api.Errorf(api.InvalidParams, "Submodule %s cannot be fetched from %s: %s", l.path, redact(from), err)
		}
	}
	dest, err := moduleDir(dir, l.path)
	if err != nil {
		return err
	}
	fmt.Fprintf(x.progress, "       Submodule path '%s': checked out '%s'\n", l.path, l.commit)
	gitDir, err := os.MkdirTemp(x.repos.tmp(), "module-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(gitDir)) }()
	if err := initBare(gitDir); err != nil {
		return err
	}
	if err := x.fetch(ctx, gitDir, from, l.commit); err != nil {
		return err
	}
	t, err := x.repos.readTree(ctx, gitDir, nil, l.commit, from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	return x.tree(ctx, t, dest, depth+1)
}

// moduleSSH keeps ssh from the keys and settings of whoever runs this process:
// an app must not read what they may read. It runs in the submodule's
// repository, two levels below the directory of all. Options.Env may have
// another one, with a key for submodules.
const moduleSSH = "GIT_SSH_COMMAND=ssh -F none -oBatchMode=yes -oIdentitiesOnly=yes -oIdentityFile=none -oIdentityAgent=none" +
	" -oUserKnownHostsFile=../../known_hosts -oStrictHostKeyChecking=accept-new -oConnectTimeout=30"

// fetch gets one commit: alone where the server gives it, else with all
// branches and tags.
func (x *export) fetch(ctx context.Context, gitDir, from, commit string) error {
	git := x.repos.git
	ctx, cancel := context.WithTimeout(ctx, x.repos.o.SubmoduleTimeout)
	defer cancel()
	protocols := "https:ssh:git"
	if x.repos.o.LocalSubmodules {
		protocols += ":file"
	}
	attempt := func(args ...string) error {
		cmd := git.command(ctx, gitDir, append([]string{"fetch", "--quiet", "--no-tags", "--no-write-fetch-head"}, args...)...)
		cmd.Env = append([]string{moduleSSH}, append(cmd.Env, "GIT_ALLOW_PROTOCOL="+protocols)...)
		return git.run(ctx, cmd)
	}
	alone := attempt("--depth=1", "--", from, commit)
	if alone == nil || ctx.Err() != nil {
		return alone
	}
	if err := attempt("--", from, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"); err != nil {
		return err
	}
	return git.run(ctx, git.command(ctx, gitDir, "cat-file", "-e", commit+"^{commit}"))
}

// urls reads .gitmodules of a tree: path -> URL. The blob is read, not the
// exported file, which may be a symbolic link.
func (x *export) urls(ctx context.Context, t tree) (map[string]string, error) {
	git := x.repos.git
	cmd := git.command(ctx, t.gitDir, "cat-file", "-e", t.commit+":.gitmodules")
	cmd.Env = append(cmd.Env, t.env...)
	var failed *gitError
	if err := git.run(ctx, cmd); errors.As(err, &failed) {
		return nil, nil // there is none
	} else if err != nil {
		return nil, err
	}
	cmd = git.command(ctx, t.gitDir, "config", "--blob", t.commit+":.gitmodules", "--no-includes", "-z", "--list")
	cmd.Env = append(cmd.Env, t.env...)
	out, err := git.output(ctx, cmd, 1<<20)
	if errors.As(err, &failed) {
		return nil, api.Errorf(api.InvalidParams, "The file .gitmodules cannot be read: %s", explain(err))
	}
	if err != nil {
		return nil, err
	}
	return parseModules(out), nil
}

// parseModules reads `git config -z --list`: "submodule.<name>.<key>\n<value>\0".
func parseModules(out []byte) map[string]string {
	paths, urls := map[string]string{}, map[string]string{}
	for entry := range bytes.SplitSeq(out, []byte{0}) {
		key, value, _ := strings.Cut(string(entry), "\n")
		name, ok := strings.CutPrefix(key, "submodule.")
		if !ok {
			continue
		}
		if n, ok := strings.CutSuffix(name, ".path"); ok {
			paths[n] = path.Clean(value)
		} else if n, ok := strings.CutSuffix(name, ".url"); ok {
			urls[n] = value
		}
	}
	result := map[string]string{}
	for name, p := range paths {
		if u, ok := urls[name]; ok {
			result[p] = u
		}
	}
	return result
}

// moduleDir is the directory for a submodule at path below dir. git has made
// it; no part of the way may be a symbolic link.
func moduleDir(dir, path string) (string, error) {
	if !filepath.IsLocal(path) {
		return "", fmt.Errorf("%q is not inside the source", path)
	}
	dest := dir
	for part := range strings.SplitSeq(path, "/") {
		dest = filepath.Join(dest, part)
		info, err := os.Lstat(dest)
		if err != nil {
			return "", err
		}
		if !info.IsDir() {
			return "", fmt.Errorf("%q is not a directory", path)
		}
	}
	return dest, nil
}
