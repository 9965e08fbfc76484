package containerd

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"paas/api"
	"paas/dyno"
	"paas/dyno/dynotest"
)

// Where the engine and the plugins are installed; the tests need both, and
// root.
var (
	engineDir = env("PAAS_ENGINE_DIR", "/usr/local/lib/paas")
	cniDir    = env("PAAS_CNI_DIR", "/usr/lib/cni")
)

func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// layers has a directory per layer; one of them, base, is a small root file
// system made of programs of the host.
var layers = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "paas-layers-")
	if err != nil {
		return "", err
	}
	root := filepath.Join(dir, "base")
	if err := os.Mkdir(root, 0o755); err != nil {
		return "", err
	}
	var files []string
	for _, p := range []string{"bash", "sh", "cat", "sleep", "seq", "stty", "id", "ls", "stat", "env", "head", "tail", "dd", "touch", "mkdir", "rm", "chmod", "grep", "true", "nproc", "hostname", "kill", "ps", "perl", "mount", "unshare", "df", "getent", "sync", "timeout", "date", "yes"} {
		path, err := exec.LookPath(p)
		if err != nil {
			return "", err
		}
		files = append(files, path)
	}
	lib := regexp.MustCompile(`(/[^ ]+) \(0x`)
	for _, f := range files {
		out, err := exec.Command("ldd", f).Output()
		if err != nil {
			continue // static
		}
		for _, m := range lib.FindAllStringSubmatch(string(out), -1) {
			files = append(files, m[1])
		}
	}
	for _, f := range files {
		to := filepath.Join(root, "bin", filepath.Base(f))
		if !strings.Contains(f, "bin/") {
			to = filepath.Join(root, f)
		}
		if _, err := os.Stat(to); err == nil {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			return "", err
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(to, b, 0o755); err != nil {
			return "", err
		}
	}
	for _, d := range []string{"usr", "etc", "proc", "sys", "dev", "tmp", "run", "lib/x86_64-linux-gnu"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			return "", err
		}
	}
	if err := os.Symlink("../bin", filepath.Join(root, "usr/bin")); err != nil {
		return "", err
	}
	if perl, err := filepath.Glob("/usr/lib/*/perl-base"); err == nil && len(perl) > 0 {
		if err := os.CopyFS(filepath.Join(root, perl[0]), os.DirFS(perl[0])); err != nil {
			return "", err
		}
	}
	passwd := "root:x:0:0:root:/root:/bin/bash\ndyno:x:1000:1000:dyno:/app:/bin/bash\n"
	if err := os.WriteFile(filepath.Join(root, "etc/passwd"), []byte(passwd), 0o644); err != nil {
		return "", err
	}
	return dir, nil
})

// chown gives a tree to uid 1000, as an app's layer has it.
func chown(t testing.TB, root string) {
	err := filepath.WalkDir(root, func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(p, containerUser, containerUser)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// images serves directories by name.
type images struct {
	mu sync.Mutex
	by map[string][]string
}

func (i *images) Lower(_ context.Context, image string) ([]string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if l, ok := i.by[image]; ok {
		return l, nil
	}
	return nil, &dyno.ImageError{Image: image, Err: fs.ErrNotExist}
}

// host is an instance under test; its Runtime may be replaced as a restart of
// paasd does.
type host struct {
	t      testing.TB
	o      Options
	images *images
	app    string // directory of the app's layer
	*Runtime
	stop func()
}

var hosts atomic.Int32

func newHost(t testing.TB, sink dyno.LogSink) *host {
	t.Helper()
	layers, err := layers()
	if err != nil {
		t.Fatal(err)
	}
	run, err := os.MkdirTemp("", "paas-run-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(run, 0o711); err != nil {
		t.Fatal(err)
	}
	n := os.Getpid()%10*24 + int(hosts.Add(1))%24
	data := t.TempDir()
	app := filepath.Join(layers, fmt.Sprint("app", n))
	if err := os.MkdirAll(filepath.Join(app, "app"), 0o755); err != nil {
		t.Fatal(err)
	}
	chown(t, filepath.Join(app, "app"))
	h := &host{
		t: t, app: app,
		images: &images{by: map[string][]string{"base": {filepath.Join(layers, "base"), app}}},
	}
	t.Cleanup(func() { os.RemoveAll(app) })
	level := slog.LevelWarn
	h.o = Options{
		DataDir: data, RunDir: run, EngineDir: engineDir, CNIDir: cniDir,
		Bridge: fmt.Sprintf("paast%d", n), Subnet: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 213, byte(n), 0}), 24),
		Images: h.images, Logs: sink,
		Log: slog.New(slog.NewTextHandler(logWriter{t}, &slog.HandlerOptions{Level: level})),
	}
	h.start()
	t.Cleanup(func() {
		h.stop()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		r, err := New(h.o)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Teardown(ctx); err != nil {
			t.Error(err)
		}
		if ids := r.cg.ids(); len(ids) > 0 {
			t.Errorf("cgroups are left: %q", ids)
		}
	})
	return h
}

type logWriter struct{ t testing.TB }

func (w logWriter) Write(b []byte) (int, error) {
	w.t.Logf("%s", b)
	return len(b), nil
}

func (h *host) start() {
	h.t.Helper()
	r, err := New(h.o)
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.Run(ctx); err != nil {
			h.t.Error(err)
		}
	}()
	h.Runtime = r
	h.stop = func() { cancel(); <-done }
}

// restart ends the Runtime without a word to its dynos, and makes a new one.
func (h *host) restart() {
	h.t.Helper()
	h.stop()
	h.start()
}

func (h *host) recover(want int) []dyno.Recovered {
	h.t.Helper()
	found, err := h.Recover(h.ctx())
	if err != nil || len(found) != want {
		h.t.Fatalf("Recover = %d dynos, %v; want %d", len(found), err, want)
	}
	return found
}

func (h *host) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	h.t.Cleanup(cancel)
	return ctx
}

func specTemplate() dyno.Spec {
	size, err := api.SizeNamed("Standard-1X")
	if err != nil {
		panic(err)
	}
	return dyno.Spec{AppID: uuid.NewString(), AppName: "myapp", Release: 3, Image: "base", Size: size}
}

func newSpec(command string) dyno.Spec {
	s := specTemplate()
	s.ID, s.Name, s.Type, s.Command, s.Port = uuid.NewString(), "web.1", "web", command, 5000
	s.CreatedAt = time.Now().UTC()
	s.Env = api.ConfigVars{"PORT": "5000", "DYNO": "web.1"}
	return s
}

func (h *host) begin(s dyno.Spec) dyno.Handle {
	h.t.Helper()
	handle, err := h.Start(h.ctx(), s, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return handle
}

func (h *host) end(id string) dyno.Exit {
	h.t.Helper()
	e, err := h.Wait(h.ctx(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return e
}

// output runs a command to its end and returns what it printed.
func (h *host) output(command string) string {
	h.t.Helper()
	s := newSpec(command)
	h.begin(s)
	h.end(s.ID)
	return strings.Join(h.o.Logs.(*dynotest.Sink).Lines(s.ID), "\n")
}

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := layers(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

func (h *host) sink() *dynotest.Sink { return h.o.Logs.(*dynotest.Sink) }

// line waits until a dyno has printed a line.
func (h *host) line(id, line string) {
	h.t.Helper()
	if !h.sink().WaitFor(h.ctx(), id, line) {
		h.t.Fatalf("no line %q; the dyno printed %q", line, h.sink().Lines(id))
	}
}

func (h *host) kill(id string, sig dyno.Signal) {
	h.t.Helper()
	if err := h.Signal(h.ctx(), id, sig); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) remove(id string) {
	h.t.Helper()
	if err := h.Delete(h.ctx(), id); err != nil {
		h.t.Fatal(err)
	}
}

// nothing checks that no trace of a container is left.
func (h *host) nothing(id string) {
	h.t.Helper()
	for _, dir := range []string{h.o.dynoDir(id), h.bundle(id), filepath.Join(h.o.runcRoot(), h.o.Namespace, id)} {
		if _, err := os.Lstat(dir); err == nil {
			h.t.Errorf("%s is left", dir)
		}
	}
	if ids := h.cg.ids(); slices.Contains(ids, id) {
		h.t.Errorf("cgroup of %s is left", id)
	}
	if ids, err := h.net.reserved(); err != nil || slices.Contains(ids, id) {
		h.t.Errorf("address of %s is left (%v)", id, err)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || strings.Contains(string(mounts), id) {
		h.t.Errorf("mount of %s is left (%v)", id, err)
	}
}

func netip28(p netip.Prefix) netip.Prefix { return netip.PrefixFrom(p.Addr(), 28) }
