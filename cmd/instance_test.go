package cmd_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The tests of this package drive a real paasd (with its own containerd,
// bridge and ports, beside whatever runs on this machine) by real git, ssh,
// HTTP and the real CLI.

// testDir keeps the stack images between runs; everything else below it is
// made anew.
const testDir = "/var/lib/paas-test"

// instance is one paasd.
type instance struct {
	bin, data, run, home string
	router, ssh, api     string // host:port
	token                string
	config               string
	mu                   sync.Mutex
	daemon               *exec.Cmd
	ended                chan struct{}
	log                  *os.File
}

var shared struct {
	sync.Once
	*instance
	err error
}

// platform starts the instance that all tests share.
func platform(t *testing.T) *instance {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("these tests start containers: run them as root (sudo ./install.sh test)")
	}
	shared.Do(func() { shared.instance, shared.err = newInstance() })
	if shared.err != nil {
		t.Fatalf("cannot start the platform: %v", shared.err)
	}
	return shared.instance
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.instance != nil {
		if err := shared.remove(); err != nil {
			fmt.Fprintln(os.Stderr, "cannot clean up:", err)
			code = 1
		}
	}
	os.Exit(code)
}

func newInstance() (*instance, error) {
	i := &instance{
		bin: filepath.Join(testDir, "bin"), data: filepath.Join(testDir, "data"), run: "/run/paas-test", home: filepath.Join(testDir, "home"),
	}
	for n, addr := range []*string{&i.router, &i.ssh, &i.api} {
		port, err := freePort(21000 + 1000*n)
		if err != nil {
			return nil, err
		}
		*addr = fmt.Sprintf("127.0.0.1:%d", port)
	}
	i.config = filepath.Join(testDir, "paasd.toml")
	if err := i.prepare(); err != nil {
		return nil, err
	}
	// What an earlier run may have left, if it was killed.
	if out, err := i.paasd("teardown").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("teardown: %w\n%s", err, out)
	}
	for _, dir := range []string{"paas.db", "paas.db-wal", "paas.db-shm", "repos", "cache", "builds", "logs", "outputs", "dynos", "containerd"} {
		if err := os.RemoveAll(filepath.Join(i.data, dir)); err != nil {
			return nil, err
		}
	}
	if out, err := i.paasd("stack:build").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("stack:build: %w\n%s", err, out)
	}
	if err := i.start(); err != nil {
		return nil, err
	}
	return i, i.login()
}

// freePort finds one below those that the kernel gives to connections.
func freePort(from int) (int, error) {
	for port := from; port < from+1000; port++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("no free port from %d on", from)
}

func (i *instance) prepare() error {
	for _, dir := range []string{i.bin, i.home, i.data} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for _, name := range []string{"paas", "paasd", "paas-buildpack"} {
		cmd := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(i.bin, name), "./cmd/"+name)
		cmd.Dir, cmd.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go build %s: %w\n%s", name, err, out)
		}
	}
	config := fmt.Sprintf("data_dir = %q\nrun_dir = %q\nrouter_addr = %q\nssh_addr = %q\napi_addr = %q\nbridge = \"paastest0\"\nnetwork = \"10.214.0.0/20\"\nbuildpack_binary = %q\n",
		i.data, i.run, i.router, i.ssh, i.api, filepath.Join(i.bin, "paas-buildpack"))
	config += buildEnvironment()
	var err error
	if i.log, err = os.Create(filepath.Join(testDir, "paasd.log")); err != nil {
		return err
	}
	return os.WriteFile(i.config, []byte(config), 0o600)
}

// buildEnvironment makes builds reach the registries that this machine does.
func buildEnvironment() string {
	var top, env strings.Builder
	for _, name := range []string{"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"} {
		if file := os.Getenv(name); file != "" {
			fmt.Fprintf(&top, "ca_bundle = %q\n", file)
			break
		}
	}
	env.WriteString("[build_env]\n")
	for _, name := range []string{"GOPROXY", "GOSUMDB", "GONOSUMDB"} {
		if out, err := exec.Command("go", "env", name).Output(); err == nil && len(bytes.TrimSpace(out)) > 0 {
			fmt.Fprintf(&env, "%s = %q\n", name, bytes.TrimSpace(out))
		}
	}
	if out, err := exec.Command("npm", "config", "get", "registry").Output(); err == nil {
		fmt.Fprintf(&env, "NPM_CONFIG_REGISTRY = %q\n", bytes.TrimSpace(out))
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"} {
		for _, n := range []string{name, strings.ToLower(name)} {
			if v := os.Getenv(n); v != "" {
				fmt.Fprintf(&env, "%s = %q\n", n, v)
			}
		}
	}
	return top.String() + env.String()
}

func (i *instance) paasd(command string, args ...string) *exec.Cmd {
	return exec.Command(filepath.Join(i.bin, "paasd"), append([]string{command, "--config", i.config}, args...)...)
}

// start starts paasd and waits until its API answers.
func (i *instance) start() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	cmd := i.paasd("serve")
	cmd.Stdout, cmd.Stderr = i.log, i.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	i.daemon, i.ended = cmd, ended
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) {
		resp, err := http.Get("http://" + i.api + "/health")
		if err == nil {
			resp.Body.Close()
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("paasd ended at once:\n%s", i.tail())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return fmt.Errorf("paasd did not answer in a minute:\n%s", i.tail())
}

// stop ends paasd by a signal and waits for its end; dynos run on.
func (i *instance) stop(sig syscall.Signal) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.daemon == nil {
		return nil
	}
	if err := i.daemon.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-i.ended:
	case <-time.After(time.Minute):
		return fmt.Errorf("paasd did not end after %v:\n%s", sig, i.tail())
	}
	i.daemon = nil
	return nil
}

// tail is the end of paasd's log, for failures.
func (i *instance) tail() string {
	b, err := os.ReadFile(i.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-8000):])
}

func (i *instance) remove() error {
	err := i.stop(syscall.SIGTERM)
	out, tearErr := i.paasd("teardown").CombinedOutput()
	if tearErr != nil {
		err = errors.Join(err, fmt.Errorf("%w\n%s", tearErr, out))
	}
	return err
}

func (i *instance) login() error {
	tokenFile := filepath.Join(i.home, "token")
	if out, err := i.paasd("account:create", "--email", "ada@example.com", "--admin", "--token-file", tokenFile).CombinedOutput(); err != nil {
		return fmt.Errorf("account:create: %w\n%s", err, out)
	}
	b, err := os.ReadFile(tokenFile)
	if err != nil {
		return err
	}
	i.token = strings.TrimSpace(string(b))
	key := filepath.Join(i.home, "key")
	os.Remove(key)
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		return fmt.Errorf("ssh-keygen: %w\n%s", err, out)
	}
	if out, err := i.cli("keys:add", key+".pub").CombinedOutput(); err != nil {
		return fmt.Errorf("keys:add: %w\n%s", err, out)
	}
	return nil
}

// env is the environment of a user of this instance.
func (i *instance) env() []string {
	return []string{
		"HOME=" + i.home, "PATH=" + i.bin + ":" + os.Getenv("PATH"), "PAAS_API_URL=http://" + i.api, "PAAS_API_KEY=" + i.token,
		"GIT_SSH_COMMAND=ssh -i " + filepath.Join(i.home, "key") + " -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com",
		"LANG=C.UTF-8",
	}
}

func (i *instance) cli(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(i.bin, "paas"), args...)
	cmd.Env = i.env()
	return cmd
}

// paas runs the CLI and fails the test if it fails.
func (i *instance) paas(t *testing.T, args ...string) string {
	t.Helper()
	out, err := i.cli(args...).CombinedOutput()
	if err != nil {
		t.Fatalf("paas %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// app is a git repository and the app it is pushed to.
type app struct {
	*instance
	t    *testing.T
	name string
	dir  string
}

// newApp makes an app with files, committed but not pushed. It is destroyed
// after the test.
func (i *instance) newApp(t *testing.T, files map[string]string) *app {
	t.Helper()
	id := make([]byte, 4)
	rand.Read(id)
	a := &app{instance: i, t: t, name: "t-" + hex.EncodeToString(id), dir: t.TempDir()}
	a.git("init", "-q", "-b", "main")
	i.paas(t, "create", a.name)
	a.git("remote", "add", "paas", "ssh://git@"+i.ssh+"/"+a.name+".git")
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := i.cli("logs", "-a", a.name, "-n", "200").CombinedOutput()
			t.Logf("log of %s:\n%s\npaasd:\n%s", a.name, out, i.tail())
		}
		i.paas(t, "destroy", "-a", a.name, "--confirm", a.name)
	})
	a.write(files)
	a.commit("first")
	return a
}

// write writes files; those that begin with #! or an ELF header are made
// executable.
func (a *app) write(files map[string]string) {
	a.t.Helper()
	for name, text := range files {
		file := filepath.Join(a.dir, name)
		mode := os.FileMode(0o644)
		if strings.HasPrefix(text, "#!") || strings.HasPrefix(text, "\x7fELF") {
			mode = 0o755
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			a.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			a.t.Fatal(err)
		}
	}
}

func (a *app) git(args ...string) string {
	a.t.Helper()
	out, err := a.tryGit(args...)
	if err != nil {
		a.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (a *app) tryGit(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = a.dir, a.env()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (a *app) commit(message string) {
	a.t.Helper()
	a.git("add", "-A")
	a.git("commit", "-q", "--allow-empty", "-m", message)
}

func (a *app) push() string {
	a.t.Helper()
	return a.git("push", "paas", "main")
}

// change commits new files and pushes them.
func (a *app) change(files map[string]string) string {
	a.t.Helper()
	a.write(files)
	a.commit("change")
	return a.push()
}

func (a *app) cmd(args ...string) string {
	a.t.Helper()
	return a.paas(a.t, append(args[:1:1], append([]string{"-a", a.name}, args[1:]...)...)...)
}

// get asks the app through the router.
func (a *app) get(path string) (int, string) {
	a.t.Helper()
	code, body, err := a.tryGet(http.DefaultClient, path)
	if err != nil {
		a.t.Fatal(err)
	}
	return code, body
}

func (a *app) tryGet(c *http.Client, path string) (int, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.router+path, nil)
	if err != nil {
		return 0, "", err
	}
	req.Host = a.name + ".localhost"
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// wants fails unless the app answers 200 with that text in it.
func (a *app) wants(text string) {
	a.t.Helper()
	if code, body := a.get("/"); code != http.StatusOK || !strings.Contains(body, text) {
		a.t.Fatalf("%d %q, want %q", code, body, text)
	}
}

// eventually waits for something that takes its time by asking again.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not in 90 s: %s", what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// server is a static program for apps of the procfile buildpack: it answers
// every request with the file VERSION and its config var GREETING.
func (i *instance) server(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(i.bin, "testserver")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", bin, "./testdata/server")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	b, err := os.ReadFile(bin)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// files of an app that runs the test server.
func (i *instance) serverApp(t *testing.T) map[string]string {
	return map[string]string{"server": i.server(t), "Procfile": "web: ./server\n", "VERSION": "one"}
}

// pids finds processes whose command line has all of the words.
func pids(words ...string) []int {
	var found []int
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
next:
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil {
			continue
		}
		for _, w := range words {
			if !bytes.Contains(line, []byte(w)) {
				continue next
			}
		}
		found = append(found, pid)
	}
	return found
}
