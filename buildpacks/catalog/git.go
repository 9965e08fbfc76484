package catalog

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// git fetches a repository at a commit.
func (c *Catalog) git(ctx context.Context, r ref) (fetched, error) {
	g, err := newGit(r.url, c.o)
	if err != nil {
		return fetched{}, &trouble{r.url, err}
	}
	home := "git-" + hash(r.url)
	if got, ok := c.cachedCommit(home, r.commit); ok {
		return got, nil
	}
	commit := r.commit
	if !fullHash.MatchString(commit) {
		if commit, err = g.ask(ctx, r.commit); err != nil {
			return fetched{}, err
		}
		if got, ok := c.cachedCommit(home, commit); ok {
			return got, nil
		}
	}
	tree, err := os.MkdirTemp(c.tmp(), "git-")
	if err != nil {
		return fetched{}, err
	}
	defer os.RemoveAll(tree)
	ctx, stop := limitSize(ctx, tree, c.o.MaxBytes)
	defer stop()
	if err := g.clone(ctx, tree, r.commit); err != nil {
		return fetched{}, err
	}
	out, err := g.run(ctx, "-C", tree, "rev-parse", "HEAD")
	if err != nil {
		return fetched{}, err
	}
	head := strings.TrimSpace(out)
	if !fullHash.MatchString(head) {
		return fetched{}, fmt.Errorf("git names HEAD %q", head)
	}
	if err := stop(); err != nil {
		return fetched{}, &trouble{r.url, err}
	}
	if err := removeGit(tree); err != nil {
		return fetched{}, err
	}
	return c.store(tree, home, head)
}

// cachedCommit finds a commit, by its hash or the beginning of it.
func (c *Catalog) cachedCommit(home, commit string) (fetched, bool) {
	if fullHash.MatchString(commit) {
		return c.cached(home, commit)
	}
	if !someHash.MatchString(commit) {
		return fetched{}, false
	}
	matches, err := filepath.Glob(filepath.Join(c.o.Dir, home, commit+"*"))
	if err != nil || len(matches) != 1 {
		return fetched{}, false
	}
	return c.cached(home, filepath.Base(matches[0]))
}

// gitClient calls git for one repository.
type gitClient struct {
	url     string // without secrets
	env     []string
	secrets *strings.Replacer // cuts them out of git's messages
}

func newGit(rawURL string, o Options) (*gitClient, error) {
	protocols := "https:http:ssh:git"
	if o.AllowFile {
		protocols += ":file"
	}
	g := &gitClient{url: rawURL, secrets: strings.NewReplacer(), env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=/bin/true", "GIT_LFS_SKIP_SMUDGE=1",
		"GIT_ALLOW_PROTOCOL=" + protocols,
		// No key or agent of the host is offered to whom an app's owner names.
		"GIT_SSH_COMMAND=ssh -F /dev/null -o BatchMode=yes -o IdentitiesOnly=yes -o IdentityFile=none -o IdentityAgent=none -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=/dev/null",
	}}
	for _, k := range []string{"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "all_proxy", "ALL_PROXY"} {
		if v, ok := o.Env[k]; ok {
			g.env = append(g.env, k+"="+v)
		}
	}
	if o.CABundle != "" {
		g.env = append(g.env, "GIT_SSL_CAINFO="+o.CABundle)
	}
	if u, err := url.Parse(rawURL); err == nil && u.User != nil && u.Scheme != "ssh" {
		g.secrets = strings.NewReplacer(u.User.String()+"@", "")
		plain := *u
		plain.User = nil
		g.url = plain.String()
		// The secret stands in the environment, which only root can read, and
		// holds for this host alone.
		secret, base := url.URL{Scheme: u.Scheme, User: u.User, Host: u.Host, Path: "/"}, url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/"}
		g.env = append(g.env, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=url."+secret.String()+".insteadOf", "GIT_CONFIG_VALUE_0="+base.String())
	}
	return g, nil
}

// run calls git and returns its stdout. A failure is told with git's own words.
func (g *gitClient) run(ctx context.Context, args ...string) (string, error) {
	args = append([]string{"-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-c", "advice.detachedHead=false"}, args...)
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Env = g.env
	var out, errs tail
	out.max, errs.max = 1<<20, 4<<10
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // git's helpers end with it
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", &trouble{g.url, context.Cause(ctx)}
		}
		if _, ok := errors.AsType[*exec.ExitError](err); ok {
			return "", &trouble{g.url, errors.New(reason(g.secrets.Replace(errs.String())))}
		}
		return "", fmt.Errorf("cannot run git: %w", err)
	}
	return out.String(), nil
}

// ask resolves a branch or tag at the server. "" means that it must be found
// in a clone: it is perhaps the beginning of a commit's hash.
func (g *gitClient) ask(ctx context.Context, name string) (string, error) {
	want := []string{"HEAD"}
	if name != "" {
		// git clone --branch prefers branches too; ^{} is what an annotated tag is of.
		want = []string{"refs/heads/" + name, "refs/tags/" + name + "^{}", "refs/tags/" + name}
	}
	out, err := g.run(ctx, append([]string{"ls-remote", "--", g.url}, want...)...)
	if err != nil {
		return "", err
	}
	refs := map[string]string{}
	for line := range strings.Lines(out) {
		if commit, full, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok && fullHash.MatchString(commit) {
			refs[full] = commit
		}
	}
	for _, w := range want {
		if commit, ok := refs[w]; ok {
			return commit, nil
		}
	}
	if name == "" {
		return "", &trouble{g.url, errors.New("the repository is empty")}
	}
	if !someHash.MatchString(name) {
		return "", &trouble{g.url, fmt.Errorf("it has no branch or tag %q", name)}
	}
	return "", nil
}

// clone makes a checkout in tree, shallow if the commit can be named so.
func (g *gitClient) clone(ctx context.Context, tree, name string) error {
	if !someHash.MatchString(name) && !fullHash.MatchString(name) {
		args := []string{"clone", "--quiet", "--template=", "--depth=1", "--recurse-submodules", "--shallow-submodules"}
		if name != "" {
			args = append(args, "--branch="+name)
		}
		_, err := g.run(ctx, append(args, "--", g.url, tree)...)
		return err
	}
	if _, err := g.run(ctx, "clone", "--quiet", "--template=", "--no-checkout", "--", g.url, tree); err != nil {
		return err
	}
	if _, err := g.run(ctx, "-C", tree, "checkout", "--quiet", "--detach", name+"^{commit}", "--"); err != nil {
		return err
	}
	_, err := g.run(ctx, "-C", tree, "submodule", "--quiet", "update", "--init", "--recursive", "--depth=1")
	return err
}

// removeGit removes git's own files, of submodules too: nothing of a
// buildpack's repository but its tree is kept.
func removeGit(tree string) error {
	if err := os.RemoveAll(filepath.Join(tree, ".git")); err != nil {
		return err
	}
	return filepath.WalkDir(tree, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == ".git" && !d.IsDir() {
			return os.Remove(path)
		}
		return err
	})
}

// reason picks what git says went wrong from all that it says.
func reason(text string) string {
	said := "git says nothing"
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if fatal, ok := strings.CutPrefix(line, "fatal: "); ok {
			return strings.TrimSuffix(fatal, ".")
		}
		said = strings.TrimSuffix(line, ".")
	}
	return said
}

// tail keeps the last max bytes.
type tail struct {
	max int
	b   []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if over := len(t.b) - t.max; over > 0 {
		t.b = t.b[over:]
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.b) }
