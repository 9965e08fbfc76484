package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"paas/dyno/dynotest"
	"paas/slug"
)

// buffer is an Output that can be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
	on func(string)
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, err := b.b.Write(p)
	if b.on != nil {
		b.on(b.b.String())
	}
	return n, err
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (h *host) sandboxSpec(out *buffer, script string) slug.SandboxSpec {
	return slug.SandboxSpec{
		ID: uuid.NewString(), Lower: h.images.by["base"], Argv: []string{"bash", "-c", script},
		Env: []string{"PATH=" + systemPath, "GREETING=hello there"}, Dir: "/tmp",
		Memory: 256 << 20, CPUs: 128, Pids: 64, Output: out,
	}
}

func TestSandbox(t *testing.T) {
	h := newHost(t, dynotest.NewSink())
	tree, ro := filepath.Join(t.TempDir(), "tree"), t.TempDir()
	write(t, filepath.Join(tree, "in"), "given\n")
	chown(t, tree)
	write(t, filepath.Join(ro, "seen"), "ro\n")
	var out buffer
	s := h.sandboxSpec(&out, strings.Join([]string{
		`echo "$GREETING"; pwd; id -u; cat /build/in; stat -c '%u %g' /build /build/in /ro/seen`,
		`for i in 1 2 3; do echo out$i; echo err$i >&2; done`,
		`touch /build/made; mkdir /build/dir; (touch /ro/x) 2>/dev/null || echo closed; cat /ro/seen`,
		`cat /sys/fs/cgroup/memory/memory.limit_in_bytes; grep -c . /etc/resolv.conf; exit 5`,
	}, "; "))
	s.Mounts = []slug.SandboxMount{{Source: tree, Target: "/build"}, {Source: ro, Target: "/ro", ReadOnly: true}}
	exit, err := h.Sandbox().Run(h.ctx(), s)
	if err != nil || exit.Status != 5 || exit.OOM {
		t.Errorf("Run = %+v, %v", exit, err)
	}
	want := "hello there\n/tmp\n1000\ngiven\n1000 1000\n1000 1000\n0 0\nout1\nerr1\nout2\nerr2\nout3\nerr3\nclosed\nro\n268435456\n"
	if got := out.String(); !strings.HasPrefix(got, want) {
		t.Errorf("it printed %q, want %q", got, want)
	}
	for _, name := range []string{"made", "dir"} {
		st, err := os.Stat(filepath.Join(tree, name))
		if err != nil {
			t.Fatal(err)
		}
		if s := st.Sys().(*syscall.Stat_t); s.Uid != containerUser || s.Gid != containerUser {
			t.Errorf("%s belongs to %d:%d on the host, want %d", name, s.Uid, s.Gid, containerUser)
		}
	}
	h.nothing(s.ID)
}

func TestSandboxMemory(t *testing.T) {
	h := newHost(t, dynotest.NewSink())
	var out buffer
	s := h.sandboxSpec(&out, `perl -e '$x = "a" x (600 * 1024 * 1024)'; echo "status $?"; exit 3`)
	exit, err := h.Sandbox().Run(h.ctx(), s)
	if err != nil || exit.Status != 3 || !exit.OOM || !strings.Contains(out.String(), "status 137") {
		t.Errorf("Run = %+v, %v; it printed %q", exit, err, out.String())
	}
	h.nothing(s.ID)
}

func TestSandboxCancel(t *testing.T) {
	h := newHost(t, dynotest.NewSink())
	ctx, cancel := context.WithCancelCause(h.ctx())
	reason := errors.New("the pusher pressed ctrl-C")
	out := buffer{on: func(s string) {
		if strings.Contains(s, "ready") {
			cancel(reason)
		}
	}}
	s := h.sandboxSpec(&out, "trap '' TERM INT; sleep 1000 & echo ready; while :; do sleep 1; done")
	began := time.Now()
	if exit, err := h.Sandbox().Run(ctx, s); !errors.Is(err, reason) {
		t.Errorf("Run = %+v, %v", exit, err)
	}
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("it took %v to end", d)
	}
	h.nothing(s.ID)
}

// What it leaves running ends with it.
func TestSandboxEndsWithItsCommand(t *testing.T) {
	h := newHost(t, dynotest.NewSink())
	var out buffer
	s := h.sandboxSpec(&out, "(trap '' TERM; sleep 1000) & echo done")
	if exit, err := h.Sandbox().Run(h.ctx(), s); err != nil || exit.Status != 0 || out.String() != "done\n" {
		t.Errorf("Run = %+v, %v, printed %q", exit, err, out.String())
	}
	h.nothing(s.ID)
}

func TestSandboxCABundle(t *testing.T) {
	h := newHost(t, dynotest.NewSink())
	h.stop()
	h.o.CABundle = filepath.Join(t.TempDir(), "ca.pem")
	write(t, h.o.CABundle, "OUR CA\n")
	h.start()
	var out buffer
	s := h.sandboxSpec(&out, "cat /etc/ssl/certs/ca-certificates.crt")
	if _, err := h.Sandbox().Run(h.ctx(), s); err != nil || out.String() != "OUR CA\n" {
		t.Errorf("it printed %q (%v)", out.String(), err)
	}
	if got := h.output("ls /etc/ssl 2>/dev/null || echo none"); got != "none" {
		t.Errorf("a dyno has it, too: %q", got)
	}
}

// A sandbox does not outlive paasd.
func TestSandboxAfterCrash(t *testing.T) {
	h := newHost(t, dynotest.NewSink())
	ready := make(chan bool, 1)
	out := buffer{on: func(string) {
		select {
		case ready <- true:
		default:
		}
	}}
	s := h.sandboxSpec(&out, "echo ready; sleep 1000")
	old := h.Sandbox()
	ctx, cancel := context.WithCancel(h.ctx())
	done := make(chan error, 1)
	go func() {
		_, err := old.Run(ctx, s)
		done <- err
	}()
	<-ready
	h.stop()
	cancel()
	<-done
	h.start()
	h.recover(0)
	h.nothing(s.ID)
}

func TestManyLayers(t *testing.T) {
	h := newHost(t, dynotest.NewSink())
	dir, err := layers()
	if err != nil {
		t.Fatal(err)
	}
	// Names as long as those of real layers, and more than fit in a page.
	lower := []string{filepath.Join(dir, "base")}
	for i := range 40 {
		d := filepath.Join(dir, fmt.Sprintf("%064d", i), "fs")
		write(t, filepath.Join(d, "app", fmt.Sprint("f", i)), "")
		write(t, filepath.Join(d, "app", "top"), fmt.Sprintln(i))
		chown(t, filepath.Join(d, "app"))
		lower = append(lower, d)
		t.Cleanup(func() { os.RemoveAll(filepath.Dir(d)) })
	}
	h.images.mu.Lock()
	h.images.by["base"] = lower
	h.images.mu.Unlock()
	if got := h.output("cat /app/top; ls /app | grep -c f; stat -c %u /app/f7"); got != "39\n40\n1000" {
		t.Errorf("got %q", got)
	}
}
