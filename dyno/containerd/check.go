package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/vishvananda/netlink"
)

// Check implements dyno.Runtime: it tries what dynos need, and names all that
// is missing at once. The engine is asked only while Run is running.
func (r *Runtime) Check(ctx context.Context) error {
	errs := []error{
		executables(r.o.CNIDir, "CNI plugin", "bridge", "host-local"),
		executables(r.o.EngineDir, "program", r.o.engineFiles()...),
		userNamespaces(),
		searchable(r.o.RunDir),
		r.subnetFree(),
	}
	if _, err := exec.LookPath("nft"); err != nil {
		errs = append(errs, fmt.Errorf("cannot find nft: install nftables"))
	}
	errs = append(errs, r.tryOverlay())
	if err := errors.Join(errs...); err != nil {
		return err // no need to wait for an engine that lacks its parts
	}
	if len(findResolvers(resolvConfs).servers) == 0 {
		r.o.Log.Warn("dynos cannot look up names: the host has no IPv4 name server but on loopback", "files", resolvConfs)
	}
	select {
	case <-r.running:
	default:
		return nil // nobody has started the engine yet, and this is not to
	}
	_, err := r.client(ctx)
	return err
}

func (o *Options) engineFiles() []string {
	if o.Address != "" {
		return []string{"tini-static"}
	}
	return []string{"containerd", "containerd-shim-runc-v2", "runc", "tini-static"}
}

func executables(dir, what string, names ...string) error {
	var errs []error
	for _, n := range names {
		if st, err := os.Stat(filepath.Join(dir, n)); err != nil || st.Mode()&0o111 == 0 {
			errs = append(errs, fmt.Errorf("cannot find %s %s in %s", what, n, dir))
		}
	}
	return errors.Join(errs...)
}

func userNamespaces() error {
	b, err := os.ReadFile("/proc/sys/user/max_user_namespaces")
	if err != nil {
		return fmt.Errorf("cannot use user namespaces: the kernel has none: %w", err)
	}
	if n, err := strconv.Atoi(string(bytes.TrimSpace(b))); err != nil || n == 0 {
		return errors.New("cannot use user namespaces: sysctl user.max_user_namespaces is 0")
	}
	return nil
}

// searchable checks that a container's root user, who is nobody on the host,
// can reach its root file system.
func searchable(dir string) error {
	for d := filepath.Dir(dir); ; d = filepath.Dir(d) {
		if st, err := os.Stat(d); err == nil && st.Mode()&0o001 == 0 {
			return fmt.Errorf("cannot use runtime directory %s: %s is closed to others (mode %#o), chmod o+x it", dir, d, st.Mode().Perm())
		}
		if d == "/" {
			return nil
		}
	}
}

// tryOverlay mounts what a dyno would get, once.
func (r *Runtime) tryOverlay() error {
	if err := os.MkdirAll(r.o.dynosDir(), 0o700); err != nil {
		return fmt.Errorf("cannot make the dynos' directory: %w", err)
	}
	dir, err := os.MkdirTemp(r.o.DataDir, "check-")
	if err != nil {
		return fmt.Errorf("cannot write to the data directory: %w", err)
	}
	defer os.RemoveAll(dir)
	target, lower := filepath.Join(dir, "root"), filepath.Join(dir, "layers", "a")
	for _, d := range []string{target, lower} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return fmt.Errorf("cannot write to the data directory: %w", err)
		}
	}
	if err := makeUpper(dir, firstRange); err != nil {
		return err
	}
	m, err := rootMounts(dir, []string{lower}, firstRange)
	if err != nil {
		return err
	}
	if err := mount.All(m, target); err != nil {
		return fmt.Errorf("cannot mount an overlay with mapped ids on %s: the kernel (5.19 or newer) and the file system must allow it: %w", r.o.DataDir, err)
	}
	if err := mount.UnmountAll(target, 0); err != nil {
		return fmt.Errorf("cannot unmount an overlay: %w", err)
	}
	return nil
}

// subnetFree looks for other uses of the dynos' range.
func (r *Runtime) subnetFree() error {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("cannot read routes: %w", err)
	}
	for _, route := range routes {
		if route.Dst == nil || route.LinkIndex == 0 {
			continue // default, or unreachable
		}
		if ones, _ := route.Dst.Mask.Size(); ones == 0 || !(route.Dst.Contains(r.o.Subnet.Addr().AsSlice()) || ipNet(r.o.Subnet).Contains(route.Dst.IP)) {
			continue
		}
		link, err := netlink.LinkByIndex(route.LinkIndex)
		if err == nil && link.Attrs().Name != r.o.Bridge {
			return fmt.Errorf("cannot use subnet %s for dynos: %s is on %s already; set another", r.o.Subnet, route.Dst, link.Attrs().Name)
		}
	}
	return nil
}
