package containerd

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paas/dyno"
	"paas/dyno/dynotest"
)

const forever = "echo ready; exec sleep infinity"

// killEngine ends containerd as a crash does.
func (h *host) killEngine() {
	h.t.Helper()
	p, err := peer(h.ctx(), h.o.engineSocket())
	if err != nil {
		h.t.Fatal(err)
	}
	defer p.close()
	if err := p.signal(unix.SIGKILL); err != nil {
		h.t.Fatal(err)
	}
	if err := p.wait(h.ctx()); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) kill9(pid int) {
	h.t.Helper()
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		h.t.Fatal(err)
	}
}

// alive says whether processes of a container are left.
func (h *host) alive(id string) bool {
	pids, err := h.cg.pids(id)
	return err != nil || len(pids) > 0
}

// works checks that dynos can be started.
func (h *host) works() {
	h.t.Helper()
	s := newSpec("echo fine; exit 3")
	h.begin(s)
	if e := h.end(s.ID); e.Status != 3 || e.Err != nil {
		h.t.Errorf("a new dyno ended with %+v", e)
	}
	h.remove(s.ID)
	h.nothing(s.ID)
}

func TestEngineKilled(t *testing.T) {
	h := newHost(t, dynotest.NewSink())
	s := newSpec("trap 'echo bye; exit 4' TERM; echo ready; while :; do sleep 0.1; done")
	h.begin(s)
	h.line(s.ID, "ready")
	waiting := make(chan dyno.Exit, 1)
	go func() {
		e, err := h.Wait(context.Background(), s.ID)
		if err != nil {
			t.Error(err)
		}
		waiting <- e
	}()
	for range 3 {
		h.killEngine()
		h.works()
	}
	h.killEngine()
	h.kill(s.ID, dyno.SIGTERM) // needs no engine
	if e := <-waiting; e.Status != 4 || e.Err != nil {
		t.Errorf("it ended with %+v", e)
	}
	h.line(s.ID, "bye")
	h.remove(s.ID)
	h.nothing(s.ID)
}

// The status of a dyno that ends while the engine is down is kept by its shim.
func TestDynoEndsWithoutEngine(t *testing.T) {
	h := newHost(t, dynotest.NewSink())
	s := newSpec("trap 'seq 1 5000; exit 9' TERM; echo ready; sleep infinity & wait")
	h.begin(s)
	h.line(s.ID, "ready")
	h.killEngine()
	h.kill(s.ID, dyno.SIGTERM)
	if e := h.end(s.ID); e.Status != 9 || e.Err != nil {
		t.Errorf("it ended with %+v", e)
	}
	if n := len(h.sink().Lines(s.ID)); n != 5001 {
		t.Errorf("%d lines of output, want 5001", n)
	}
}

// A dyno that nobody supervises any more is killed, and said to be lost.
func TestShimKilled(t *testing.T) {
	h := newHost(t, dynotest.NewSink())
	s := newSpec(forever)
	h.begin(s)
	h.line(s.ID, "ready")
	h.kill9(h.find(s.ID).snapshot().Shim.PID)
	e := h.end(s.ID)
	if e.Err == nil || e.Status != 137 {
		t.Errorf("it ended with %+v", e)
	}
	if h.alive(s.ID) {
		t.Error("processes are left")
	}
	h.remove(s.ID)
	h.nothing(s.ID)
	h.works()
}

func TestShimAndEngineKilled(t *testing.T) {
	h := newHost(t, dynotest.NewSink())
	s := newSpec(forever)
	h.begin(s)
	h.line(s.ID, "ready")
	h.stop()
	h.killEngine()
	h.kill9(h.find(s.ID).snapshot().Shim.PID)
	h.start()
	h.recover(1)
	if e := h.end(s.ID); e.Err == nil || e.Status != 137 {
		t.Errorf("it ended with %+v", e)
	}
	if h.alive(s.ID) {
		t.Error("processes are left")
	}
	h.remove(s.ID)
	h.nothing(s.ID)
	h.works()
}

func TestDynoKilled(t *testing.T) {
	h := newHost(t, dynotest.NewSink())
	s := newSpec(forever)
	handle := h.begin(s)
	h.line(s.ID, "ready")
	h.kill9(handle.PID)
	if e := h.end(s.ID); e.Status != 137 || e.Err != nil {
		t.Errorf("it ended with %+v", e)
	}
}

// The directories of the engine are wiped below its feet, with a dyno running.
func TestEngineWiped(t *testing.T) {
	h := newHost(t, dynotest.NewSink())
	s := newSpec(forever)
	h.begin(s)
	h.line(s.ID, "ready")
	h.kill(s.ID, dyno.SIGKILL)
	h.end(s.ID)
	for _, dir := range []string{filepath.Join(h.o.DataDir, "containerd"), h.o.engineRun()} {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	h.works()
	h.remove(s.ID)
	h.nothing(s.ID)

	// And again, with the engine dead and a dyno that goes on.
	s = newSpec(forever)
	h.begin(s)
	h.line(s.ID, "ready")
	h.stop()
	h.killEngine()
	unix.Unmount(filepath.Join(h.bundle(s.ID), "rootfs"), unix.MNT_DETACH) // or rm would empty its files
	for _, dir := range []string{filepath.Join(h.o.DataDir, "containerd"), h.o.engineRun()} {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	h.start()
	h.recover(1)
	if e := h.end(s.ID); e.Err == nil {
		t.Errorf("it ended with %+v", e)
	}
	if h.alive(s.ID) {
		t.Error("processes are left")
	}
	h.remove(s.ID)
	h.nothing(s.ID)
	h.works()
}

// After a reboot nothing runs, /run is empty, there are no mounts and no
// interfaces; the data directory is as it was.
func TestReboot(t *testing.T) {
	h := newHost(t, dynotest.NewSink())
	s, ended := newSpec(forever), newSpec("echo done; exit 2")
	h.begin(s)
	h.line(s.ID, "ready")
	h.begin(ended)
	h.end(ended.ID)
	h.stop()
	rec := h.find(s.ID).snapshot()
	h.killEngine()
	h.kill9(rec.Shim.PID)
	if err := h.cg.kill(h.ctx(), s.ID); err != nil {
		t.Fatal(err)
	}
	if err := h.cg.remove(s.ID); err != nil {
		t.Fatal(err)
	}
	if err := unmountBelow(h.o.RunDir); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(h.o.RunDir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(h.o.RunDir, 0o711); err != nil {
		t.Fatal(err)
	}
	if err := h.net.teardown(h.ctx()); err != nil {
		t.Fatal(err)
	}
	rec.Init.Boot, rec.Shim.Boot = "another", "another"
	if err := rec.save(h.o.dynoDir(s.ID)); err != nil {
		t.Fatal(err)
	}

	h.start()
	h.recover(2)
	if e := h.end(s.ID); e.Err == nil || !strings.Contains(e.Err.Error(), errHostGone.Error()) {
		t.Errorf("it ended with %+v", e)
	}
	if e := h.end(ended.ID); e.Status != 2 || e.Err != nil {
		t.Errorf("the other had ended with %+v", e)
	}
	fresh := newSpec(dynotest.Listen)
	waitListening(t, h.begin(fresh).Addr.String())
	h.remove(s.ID)
	h.remove(ended.ID)
	h.nothing(s.ID)
	h.nothing(ended.ID)
	// The new one may have got the address of an old one: it still is reachable.
	waitListening(t, h.find(fresh.ID).snapshot().handle().Addr.String())
}

// paasd is killed while it starts a dyno, or loses a record: what is left is
// removed, whatever it is.
func TestLeftovers(t *testing.T) {
	h := newHost(t, dynotest.NewSink())
	half, torn, lost := newSpec(forever), newSpec(forever), newSpec(forever)
	for _, s := range []dyno.Spec{half, torn, lost} {
		h.begin(s)
		h.line(s.ID, "ready")
	}
	h.stop()
	rec := h.find(half.ID).snapshot()
	rec.Started = time.Time{}
	if err := rec.save(h.o.dynoDir(half.ID)); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(h.o.dynoDir(torn.ID), recordFile), `{"ID": "`)
	if err := os.Remove(filepath.Join(h.o.dynoDir(lost.ID), recordFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(h.o.dynosDir(), "not an id"), 0o755); err != nil {
		t.Fatal(err)
	}
	h.start()
	h.recover(0)
	for _, s := range []dyno.Spec{half, torn, lost} {
		h.nothing(s.ID)
	}
	if _, err := os.Stat(filepath.Join(h.o.dynosDir(), "not an id")); err == nil {
		t.Error("a broken directory is left")
	}
	h.works()
}

// A Runtime that was stopped amid a Signal may leave a dyno frozen.
func TestRecoverThaws(t *testing.T) {
	h := newHost(t, dynotest.NewSink())
	s := newSpec(dynotest.Listen)
	addr := h.begin(s).Addr.String()
	waitListening(t, addr)
	h.stop()
	if !h.cg.freeze(s.ID) {
		t.Fatal("cannot freeze")
	}
	h.start()
	h.recover(1)
	waitListening(t, addr)
}

// After an upgrade the engine is replaced under running dynos.
func TestEngineUpgrade(t *testing.T) {
	h := newHost(t, dynotest.NewSink())
	s := newSpec(dynotest.Listen)
	addr := h.begin(s).Addr.String()
	waitListening(t, addr)
	h.restart()
	h.recover(1)
	pid := func() int {
		p, err := peer(h.ctx(), h.o.engineSocket())
		if err != nil {
			t.Fatal(err)
		}
		defer p.close()
		return p.pid
	}
	before := pid()
	h.restart()
	h.recover(1)
	if pid() != before {
		t.Error("it was replaced without a reason")
	}
	h.stop()
	write(t, h.o.engineConfig(), "# of an earlier version\n"+string(h.o.engineConfigText()))
	h.start()
	h.recover(1)
	if pid() == before {
		t.Error("it was not replaced")
	}
	waitListening(t, addr)
	h.kill(s.ID, dyno.SIGTERM)
	if e := h.end(s.ID); e.Status != 143 || e.Err != nil {
		t.Errorf("it ended with %+v", e)
	}
}

func TestForeignEngine(t *testing.T) {
	owner := newHost(t, dynotest.NewSink())
	if _, err := owner.Runtime.client(owner.ctx()); err != nil {
		t.Fatal(err)
	}
	h := newHost(t, dynotest.NewSink())
	h.stop()
	h.o.Address, h.o.Namespace = owner.o.engineSocket(), "elsewhere"
	h.start()
	h.recover(0)
	s := newSpec("trap 'exit 4' TERM; echo ready; while :; do sleep 0.1; done")
	h.begin(s)
	h.line(s.ID, "ready")
	owner.killEngine() // its owner brings it back
	h.works()
	h.restart()
	h.recover(1)
	h.kill(s.ID, dyno.SIGTERM)
	if e := h.end(s.ID); e.Status != 4 || e.Err != nil {
		t.Errorf("it ended with %+v", e)
	}
	h.remove(s.ID)
	h.stop()
	if err := h.Teardown(h.ctx()); err != nil {
		t.Fatal(err)
	}
	owner.works() // not disturbed
}

// Two instances do not know of each other.
func TestSideBySide(t *testing.T) {
	a, b := newHost(t, dynotest.NewSink()), newHost(t, dynotest.NewSink())
	s := newSpec(dynotest.Listen)
	addr := a.begin(s).Addr.String()
	waitListening(t, addr)
	b.works()
	if got := b.output(connect(addr)); got != "no" {
		t.Errorf("a dyno of one instance reaches one of another: %q", got)
	}
	b.stop()
	if err := b.Teardown(b.ctx()); err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", addr); err != nil {
		t.Error("taking one instance down disturbed the other:", err)
	} else {
		c.Close()
	}
	if out, _ := exec.Command("ip", "rule").Output(); strings.Contains(string(out), fmt.Sprintf("iif %s ", b.o.Bridge)) {
		t.Errorf("routing rules are left: %s", out)
	}
	if out, _ := exec.Command("nft", "list", "tables").Output(); strings.Contains(string(out), b.net.table()) {
		t.Errorf("firewall tables are left: %s", out)
	}
}
