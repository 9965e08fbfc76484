package containerd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cgroups reaches the control groups of our containers, /<parent>/<id>, which
// runc makes. It knows both versions; with version 1 a container has one
// directory per controller.
type cgroups struct {
	parent string
	v2     bool
	roots  []string // mount points below which a container may have a directory
	// procs is the hierarchy whose processes are listed and frozen, memory the
	// one that knows of killings for memory.
	procs, memory string
	swap          bool // swap can be limited
}

const cgroupMount = "/sys/fs/cgroup"

func findCgroups(parent string) (*cgroups, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(cgroupMount, &st); err != nil {
		return nil, fmt.Errorf("cannot find cgroups: %w", err)
	}
	if st.Type == unix.CGROUP2_SUPER_MAGIC {
		c := unifiedCgroups(parent, cgroupMount)
		return c, c.controllers()
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("cannot find cgroups: %w", err)
	}
	defer f.Close()
	c := &cgroups{parent: parent}
	var missing []string
	at := map[string]string{}
	for s := bufio.NewScanner(f); s.Scan(); {
		left, right, ok := strings.Cut(s.Text(), " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 5 || len(r) < 3 || !strings.HasPrefix(r[0], "cgroup") || slices.Contains(c.roots, l[4]) {
			continue
		}
		c.roots = append(c.roots, l[4])
		for o := range strings.SplitSeq(r[2], ",") {
			at[o] = l[4]
		}
	}
	for _, name := range []string{"freezer", "memory", "cpu", "pids", "devices"} {
		if at[name] == "" {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		return nil, fmt.Errorf("cannot limit dynos: the kernel's cgroup controllers %s are not mounted below %s", strings.Join(missing, ", "), cgroupMount)
	}
	c.procs, c.memory = at["freezer"], at["memory"]
	_, err = os.Stat(filepath.Join(c.memory, "memory.memsw.limit_in_bytes"))
	c.swap = err == nil
	return c, nil
}

func unifiedCgroups(parent, root string) *cgroups {
	return &cgroups{parent: parent, v2: true, roots: []string{root}, procs: root, memory: root, swap: true}
}

// controllers says what version 2 lacks.
func (c *cgroups) controllers() error {
	b, err := os.ReadFile(filepath.Join(c.procs, "cgroup.controllers"))
	if err != nil {
		return fmt.Errorf("cannot find cgroups: %w", err)
	}
	have := strings.Fields(string(b))
	for _, name := range []string{"memory", "cpu", "pids"} {
		if !slices.Contains(have, name) {
			return fmt.Errorf("cannot limit dynos: the kernel's cgroup controller %s is not available in %s", name, c.procs)
		}
	}
	return nil
}

// path is what the OCI spec calls a container's cgroup.
func (c *cgroups) path(id string) string { return filepath.Join("/", c.parent, id) }

func (c *cgroups) dir(root, id string) string { return filepath.Join(root, c.parent, id) }

// pids lists the processes of a container; none if it has no cgroup.
func (c *cgroups) pids(id string) ([]int, error) {
	b, err := os.ReadFile(filepath.Join(c.dir(c.procs, id), "cgroup.procs"))
	// ENODEV: it was removed while we read.
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list processes of %s: %w", id, err)
	}
	var pids []int
	for f := range strings.FieldsSeq(string(b)) {
		pid, err := strconv.Atoi(f)
		if err != nil {
			return nil, fmt.Errorf("cannot list processes of %s: %w", id, err)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// freezing takes a moment: every task has to reach a safe point.
const freezeTimeout = 200 * time.Millisecond

// freeze stops all processes of a container, so that none can fork away while
// it is looked at. It gives up after freezeTimeout (a process may hang in the
// kernel); the caller goes on, and calls thaw in any case.
func (c *cgroups) freeze(id string) bool {
	dir := c.dir(c.procs, id)
	if c.v2 {
		if os.WriteFile(filepath.Join(dir, "cgroup.freeze"), []byte("1"), 0) != nil {
			return false
		}
		return c.poll(freezeTimeout, func() bool { return c.keyed(filepath.Join(dir, "cgroup.events"), "frozen") == 1 })
	}
	state := filepath.Join(dir, "freezer.state")
	return c.poll(freezeTimeout, func() bool {
		// Written again each time: a task forked at the wrong moment needs it.
		if os.WriteFile(state, []byte("FROZEN"), 0) != nil {
			return false
		}
		b, _ := os.ReadFile(state)
		return strings.TrimSpace(string(b)) == "FROZEN"
	})
}

func (c *cgroups) thaw(id string) {
	dir := c.dir(c.procs, id)
	if c.v2 {
		os.WriteFile(filepath.Join(dir, "cgroup.freeze"), []byte("0"), 0)
		return
	}
	os.WriteFile(filepath.Join(dir, "freezer.state"), []byte("THAWED"), 0)
}

// poll waits, briefly, for what the kernel does not announce.
func (c *cgroups) poll(limit time.Duration, done func() bool) bool {
	for end := time.Now().Add(limit); ; time.Sleep(500 * time.Microsecond) {
		if done() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// signal sends to every process that the container has at one instant, each
// exactly once, but for except. A process that is started later, such as the
// helper of a signal handler, is not hit.
func (c *cgroups) signal(id string, sig unix.Signal, except int) error {
	defer c.thaw(id)
	c.freeze(id)
	pids, err := c.pids(id)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if pid == except {
			continue
		}
		// Frozen processes do not end, so the number still is theirs.
		if e := unix.Kill(pid, sig); e != nil && e != unix.ESRCH {
			err = fmt.Errorf("cannot send signal %d to process %d of %s: %w", sig, pid, id, e)
		}
	}
	return err
}

const killTimeout = 10 * time.Second

// kill ends every process of a container and returns when they are gone.
func (c *cgroups) kill(ctx context.Context, id string) error {
	end := time.Now().Add(killTimeout)
	for {
		pids, err := c.pids(id)
		if err != nil || len(pids) == 0 {
			return err
		}
		if c.v2 {
			err = os.WriteFile(filepath.Join(c.dir(c.procs, id), "cgroup.kill"), []byte("1"), 0)
			if errors.Is(err, fs.ErrNotExist) {
				err = nil // gone meanwhile
			}
		} else {
			err = c.signal(id, unix.SIGKILL, 0)
		}
		if err != nil {
			return fmt.Errorf("cannot kill %s: %w", id, err)
		}
		if c.poll(50*time.Millisecond, func() bool { p, err := c.pids(id); return err == nil && len(p) == 0 }) {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("cannot kill %s: %d processes are left", id, len(pids))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// oomKills counts how often the kernel killed in a container for its memory.
func (c *cgroups) oomKills(id string) int64 {
	file := "memory.oom_control"
	if c.v2 {
		file = "memory.events"
	}
	return c.keyed(filepath.Join(c.dir(c.memory, id), file), "oom_kill")
}

// keyed reads one value of a "name value" file, 0 if it has none.
func (c *cgroups) keyed(file, name string) int64 {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), " "); ok && k == name {
			n, _ := strconv.ParseInt(v, 10, 64)
			return n
		}
	}
	return 0
}

// remove takes a container's (empty) directories away.
func (c *cgroups) remove(id string) error {
	for _, root := range c.roots {
		dir := c.dir(root, id)
		var err error
		// The kernel may still be burying the last process: EBUSY.
		c.poll(time.Second, func() bool { err = unix.Rmdir(dir); return err != unix.EBUSY })
		if err != nil && err != unix.ENOENT {
			return fmt.Errorf("cannot remove cgroup %s: %w", dir, err)
		}
	}
	return nil
}

// ids lists the containers that have a cgroup.
func (c *cgroups) ids() []string {
	var ids []string
	for _, root := range c.roots {
		entries, err := os.ReadDir(filepath.Join(root, c.parent))
		if err != nil {
			continue
		}
		for _, e := range entries {
			if e.IsDir() && !slices.Contains(ids, e.Name()) {
				ids = append(ids, e.Name())
			}
		}
	}
	return ids
}

// removeParent takes the instance's own directories away when they are empty.
func (c *cgroups) removeParent() {
	for _, root := range c.roots {
		unix.Rmdir(filepath.Join(root, c.parent))
	}
}
