package containerd

import (
	"fmt"
	"os"
	"runtime"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// nsPair is a container's user namespace and the network namespace that belongs
// to it, made before the container: so the network can be set up while runc
// creates the container, the two longest parts of a start.
//
// Until the container's own processes do, a process holds them that never runs:
// it is traced, so it stops before its first instruction. (Open files would
// hold them, too, but runc tells a namespace's mapping from /proc/<pid>/ns.)
type nsPair struct{ holder *os.Process }

func newNamespaces(ids uint32) (*nsPair, error) {
	// Being traced, and the signal at our death, are tied to the thread; Go
	// ends none that was unlocked.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	mapping := []syscall.SysProcIDMap{{ContainerID: 0, HostID: int(ids), Size: idsPerRange}}
	p, err := os.StartProcess("/proc/self/exe", []string{"paas-namespaces"}, &os.ProcAttr{Sys: &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
		UidMappings: mapping, GidMappings: mapping, GidMappingsEnableSetgroups: true,
		Ptrace: true, Pdeathsig: unix.SIGKILL,
	}})
	if err != nil {
		return nil, fmt.Errorf("cannot make namespaces: %w", err)
	}
	n := &nsPair{p}
	if err := n.startLoopback(); err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

func (n *nsPair) user() string { return fmt.Sprintf("/proc/%d/ns/user", n.holder.Pid) }
func (n *nsPair) net() string  { return fmt.Sprintf("/proc/%d/ns/net", n.holder.Pid) }

// close lets go of the namespaces.
func (n *nsPair) close() {
	n.holder.Kill()
	for {
		var ws unix.WaitStatus // that it has stopped may be reported first
		_, err := unix.Wait4(n.holder.Pid, &ws, 0, nil)
		if err != unix.EINTR && (err != nil || ws.Exited() || ws.Signaled()) {
			break
		}
	}
	n.holder.Release()
}

func (n *nsPair) startLoopback() error {
	ns, err := netns.GetFromPath(n.net())
	if err != nil {
		return fmt.Errorf("cannot open a network namespace: %w", err)
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns)
	if err != nil {
		return fmt.Errorf("cannot enter a network namespace: %w", err)
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err == nil {
		err = h.LinkSetUp(lo)
	}
	if err != nil {
		return fmt.Errorf("cannot start the loopback interface: %w", err)
	}
	return nil
}
