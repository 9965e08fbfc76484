package gitssh_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"paas/api"
	"paas/api/gitssh"
	"paas/slug/source"
)

// host is a git endpoint with the real server and real repositories; only
// what is behind it is made up.
type host struct {
	t     *testing.T
	addr  string
	repos *source.Repos
	dir   string // of the repositories
	home  string
	stop  func() // ends the server and waits for it

	mu       sync.Mutex
	accounts map[string]api.Account // by fingerprint
	apps     map[string]api.App     // by name
	deploy   func(ctx context.Context, d gitssh.Deploy) error
	deploys  []deployed
}

// deployed is what the fake platform saw of a deploy.
type deployed struct {
	app    string
	email  string
	push   source.Push
	commit string
	desc   string
	files  map[string]string // path -> content, "-> target", with "x " before executables
}

func newHost(t *testing.T, change func(*gitssh.Options, *source.Options)) *host {
	t.Helper()
	h := &host{t: t, dir: filepath.Join(t.TempDir(), "repos"), home: t.TempDir(), accounts: map[string]api.Account{}, apps: map[string]api.App{}}
	log := slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	so := source.Options{Log: log, LocalSubmodules: true}
	o := gitssh.Options{Accounts: h, Apps: h, Deployer: h, Log: log, HostKeys: t.TempDir()}
	if change != nil {
		change(&o, &so)
	}
	var err error
	if h.repos, err = source.Open(h.dir, so); err != nil {
		t.Fatal(err)
	}
	o.Repos = h.repos
	server, err := gitssh.New(o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := server.Serve(ctx, l); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	wg.Go(func() { _ = h.repos.Run(ctx) })
	h.stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(h.stop)
	_, port, _ := net.SplitHostPort(h.addr)
	var known strings.Builder
	for _, k := range server.HostKeys() {
		fmt.Fprintf(&known, "[127.0.0.1]:%s %s\n", port, k)
	}
	write(t, filepath.Join(h.home, "known_hosts"), known.String())
	write(t, filepath.Join(h.home, ".gitconfig"), "[user]\n\tname = A\n\temail = a@example.com\n[init]\n\tdefaultBranch = main\n[protocol \"file\"]\n\tallow = always\n[advice]\n\tdetachedHead = false\n")
	h.key("alice", "alice@example.com")
	h.apps["myapp"] = api.App{ID: "11111111-1111-4111-8111-111111111111", Name: "myapp"}
	return h
}

// testLog shows what the server logs in the test's output.
type testLog struct{ t *testing.T }

func (w testLog) Write(b []byte) (int, error) {
	defer func() { _ = recover() }() // after the test's end
	w.t.Logf("server: %s", b)
	return len(b), nil
}

// key makes an account with a key, in a file of that name.
func (h *host) key(name, email string) gossh.Signer {
	h.t.Helper()
	signer := h.strangeKey(name)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.accounts[gossh.FingerprintSHA256(signer.PublicKey())] = api.Account{ID: name, Email: email}
	return signer
}

// strangeKey makes a key that nobody knows.
func (h *host) strangeKey(name string) gossh.Signer {
	h.t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	block, err := gossh.MarshalPrivateKey(private, "")
	if err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.home, name), pem.EncodeToMemory(block), 0o600); err != nil {
		h.t.Fatal(err)
	}
	signer, err := gossh.NewSignerFromKey(private)
	if err != nil {
		h.t.Fatal(err)
	}
	return signer
}

func (h *host) AccountByKey(_ context.Context, fingerprint string) (api.Account, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if a, ok := h.accounts[fingerprint]; ok {
		return a, nil
	}
	return api.Account{}, api.Missing("key")
}

// Authorize lets everybody use every app but those that begin with "other".
func (h *host) Authorize(_ context.Context, _ api.Account, name string, _ bool) (api.App, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	app, ok := h.apps[name]
	switch {
	case !ok:
		return api.App{}, api.Missing("app")
	case strings.HasPrefix(name, "other"):
		return api.App{}, api.Errorf(api.Forbidden, "You do not have access to the app %s.", name)
	}
	return app, nil
}

func (h *host) Deploy(ctx context.Context, d gitssh.Deploy) error {
	h.mu.Lock()
	deploy := h.deploy
	h.mu.Unlock()
	if deploy != nil {
		return deploy(ctx, d)
	}
	return h.export(ctx, d)
}

// export is the default deploy: it reads the source and records it.
func (h *host) export(ctx context.Context, d gitssh.Deploy) error {
	dir, err := os.MkdirTemp(h.t.TempDir(), "export-*")
	if err != nil {
		return err
	}
	fmt.Fprintf(d.Output, "-----> Building %s\n", d.App.Name)
	if err := d.Source.Export(ctx, dir); err != nil {
		fmt.Fprintf(d.Output, " !     %v\n", err)
		return err
	}
	r := d.Source.Revision()
	done := deployed{app: d.App.Name, email: d.Account.Email, push: d.Push, commit: r.Commit, desc: r.Description, files: readTree(h.t, dir)}
	h.mu.Lock()
	h.deploys = append(h.deploys, done)
	h.mu.Unlock()
	fmt.Fprintf(d.Output, "       Released v%d\n", len(h.deploys)+1)
	return nil
}

func (h *host) last() deployed {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.deploys) == 0 {
		h.t.Fatal("nothing was deployed")
	}
	return h.deploys[len(h.deploys)-1]
}

func (h *host) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.deploys)
}

// onDeploy replaces the default deploy.
func (h *host) onDeploy(f func(ctx context.Context, d gitssh.Deploy) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deploy = f
}

// maxFile is how much of a file readTree keeps.
const maxFile = 1 << 10

func readTree(t *testing.T, dir string) map[string]string {
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		rel, _ := filepath.Rel(dir, name)
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case d.Type()&os.ModeSymlink != 0:
			target, err := os.Readlink(name)
			files[rel] = "-> " + target
			return err
		case d.IsDir():
			if list, err := os.ReadDir(name); err == nil && len(list) == 0 {
				files[rel+"/"] = ""
			}
			return nil
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		content, err := io.ReadAll(io.LimitReader(f, maxFile))
		if info.Mode()&0o111 != 0 {
			content = append([]byte("x "), content...)
		}
		files[rel] = string(content)
		return err
	})
	if err != nil {
		t.Errorf("cannot read tree: %v", err)
	}
	return files
}

// env is that of a client with the named key.
func (h *host) env(key string) []string {
	host, port, _ := net.SplitHostPort(h.addr)
	_ = host
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + h.home, "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_DATE=2024-01-02T03:04:05Z", "GIT_COMMITTER_DATE=2024-01-02T03:04:05Z",
		fmt.Sprintf("GIT_SSH_COMMAND=ssh -F /dev/null -p %s -i %s -o IdentitiesOnly=yes -o IdentityAgent=none -o UserKnownHostsFile=%s -o StrictHostKeyChecking=yes -o BatchMode=yes -o LogLevel=ERROR",
			port, filepath.Join(h.home, key), filepath.Join(h.home, "known_hosts")),
	}
}

// client is a working copy.
type client struct {
	h   *host
	dir string
	key string
}

func (h *host) client(t *testing.T) *client {
	t.Helper()
	c := &client{h: h, dir: t.TempDir(), key: "alice"}
	c.git(t, "init", "-q")
	c.git(t, "remote", "add", "paas", "git@127.0.0.1:myapp.git")
	return c
}

func (c *client) command(args ...string) *exec.Cmd {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = c.dir, c.h.env(c.key)
	return cmd
}

// git runs git, which must succeed.
func (c *client) git(t *testing.T, args ...string) string {
	t.Helper()
	out, err := c.try(args...)
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// refused runs git, which must fail.
func (c *client) refused(t *testing.T, args ...string) string {
	t.Helper()
	out, err := c.try(args...)
	if err == nil {
		t.Fatalf("git %s succeeded\n%s", strings.Join(args, " "), out)
	}
	return out
}

func (c *client) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env = c.dir, c.h.env(c.key)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() != nil {
		err = errors.New("git hangs")
	}
	return out.String(), err
}

// commit writes files and commits them.
func (c *client) commit(t *testing.T, message string, files ...string) string {
	t.Helper()
	for i := 0; i < len(files); i += 2 {
		name := filepath.Join(c.dir, files[i])
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, name, files[i+1])
	}
	c.git(t, "add", "-A")
	c.git(t, "commit", "-q", "--allow-empty", "-m", message)
	return c.head(t)
}

func (c *client) head(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(c.git(t, "rev-parse", "HEAD"))
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// server runs git in the server's repository of an app.
func (h *host) server(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"--git-dir", h.repoDir()}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "HOME="+h.home)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s on the server: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (h *host) repoDir() string {
	return filepath.Join(h.dir, h.apps["myapp"].ID+".git")
}

// clean fails if a push has left anything behind, or the repository is not
// sound.
func (h *host) clean(t *testing.T) {
	t.Helper()
	if left, _ := filepath.Glob(filepath.Join(h.repoDir(), "objects", "tmp_*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	if left, _ := os.ReadDir(filepath.Join(h.dir, "tmp")); len(left) > 0 {
		t.Errorf("left behind in tmp: %v", left)
	}
	h.server(t, "fsck", "--full", "--strict")
}

func contains(t *testing.T, out string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		at := strings.Index(out, p)
		if at < 0 {
			t.Fatalf("output lacks %q (in this order):\n%s", p, out)
		}
		out = out[at+len(p):]
	}
}
