package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"paas/buildpacks/builtin"
	"paas/buildpacks/runtimes"
)

// These tests run the program as a build container does: under the names of a
// buildpack's programs, as an unprivileged user, with the environment of a
// build, against the real registries.

const unprivileged = 1000

var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "paas-buildpack-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "paas-buildpack")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, os.Chmod(dir, 0o755)
})

func TestMain(m *testing.M) {
	status := m.Run()
	if path, err := program(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(status)
}

// container is one app's builds.
type container struct {
	t                     *testing.T
	name                  string
	pack, env, cache, src string
	root                  string
	extra                 []string
	builds                int
}

// newContainer prepares builds of testdata/apps/<app>. With a shared cache the
// language's runtimes are fetched once for all tests and runs.
func newContainer(t *testing.T, name, app string) *container {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	c := &container{t: t, name: name, root: t.TempDir()}
	c.pack, c.env = filepath.Join(c.root, "buildpacks", name), filepath.Join(c.root, "env")
	c.cache = filepath.Join(os.TempDir(), "paas-buildpack-test-cache", name)
	c.src = filepath.Join("testdata", "apps", app)
	for _, dir := range []string{filepath.Join(c.pack, "bin"), c.env, filepath.Join(c.root, "home"), c.cache} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, verb := range builtin.Programs() {
		if err := os.Symlink(path, filepath.Join(c.pack, "bin", verb)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Dir(c.root), 0o755); err != nil {
		t.Fatal(err)
	}
	c.give(c.root)
	c.give(c.cache)
	return c
}

// give makes the build's user the owner of a tree.
func (c *container) give(dir string) {
	c.t.Helper()
	if os.Getuid() != 0 {
		return
	}
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, unprivileged, unprivileged)
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *container) command(dir string, argv ...string) *exec.Cmd {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = []string{"HOME=" + filepath.Join(c.root, "home"), "STACK=heroku-22", "SOURCE_VERSION=cafe", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	for _, key := range []string{"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "NPM_CONFIG_REGISTRY", "GOPROXY", "GOSUMDB", "GONOSUMDB"} {
		if v, ok := os.LookupEnv(key); ok {
			cmd.Env = append(cmd.Env, key+"="+v)
		}
	}
	cmd.Env = append(cmd.Env, c.extra...)
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: unprivileged, Gid: unprivileged}}
	}
	return cmd
}

// call runs one of the buildpack's programs and returns its exit status and
// everything it printed.
func (c *container) call(verb string, args ...string) (int, string) {
	c.t.Helper()
	cmd := c.command(c.pack, append([]string{"bin/" + verb}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		c.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// checkout copies the app. Its lock files name a registry that does not exist,
// in whose place comes the one that is configured.
func (c *container) checkout(dir string) {
	c.t.Helper()
	if err := os.CopyFS(dir, os.DirFS(c.src)); err != nil {
		c.t.Fatal(err)
	}
	for _, name := range []string{"package-lock.json", "yarn.lock"} {
		lock := filepath.Join(dir, name)
		b, err := os.ReadFile(lock)
		if err != nil {
			continue // another package manager's
		}
		b = bytes.ReplaceAll(b, []byte("https://registry.invalid"), []byte(runtimes.NewRegistry(os.Getenv).Base))
		if err := os.WriteFile(lock, b, 0o644); err != nil {
			c.t.Fatal(err)
		}
	}
}

// build detects and compiles a fresh checkout, whose directory has a new name
// each time.
func (c *container) build() (dir, out string, took time.Duration) {
	c.t.Helper()
	c.builds++
	dir = filepath.Join(c.root, fmt.Sprintf("build_%d", c.builds))
	c.checkout(dir)
	c.give(dir)
	if status, out := c.call("detect", dir); status != 0 {
		c.t.Fatalf("detect: %s", out)
	}
	start := time.Now()
	status, out := c.call("compile", dir, c.cache, c.env)
	took = time.Since(start)
	c.t.Logf("build %d took %s", c.builds, took.Round(time.Millisecond))
	if status != 0 {
		c.t.Fatalf("compile: exit %d\n%s", status, out)
	}
	return dir, out, took
}

// inDyno runs a command as a dyno does: the tree is the home directory and
// its start scripts are sourced.
func (c *container) inDyno(dir, command string) string {
	c.t.Helper()
	cmd := c.command(dir, "bash", "-c", `export HOME="$PWD"; for f in .profile.d/*.sh; do [ -e "$f" ] && . "$f"; done; `+command)
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (c *container) must(out string, texts ...string) {
	c.t.Helper()
	for _, text := range texts {
		if !strings.Contains(out, text) {
			c.t.Errorf("the output lacks %q:\n%s", text, out)
		}
	}
}

func TestGo(t *testing.T) {
	c := newContainer(t, "go", "go")
	c.extra = []string{"GOFLAGS=-buildvcs=false"}
	for key, value := range map[string]string{"GO_LINKER_SYMBOL": "main.commit", "SECRET": "s"} {
		if err := os.WriteFile(filepath.Join(c.env, key), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.give(c.env)
	first, out, _ := c.build()
	c.must(out, "Detected Module Name: example.com/hello/v2", "Using go1.25.", "-----> Running: go install -v -tags heroku -ldflags -X main.commit=cafe example.com/hello/v2 example.com/hello/v2/cmd/worker")
	if got := c.inDyno(first, "hello"); !strings.HasPrefix(got, "hello cafe go1.25.") {
		t.Errorf("%q", got)
	}
	procfile, err := os.ReadFile(filepath.Join(first, "Procfile"))
	if err != nil || string(procfile) != "hello: bin/hello\nworker: bin/worker\n" {
		t.Errorf("%q, %v", procfile, err)
	}

	c.extra = append(c.extra, "GOPROXY=off") // a warm build asks nobody
	second, _, took := c.build()
	one, err := os.ReadFile(filepath.Join(first, "bin/hello"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := os.ReadFile(filepath.Join(second, "bin/hello"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one, two) {
		t.Error("the same source gave another program")
	}
	if took > 30*time.Second {
		t.Errorf("a warm build took %s", took)
	}
	if status, out := c.call("release", second); status != 0 || strings.TrimSpace(out) != "--- {}" {
		t.Errorf("release: %d %q", status, out)
	}
	if _, out := c.call("report", second, c.cache, c.env); !strings.Contains(out, `"go_version": "go1.25.`) {
		t.Errorf("report: %q", out)
	}
}

func TestGoFailures(t *testing.T) {
	c := newContainer(t, "go", "go")
	for _, f := range []struct{ file, content, says, hint string }{
		{"go.mod", "module m\ngo 1.25.99\n", `Go "go1.25.99" is not available from`, "GOVERSION"},
		{"go.mod", "module m\ngo 1.25\nrequire (\n", "go.mod cannot be read", "go mod tidy"},
		{"main.go", "package main\nfunc main() { undefined() }\n", "go install failed", ""},
		{"bin", "a file", "bin is a file", "rename"},
	} {
		dir := filepath.Join(c.root, "bad")
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(dir, os.DirFS(c.src)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f.file), []byte(f.content), 0o644); err != nil {
			t.Fatal(err)
		}
		c.give(dir)
		status, out := c.call("compile", dir, c.cache, c.env)
		if status != 1 || !strings.Contains(out, " !     "+f.says) || !strings.Contains(out, f.hint) {
			t.Errorf("%s: exit %d\n%s", f.says, status, out)
		}
	}
}

// TestNode builds with each package manager, twice: the second build gets
// nothing from a registry.
func TestNode(t *testing.T) {
	for _, m := range []struct{ app, first, warm string }{
		{"npm", "added 3 packages", "- npm cache"},
		{"yarn", "yarn install v1.22.", "- yarn cache"},
		{"pnpm", "Installing pnpm 9.15.9", "- pnpm cache"},
	} {
		t.Run(m.app, func(t *testing.T) {
			c := newContainer(t, "nodejs", m.app)
			if err := os.RemoveAll(filepath.Join(c.cache, "node", "cache")); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(c.env, "GREETING"), []byte("hi"), 0o600); err != nil {
				t.Fatal(err)
			}
			c.give(c.env)
			_, out, _ := c.build()
			if m.app == "pnpm" {
				out = strings.ReplaceAll(out, "Downloading and installing pnpm", "Installing pnpm")
			}
			c.must(out, "-----> Installing binaries", m.first, "-----> Build succeeded!")
			c.extra = []string{"NPM_CONFIG_REGISTRY=http://127.0.0.1:9"}
			dir, out, _ := c.build()
			c.must(out, "-----> Restoring cache\n       "+m.warm)
			if m.app == "npm" {
				c.must(out, "prebuild hi", "built with production 1s true")
			}
			if got := c.inDyno(dir, `node -p 'require("ms")(1000) + " " + process.version + " " + process.env.NODE_ENV'`); !strings.HasPrefix(got, "1s v22.") || !strings.HasSuffix(got, " production") {
				t.Errorf("%q", got)
			}
			if _, err := os.Stat(filepath.Join(dir, "node_modules", "is-odd")); !os.IsNotExist(err) {
				t.Errorf("a development dependency is in the slug: %v", err)
			}
			if got := c.inDyno(dir, m.app+" --version"); got == "" {
				t.Error("no package manager in the dyno")
			}
			if _, out := c.call("release", dir); out != "---\ndefault_process_types:\n  web: \"npm start\"\n" {
				t.Errorf("release: %q", out)
			}
			noSharedFiles(t, dir)
		})
	}
}

// noSharedFiles: a slug must not share files with the cache, which the next
// build can write to.
func noSharedFiles(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if n := info.Sys().(*syscall.Stat_t).Nlink; n != 1 {
			return fmt.Errorf("%s has %d names", path, n)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestNodeVersionThatIsNotThere(t *testing.T) {
	c := newContainer(t, "nodejs", "npm")
	dir := filepath.Join(c.root, "bad")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"engines":{"node":">=99"}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	c.give(dir)
	status, out := c.call("compile", dir, c.cache, c.env)
	if status != 1 || !strings.Contains(out, ` !     Node.js ">=99" is not available from`) || !strings.Contains(out, "Available are, among others: ") || !strings.Contains(out, "engines.node") {
		t.Errorf("exit %d\n%s", status, out)
	}
}

func TestStaticSite(t *testing.T) {
	c := newContainer(t, "static", "site")
	dir, out, _ := c.build()
	c.must(out, "Serving .")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	_, port, _ := net.SplitHostPort(address)
	cmd := c.command(dir, "bin/boot")
	cmd.Env = append(cmd.Env, "PORT="+port, "HOME="+dir)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make([]byte, 256)
	if n, err := stdout.Read(ready); err != nil || !strings.Contains(string(ready[:n]), "serving . on port") {
		t.Fatalf("%q, %v", ready[:n], err)
	}
	go io.Copy(io.Discard, stdout)
	resp, err := http.Get("http://" + address + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if data, _ := io.ReadAll(resp.Body); string(data) != "<h1>hello</h1>\n" {
		t.Errorf("%q", data)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
}

func TestDispatch(t *testing.T) {
	for _, argv := range [][]string{
		{"paas-buildpack"}, {"paas-buildpack", "what"}, {"/x/cobol/bin/compile", "a", "b", "c"}, {"paas-buildpack", "run"},
	} {
		if status := dispatch(context.Background(), argv); status != 2 {
			t.Errorf("%q: %d", argv, status)
		}
	}
	// Every built-in buildpack that is listed is in the program.
	for _, b := range builtin.List() {
		if _, ok := packs()[b.Name]; !ok {
			t.Errorf("%s is listed and not there", b.Name)
		}
	}
	if len(packs()) != len(builtin.List()) {
		t.Errorf("%d packs, %d listed", len(packs()), len(builtin.List()))
	}
}

// TestGitCredential lets git ask, as it does for private modules.
func TestGitCredential(t *testing.T) {
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	env := t.TempDir()
	if err := os.WriteFile(filepath.Join(env, "GO_GIT_CRED__HTTPS__GIT__EXAMPLE__COM"), []byte("ann:s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("git", "-c", "credential.helper=", "-c", "credential.helper=!'"+path+"' git-credential '"+env+"'", "credential", "fill")
	cmd.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_GLOBAL=/dev/null")
	cmd.Stdin = strings.NewReader("protocol=https\nhost=git.example.com\n\n")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "username=ann\npassword=s3cret\n") {
		t.Errorf("%v\n%s", err, out)
	}
}
