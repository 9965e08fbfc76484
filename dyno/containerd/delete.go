package containerd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// Delete implements dyno.Runtime. What fails can be tried again: the record
// goes last.
func (r *Runtime) Delete(ctx context.Context, id string) error {
	c := r.find(id)
	if c == nil {
		return nil
	}
	if err := r.remove(ctx, c); err != nil {
		return fmt.Errorf("cannot delete %s: %w", id, err)
	}
	return nil
}

func (r *Runtime) remove(ctx context.Context, c *container) error {
	if c.att != nil {
		c.att.cancel() // nobody reads any more
	}
	c.change.Lock() // not while it is being started
	started := !c.snapshot().Started.IsZero()
	err := r.cg.kill(ctx, c.id())
	c.change.Unlock()
	if err != nil {
		return err
	}
	// If it was running, its end is being recorded now: let that finish, so
	// that its output is complete and those in Wait learn of it.
	if started && c.init != nil {
		select {
		case <-c.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-r.context().Done():
			return errStopped
		}
	}
	c.change.Lock()
	defer c.change.Unlock()
	if r.find(c.id()) != c {
		return nil // deleted meanwhile
	}
	rec := c.snapshot()
	if rec.Exit == nil {
		r.abandon(c)
	}
	if err := r.clean(ctx, rec); err != nil {
		return err
	}
	if rec.Kind == kindDyno {
		if err := r.o.Logs.Forget(rec.Spec.AppID, rec.ID); err != nil {
			return fmt.Errorf("cannot forget its output: %w", err)
		}
	}
	c.init.close()
	c.shim.close()
	r.forget(c)
	r.ids.release(rec.IDs)
	return nil
}

// abandon ends what a container that never ran has begun.
func (r *Runtime) abandon(c *container) {
	select {
	case <-c.final:
	default:
		close(c.final)
	}
	if c.out != nil {
		select {
		case <-c.drain:
		case <-r.context().Done():
		}
	}
	c.loseBy(errDeleted)
	select {
	case <-c.done:
	default:
		c.mu.Lock()
		c.rec.Exit = &exitRecord{Status: -1, At: time.Now(), Error: c.lost.Error()}
		c.mu.Unlock()
		close(c.done)
	}
}

// clean removes everything of a container from the host, in an order in which
// each step can be repeated, the address and then the record at the end. It
// works for leftovers, too, of which only the id is known.
func (r *Runtime) clean(ctx context.Context, rec record) error {
	id := rec.ID
	if err := r.cg.kill(ctx, id); err != nil {
		return err
	}
	if err := r.cleanEngine(ctx, rec); err != nil {
		return err
	}
	if err := r.cg.remove(id); err != nil {
		return err
	}
	dir := r.o.dynoDir(id)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot read its directory: %w", err)
	}
	for _, e := range entries {
		if e.Name() == recordFile {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("cannot remove its files: %w", err)
		}
	}
	if err := r.net.detach(ctx, id, rec.Veth, rec.Addr); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("cannot remove its record: %w", err)
	}
	return nil
}

// cleanEngine removes a dead container from the engine, with what the engine
// would leave behind after a crash of its own.
func (r *Runtime) cleanEngine(ctx context.Context, rec record) error {
	for try := 0; ; try++ {
		cl, err := r.client(ctx)
		if err != nil {
			return err
		}
		_, err = r.reapTask(ctx, cl, rec.ID)
		if err == nil || errdefs.IsNotFound(err) {
			break
		}
		if try == 5 || ctx.Err() != nil {
			return err
		}
		if r.engine.broken(cl) {
			continue
		}
		// A shim that hangs would keep it for ever.
		if shim, e := rec.Shim.open(); e == nil {
			shim.signal(unix.SIGKILL)
			shim.close()
		}
	}
	// After a crash of the engine these may be left. A mount that is in use
	// nowhere goes at once.
	rootfs := filepath.Join(r.bundle(rec.ID), "rootfs")
	for unix.Unmount(rootfs, unix.MNT_DETACH) == nil {
	}
	if err := os.RemoveAll(filepath.Join(r.o.runcRoot(), r.o.Namespace, rec.ID)); err != nil {
		return fmt.Errorf("cannot remove runc's state: %w", err)
	}
	return nil
}
