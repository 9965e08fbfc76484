package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
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

// scp is git's short form of an ssh URL: [user@]host:path.
var scp = regexp.MustCompile(`^(?:[A-Za-z0-9_.][A-Za-z0-9_.-]*@)?[A-Za-z0-9_.][A-Za-z0-9_.-]*:[^:].*$`)

// resolveURL says where a submodule comes from. base is its parent's URL, ""
// for the app's own repository. local allows paths and file://.
func resolveURL(raw, base string, local bool) (string, error) {
	if raw == "" || strings.HasPrefix(raw, "-") || strings.ContainsFunc(raw, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", fmt.Errorf("%q is not a URL", raw)
	}
	if strings.HasPrefix(raw, "./") || strings.HasPrefix(raw, "../") {
		if base == "" {
			return "", fmt.Errorf("its URL %s is relative, and this repository has none. Give the whole URL in .gitmodules", raw)
		}
		return relativeURL(base, raw)
	}
	if !strings.Contains(raw, "://") && scp.MatchString(raw) {
		return raw, nil
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "", fmt.Errorf("%q is not a URL", redact(raw))
	}
	switch {
	case (u.Scheme == "https" || u.Scheme == "ssh" || u.Scheme == "git") && u.Hostname() != "" && !strings.HasPrefix(u.Host, "-") && !strings.HasPrefix(u.User.Username(), "-"):
		return raw, nil
	case local && (u.Scheme == "file" || filepath.IsAbs(raw)):
		return raw, nil
	}
	return "", fmt.Errorf("only https://, ssh:// and git:// URLs are fetched, not %s", redact(raw))
}

// relativeURL applies "./" and "../" steps to base, as git-submodule does.
func relativeURL(base, rel string) (string, error) {
	at := strings.TrimRight(base, "/")
	for {
		if rest, ok := strings.CutPrefix(rel, "./"); ok {
			rel = rest
			continue
		}
		rest, ok := strings.CutPrefix(rel, "../")
		if !ok {
			break
		}
		rel = rest
		i := strings.LastIndexByte(at, '/')
		if i <= 0 || strings.HasSuffix(at[:i+1], "://") {
			return "", fmt.Errorf("its relative URL leads out of %s", redact(base))
		}
		at = at[:i]
	}
	return at + "/" + rel, nil
}

// hostOf is the host of a URL that resolveURL has let pass; "" for a path.
func hostOf(from string) string {
	if !strings.Contains(from, "://") {
		host, _, ok := strings.Cut(from, ":")
		if !ok || strings.Contains(host, "/") {
			return ""
		}
		return host[strings.LastIndexByte(host, '@')+1:]
	}
	u, err := url.Parse(from)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// checkPublic refuses addresses that only this machine or its network can
// reach: a push must not make the platform's host talk to them. A name that
// does not resolve is left to git, which may know a proxy.
func checkPublic(ctx context.Context, from string) error {
	host := hostOf(from)
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil
	}
	for _, a := range addrs {
		if a = a.Unmap(); !public(a) {
			return fmt.Errorf("%s is a private address. An operator can allow that", host)
		}
	}
	return nil
}

func public(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !carrierGrade.Contains(a)
}

var carrierGrade = netip.MustParsePrefix("100.64.0.0/10")

// redact takes credentials out of a URL.
func redact(raw string) string {
	if u, err := url.Parse(raw); err == nil && u.User != nil {
		u.User = url.User("***")
		return u.String()
	}
	if at := strings.LastIndexByte(raw, '@'); at > 0 && strings.Contains(raw, "://") {
		return raw[:strings.Index(raw, "://")+3] + "***" + raw[at:]
	}
	return raw
}
