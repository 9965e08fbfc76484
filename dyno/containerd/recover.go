package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	tasks "github.com/containerd/containerd/api/services/tasks/v1"
	tasktypes "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs/pkg/errgrpc"

	"paas/dyno"
)

// Recover implements dyno.Runtime. Three things are compared: our records, what
// the engine has, and what the kernel has.
//
//	record   process   engine
//	started  alive     running   adopted
//	started  alive     unknown   killed, reported as ended
//	started  dead      -         reported as ended, with the status if it is known
//	begun, attached, sandbox     removed
//	none     any       any       removed
func (r *Runtime) Recover(ctx context.Context) ([]dyno.Recovered, error) {
	cl, err := r.client(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.net.ensure(ctx); err != nil {
		return nil, err
	}
	records, torn, err := loadRecords(r.o.dynosDir())
	if err != nil {
		return nil, err
	}
	running, err := r.runningTasks(ctx, cl)
	if err != nil {
		return nil, err
	}
	var found []dyno.Recovered
	var drop []*container
	known := map[string]bool{}
	for _, rec := range records {
		known[rec.ID] = true
		r.ids.claim(rec.IDs)
		c := newContainer(&r.o, *rec)
		if err := r.register(c); err != nil {
			return nil, err
		}
		if rec.Kind != kindDyno || rec.Started.IsZero() {
			drop = append(drop, c)
			continue
		}
		if err := r.adopt(c, running[rec.ID]); err != nil {
			return nil, fmt.Errorf("cannot adopt %s: %w", rec.Spec.Name, err)
		}
		found = append(found, dyno.Recovered{Spec: rec.Spec, Handle: rec.handle(), Started: rec.Started})
	}
	var errs []error
	for _, c := range drop {
		// What it printed is not asked for any more, and nobody waits for it.
		errs = append(errs, r.clean(ctx, c.rec))
		if c.rec.Kind == kindDyno {
			errs = append(errs, r.o.Logs.Forget(c.rec.Spec.AppID, c.rec.ID))
		}
		r.forget(c)
		r.ids.release(c.rec.IDs)
	}
	leftovers, err := r.leftovers(ctx, cl, torn)
	errs = append(errs, err)
	for _, id := range leftovers {
		if !known[id] {
			errs = append(errs, r.clean(ctx, record{ID: id}))
		}
	}
	if err := errors.Join(errs...); err != nil {
		// They stand in nobody's way and are tried again at the next start.
		r.o.Log.Error("cannot remove all leftovers", "err", err)
	}
	return found, nil
}

// adopt takes up a dyno that was started by an earlier paasd. What remains to
// be done for one that has ended goes on in the background; Wait tells.
func (r *Runtime) adopt(c *container, running bool) error {
	rec := c.rec
	if rec.Exit != nil { // recorded, but not deleted
		close(c.final)
		close(c.drain)
		close(c.done)
		return nil
	}
	if err := r.follow(c); err != nil {
		return err
	}
	var err error
	if c.init, err = rec.Init.open(); err != nil {
		// It ended while nobody looked. After a reboot there is no status.
		if rec.Init.Boot != bootID() {
			c.loseBy(errHostGone)
		} else if shim, err := rec.Shim.open(); err != nil {
			c.loseBy(errShimLost) // and its status with it
		} else {
			shim.close()
		}
		return r.spawn(func(ctx context.Context) { r.finish(ctx, c) })
	}
	r.cg.thaw(rec.ID) // paasd may have been killed amid a Signal
	if c.shim, err = rec.Shim.open(); err != nil || !running {
		if err != nil {
			c.loseBy(errShimLost)
		} else {
			c.loseBy(errTaskLost)
		}
		return r.spawn(func(ctx context.Context) { r.finish(ctx, c) })
	}
	return r.supervise(c)
}

// runningTasks asks the engine what it supervises.
func (r *Runtime) runningTasks(ctx context.Context, cl *client.Client) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(namespaces.WithNamespace(ctx, r.o.Namespace), 30*time.Second)
	defer cancel()
	list, err := cl.TaskService().List(ctx, &tasks.ListTasksRequest{})
	if err != nil {
		return nil, fmt.Errorf("cannot list what the container engine runs: %w", errgrpc.ToNative(err))
	}
	running := map[string]bool{}
	for _, t := range list.Tasks {
		if t.Status != tasktypes.Status_STOPPED {
			running[t.ID] = true
		}
	}
	return running, nil
}

// leftovers names everything that looks like a container of this instance:
// in the engine, the cgroups, the mounts, runc's state and the addresses.
func (r *Runtime) leftovers(ctx context.Context, cl *client.Client, torn []string) ([]string, error) {
	var ids []string
	add := func(more ...string) {
		for _, id := range more {
			if containerID.MatchString(id) && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	for _, name := range torn {
		if !containerID.MatchString(name) { // not of our making, and not to be trusted as an id
			if err := os.RemoveAll(filepath.Join(r.o.dynosDir(), filepath.Base(name))); err != nil {
				return nil, fmt.Errorf("cannot remove a broken record: %w", err)
			}
		}
	}
	add(torn...)
	add(r.cg.ids()...)
	for _, dir := range []string{filepath.Dir(r.bundle("x")), filepath.Join(r.o.runcRoot(), r.o.Namespace)} {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			add(e.Name())
		}
	}
	reserved, err := r.net.reserved()
	if err != nil {
		return nil, err
	}
	add(reserved...)
	ctx, cancel := context.WithTimeout(namespaces.WithNamespace(ctx, r.o.Namespace), 30*time.Second)
	defer cancel()
	all, err := cl.ContainerService().List(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot list what the container engine has: %w", err)
	}
	for _, c := range all {
		add(c.ID)
	}
	return ids, nil
}

// reconcile runs each time the engine has come back: dynos that it does not
// supervise any more, because its state was wiped, are killed. Their ends are
// then seen like any other.
func (r *Runtime) reconcile(ctx context.Context, cl *client.Client) {
	r.mu.Lock()
	var live []*container
	for _, c := range r.boxes {
		live = append(live, c)
	}
	r.mu.Unlock()
	if len(live) == 0 {
		return
	}
	running, err := r.runningTasks(ctx, cl)
	if err != nil {
		r.o.Log.Error("cannot compare dynos with the container engine", "err", err)
		return
	}
	for _, c := range live {
		rec := c.snapshot()
		if rec.Started.IsZero() || rec.Exit != nil || running[rec.ID] || c.init == nil || !c.init.alive() {
			continue
		}
		c.loseBy(errTaskLost)
		if err := r.cg.kill(ctx, rec.ID); err != nil {
			r.o.Log.Error("cannot kill a dyno that the container engine lost", "id", rec.ID, "err", err)
		}
	}
}
