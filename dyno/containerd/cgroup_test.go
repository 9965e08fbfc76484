package containerd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Version 2 on a host of version 1: its hierarchy is there, without
// controllers, and killing and freezing need none.
func TestUnifiedCgroup(t *testing.T) {
	root := cgroupMount
	var st unix.Statfs_t
	if err := unix.Statfs(root, &st); err != nil || st.Type != unix.CGROUP2_SUPER_MAGIC {
		root = filepath.Join(cgroupMount, "unified")
	}
	testCgroup(t, unifiedCgroups(fmt.Sprintf("paas-test-%d", os.Getpid()), root))
}

func TestCgroup(t *testing.T) {
	c, err := findCgroups(fmt.Sprintf("paas-test-%d", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	testCgroup(t, c)
}

func testCgroup(t *testing.T, c *cgroups) {
	const id = "box"
	if pids, err := c.pids(id); err != nil || pids != nil {
		t.Fatalf("pids of nothing = %v, %v", pids, err)
	}
	if err := c.kill(t.Context(), id); err != nil {
		t.Fatal("kill of nothing:", err)
	}
	for _, root := range c.roots {
		if err := os.MkdirAll(c.dir(root, id), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { c.remove(id); c.removeParent() })
	if got := c.ids(); len(got) != 1 || got[0] != id {
		t.Errorf("ids = %q", got)
	}
	cmds := make([]*exec.Cmd, 3)
	for i := range cmds {
		cmds[i] = exec.Command("sleep", "1000")
		if err := cmds[i].Start(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(c.dir(c.procs, id), "cgroup.procs"), []byte(fmt.Sprint(cmds[i].Process.Pid)), 0); err != nil {
			t.Fatal(err)
		}
	}
	if pids, err := c.pids(id); err != nil || len(pids) != 3 {
		t.Fatalf("pids = %v, %v", pids, err)
	}
	if !c.freeze(id) {
		t.Error("cannot freeze")
	}
	c.thaw(id)
	if err := c.signal(id, unix.SIGTERM, cmds[0].Process.Pid); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range cmds[1:] {
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != unix.SIGTERM {
			t.Errorf("it ended by %v", cmd.ProcessState)
		}
	}
	waited := make(chan error)
	go func() { waited <- cmds[0].Wait() }()
	if err := c.kill(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	<-waited
	if s := cmds[0].ProcessState.Sys().(syscall.WaitStatus).Signal(); s != unix.SIGKILL {
		t.Errorf("the excepted process ended by %v", s)
	}
	if n := c.oomKills(id); n != 0 {
		t.Errorf("oomKills = %d", n)
	}
	if err := c.remove(id); err != nil {
		t.Fatal(err)
	}
	if got := c.ids(); len(got) != 0 {
		t.Errorf("ids = %q", got)
	}
}
