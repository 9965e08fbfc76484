package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/client"
	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// Teardown kills all dynos, stops the engine and removes everything that the
// instance made on the host. Run MUST NOT be running.
func (r *Runtime) Teardown(ctx context.Context) error {
	var errs []error
	for _, id := range r.cg.ids() {
		errs = append(errs, r.cg.kill(ctx, id))
	}
	if r.o.Address != "" {
		errs = append(errs, r.emptyForeign(ctx))
	}
	errs = append(errs, r.engine.stop(ctx))
	if r.o.Address == "" {
		errs = append(errs, endShims(ctx, r.o.engineSocket()))
	}
	errs = append(errs, unmountBelow(r.o.RunDir), unmountBelow(r.o.dynosDir()))
	for _, id := range r.cg.ids() {
		errs = append(errs, r.cg.remove(id))
	}
	r.cg.removeParent()
	errs = append(errs, r.net.teardown(ctx))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("cannot tear down: %w", err) // the directories are needed to try again
	}
	for _, dir := range []string{r.o.dynosDir(), filepath.Join(r.o.DataDir, "containerd"), r.o.RunDir} {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("cannot tear down: %w", err)
		}
	}
	return nil
}

// emptyForeign removes our containers from an engine that is not ours.
func (r *Runtime) emptyForeign(ctx context.Context) error {
	cl, err := client.New(r.o.Address, client.WithDefaultNamespace(r.o.Namespace))
	if err != nil {
		return fmt.Errorf("cannot connect to the container engine: %w", err)
	}
	defer cl.Close()
	list, err := cl.Containers(ctx)
	if err != nil {
		return fmt.Errorf("cannot list containers: %w", err)
	}
	var errs []error
	for _, c := range list {
		_, err := r.reapTask(ctx, cl, c.ID())
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// endShims ends the shims that serve the engine at a socket. Without it they
// would wait for ever.
func endShims(ctx context.Context, socket string) error {
	procs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	for _, name := range procs {
		b, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(b), "containerd-shim-runc-v2\x00") || !strings.Contains(string(b), "\x00-address\x00"+socket+"\x00") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			continue
		}
		p, err := openProcess(pid)
		if err != nil {
			continue
		}
		err = p.signal(unix.SIGKILL)
		if err == nil {
			err = p.wait(ctx)
		}
		p.close()
		if err != nil {
			return fmt.Errorf("cannot end shim %d: %w", pid, err)
		}
	}
	return nil
}

// unmountBelow takes away all mounts under a directory, the innermost first.
func unmountBelow(dir string) error {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	if err != nil {
		return fmt.Errorf("cannot list mounts: %w", err)
	}
	for i := len(mounts) - 1; i >= 0; i-- {
		if err := unix.Unmount(mounts[i].Mountpoint, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("cannot unmount %s: %w", mounts[i].Mountpoint, err)
		}
	}
	return nil
}
