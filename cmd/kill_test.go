package cmd_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// dynoID tells which dyno answers.
func (a *app) dynoID() string {
	a.t.Helper()
	code, body := a.get("/dyno")
	if code != http.StatusOK {
		a.t.Fatalf("%d %s", code, body)
	}
	return strings.TrimSpace(body)
}

// Whoever kills paasd does not touch the dynos, and what they print meanwhile
// is not lost.
func TestKillPaasd(t *testing.T) {
	i := platform(t)
	a := i.newApp(t, map[string]string{"server": i.server(t), "VERSION": "one",
		"Procfile": "web: ./server\nworker: for n in $(seq 1 100000); do echo line $n; sleep 0.05; done\n"})
	a.push()
	a.cmd("ps:scale", "worker=1")
	eventually(t, "the worker prints", func() bool { return strings.Contains(a.cmd("logs", "-d", "worker.1"), ": line 5\n") })
	before := a.dynoID()
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGKILL} {
		if err := i.stop(sig); err != nil {
			t.Fatal(err)
		}
		if err := i.start(); err != nil {
			t.Fatal(err)
		}
		if after := a.dynoID(); after != before {
			t.Errorf("%v of paasd replaced %s by %s", sig, before, after)
		}
	}
	// Each line once, none missing.
	eventually(t, "the log goes on", func() bool { return strings.Contains(a.cmd("logs", "-d", "worker.1", "-n", "1"), ": line ") })
	var last int
	for line := range strings.Lines(a.cmd("logs", "-d", "worker.1", "-s", "app", "-n", "1500")) {
		var n int
		if _, err := fmt.Sscanf(line[strings.Index(line, "]: ")+3:], "line %d", &n); err != nil {
			continue
		}
		if n != last+1 {
			t.Fatalf("line %d follows line %d", n, last)
		}
		last = n
	}
	if last < 10 {
		t.Errorf("only %d lines", last)
	}
}

func TestKillEverythingElse(t *testing.T) {
	i := platform(t)
	a := i.newApp(t, i.serverApp(t))
	a.push()
	before := a.dynoID()
	kill := func(what string, found []int) {
		t.Helper()
		if len(found) == 0 {
			t.Fatalf("no %s found", what)
		}
		for _, pid := range found {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	t.Run("containerd", func(t *testing.T) {
		kill("containerd", engines(i))
		if after := a.dynoID(); after != before {
			t.Errorf("%s was replaced by %s", before, after)
		}
		a.commit("after containerd was killed")
		a.push()
		a.wants("one")
	})
	t.Run("shim", func(t *testing.T) {
		before := a.dynoID()
		kill("shim", pids("containerd-shim-runc-v2", i.run))
		eventually(t, "a new dyno", func() bool { code, body := a.get("/dyno"); return code == 200 && strings.TrimSpace(body) != before })
	})
	t.Run("dyno", func(t *testing.T) {
		before := a.dynoID()
		if code, _, err := a.tryGet(http.DefaultClient, "/exit"); err == nil && code != http.StatusServiceUnavailable {
			t.Errorf("%d", code)
		}
		eventually(t, "a new dyno", func() bool { code, body := a.get("/dyno"); return code == 200 && strings.TrimSpace(body) != before })
	})
}

// engines finds this instance's containerd, whose configuration is in its run
// or its data directory.
func engines(i *instance) []int {
	var found []int
	for _, pid := range append(pids("containerd", i.run), pids("containerd", i.data)...) {
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if err == nil && filepath.Base(exe) == "containerd" {
			found = append(found, pid)
		}
	}
	return found
}

// A reboot ends all processes and mounts and empties the run directory; here
// even containerd's own state is gone. Everything comes back by itself.
func TestReboot(t *testing.T) {
	i := platform(t)
	a := i.newApp(t, i.serverApp(t))
	a.push()
	a.cmd("config:set", "GREETING=kept")
	if err := i.stop(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		left := append(engines(i), pids("containerd-shim-runc-v2", i.run)...)
		left = append(left, inCgroups(i)...)
		if len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("processes do not die: %v", left)
		}
		for _, pid := range left {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(10 * time.Millisecond)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); strings.HasPrefix(f[1], i.run+"/") || strings.HasPrefix(f[1], i.data+"/") {
			if err := syscall.Unmount(f[1], syscall.MNT_DETACH); err != nil {
				t.Fatalf("umount %s: %v", f[1], err)
			}
		}
	}
	for _, dir := range []string{i.run, filepath.Join(i.data, "containerd")} {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := i.start(); err != nil {
		t.Fatal(err)
	}
	a.wants("one kept") // held by the router until the dyno is up
}

// inCgroups finds the processes of dynos of this instance: whatever has a root
// file system below its run or data directory.
func inCgroups(i *instance) []int {
	var found []int
	for _, pid := range pids() {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) > 4 && f[4] == "/" && strings.Contains(line, i.data+"/dynos/") {
				found = append(found, pid)
			}
		}
	}
	return found
}

// A slug whose bytes are damaged is not run (R17); a tree that is gone is made
// again from them.
func TestDamagedSlug(t *testing.T) {
	i := platform(t)
	a := i.newApp(t, i.serverApp(t))
	a.push()
	var layer map[string]any
	for _, l := range a.slugInfo()["layers"].([]any) {
		layer = l.(map[string]any)
	}
	digest := strings.TrimPrefix(layer["digest"].(string), "sha256:")
	blob := filepath.Join(i.data, "blobs", "sha256", digest)
	original, err := os.ReadFile(blob)
	if err != nil {
		t.Fatal(err)
	}
	tree := appTree(t, i, a.name)
	if err := os.RemoveAll(tree); err != nil {
		t.Fatal(err)
	}
	a.cmd("restart")
	eventually(t, "the tree is made again", func() bool { _, err := os.Stat(tree); return err == nil })
	a.wants("one")

	bad := append([]byte{}, original...)
	bad[len(bad)/2] ^= 1
	if err := os.WriteFile(blob, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(tree); err != nil {
		t.Fatal(err)
	}
	a.cmd("ps:stop", "web")
	eventually(t, "R17 in the log", func() bool { return strings.Contains(a.cmd("logs"), "R17") })
	if err := os.WriteFile(blob, original, 0o600); err != nil {
		t.Fatal(err)
	}
	a.cmd("restart")
	eventually(t, "the mended slug runs", func() bool { code, _ := a.get("/"); return code == 200 })
}

func (a *app) slugInfo() map[string]any {
	a.t.Helper()
	var info map[string]any
	if err := json.Unmarshal([]byte(a.cmd("slugs:info", "--json")), &info); err != nil {
		a.t.Fatal(err)
	}
	return info
}

// appTree finds the unpacked layer of an app's slug: the newest one.
func appTree(t *testing.T, i *instance, name string) string {
	t.Helper()
	entries, err := filepath.Glob(filepath.Join(i.data, "layers", "*", "fs", "app", "VERSION"))
	if err != nil || len(entries) == 0 {
		t.Fatalf("no layer of %s: %v", name, err)
	}
	newest, when := "", time.Time{}
	for _, e := range entries {
		dir := filepath.Dir(filepath.Dir(filepath.Dir(e)))
		if info, err := os.Stat(dir); err == nil && info.ModTime().After(when) {
			newest, when = dir, info.ModTime()
		}
	}
	return newest
}
