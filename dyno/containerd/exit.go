package containerd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	tasks "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
)

var (
	errShimLost   = errors.New("its supervising process was killed")
	errTaskLost   = errors.New("the container engine lost it")
	errStatusLost = errors.New("its exit status was lost with the container engine")
	errHostGone   = errors.New("the host was restarted")
	errDeleted    = errors.New("it was deleted")
)

// follow begins to hand over what a dyno prints.
func (r *Runtime) follow(c *container) error {
	t, err := openTail(c.logFile(), c.rec.Spec, r.o.Logs, r.o.Log)
	if err != nil {
		return err
	}
	if err := r.out.add(c.logFile(), t); err != nil {
		t.f.Close()
		return err
	}
	c.out = t
	err = r.spawn(func(ctx context.Context) {
		defer r.out.remove(c.logFile())
		if err := t.run(ctx, c.final); err != nil && ctx.Err() == nil {
			r.o.Log.Error("output is lost", "dyno", c.id(), "err", err)
		}
		if ctx.Err() == nil {
			close(c.drain)
		}
	})
	if err != nil {
		r.out.remove(c.logFile())
		t.f.Close()
		c.out = nil
	}
	return err
}

// supervise watches a started container until its end is recorded.
func (r *Runtime) supervise(c *container) error {
	return r.spawn(func(ctx context.Context) {
		watch, cancel := context.WithCancel(ctx)
		defer cancel()
		if err := r.spawn(func(context.Context) {
			// Without its shim its output goes nowhere and its end is seen by
			// nobody: it must not live on.
			if c.shim.wait(watch) == nil && c.init.alive() {
				c.loseBy(errShimLost)
				if err := r.cg.kill(watch, c.id()); err != nil && watch.Err() == nil {
					r.o.Log.Error("cannot kill a dyno that lost its shim", "id", c.id(), "err", err)
				}
			}
		}); err != nil {
			return
		}
		if err := c.init.wait(ctx); err != nil {
			return // stopping: Recover comes back to it
		}
		cancel()
		r.finish(ctx, c)
	})
}

// finish records how a container ended, once all its output was handed over.
func (r *Runtime) finish(ctx context.Context, c *container) {
	// Delete waits for this, unless it does the work itself.
	c.change.Lock()
	defer c.change.Unlock()
	if c.snapshot().Exit != nil {
		return
	}
	// Members of the group that the kernel has not yet buried hold pipes open.
	if err := r.cg.kill(ctx, c.id()); err != nil && ctx.Err() == nil {
		r.o.Log.Error("cannot kill what a dyno left", "id", c.id(), "err", err)
	}
	c.oom = r.cg.oomKills(c.id()) // deleting the task removes the cgroup
	end, err := r.endTask(ctx, c)
	if err != nil {
		return // stopping
	}
	r.conclude(ctx, c, end)
}

// conclude hands over the rest of the output and makes the end known.
func (r *Runtime) conclude(ctx context.Context, c *container, end exitRecord) {
	if lost := c.lostBy(); lost != nil {
		end.Status, end.Error = 137, lost.Error()
	}
	close(c.final)
	if c.att != nil {
		c.att.finish(ctx)
	}
	if c.out != nil {
		select {
		case <-c.drain:
		case <-ctx.Done():
			return
		}
	}
	if err := c.update(func(r *record) { r.Exit = &end }); err != nil {
		r.o.Log.Error("cannot record the end of a dyno", "id", c.id(), "err", err)
	}
	close(c.done)
}

// endTask takes the exit status of a dead container from the engine and deletes
// its task there, upon which the shim has written all output. It waits for an
// engine that is down; meanwhile, the shim leaves the status in a file that a
// returning engine removes.
func (r *Runtime) endTask(ctx context.Context, c *container) (exitRecord, error) {
	noted, ok := r.notedStatus(ctx, c.id())
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		cl, err := r.client(ctx)
		if err != nil {
			return exitRecord{}, err
		}
		end, err := r.reapTask(ctx, cl, c.id())
		switch {
		case err == nil:
			return end, nil
		case errdefs.IsNotFound(err) && ok:
			return noted, nil
		case errdefs.IsNotFound(err):
			return exitRecord{Status: -1, At: time.Now(), Error: errStatusLost.Error()}, nil
		case ctx.Err() != nil:
			return exitRecord{}, ctx.Err()
		}
		r.engine.broken(cl)
		if !ok {
			noted, ok = r.notedStatus(ctx, c.id())
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return exitRecord{}, ctx.Err()
		}
	}
}

// reapTimeout is for a shim to notice that its process ended, and to write the
// last output.
const reapTimeout = 10 * time.Second

// reapTask waits for the task to be seen dead and deletes it, and its container.
func (r *Runtime) reapTask(ctx context.Context, cl *client.Client, id string) (exitRecord, error) {
	ctx, cancel := context.WithTimeout(namespaces.WithNamespace(ctx, r.o.Namespace), reapTimeout)
	defer cancel()
	w, err := cl.TaskService().Wait(ctx, &tasks.WaitRequest{ContainerID: id})
	if err == nil {
		_, err = cl.TaskService().Delete(ctx, &tasks.DeleteTaskRequest{ContainerID: id})
	}
	if err = errgrpc.ToNative(err); err != nil && !errdefs.IsNotFound(err) {
		return exitRecord{}, fmt.Errorf("cannot delete task %s: %w", id, err)
	}
	if e := cl.ContainerService().Delete(ctx, id); e != nil && !errdefs.IsNotFound(e) {
		return exitRecord{}, fmt.Errorf("cannot delete container %s: %w", id, e)
	}
	if w == nil {
		return exitRecord{}, err // not found
	}
	return exitRecord{Status: int(w.ExitStatus), At: w.ExitedAt.AsTime()}, nil
}

// notedStatus reads what the shim notes in the container's bundle when its
// process ends. Only our own engine's bundles are known to be laid out so.
func (r *Runtime) notedStatus(ctx context.Context, id string) (exitRecord, bool) {
	if r.o.Address != "" {
		return exitRecord{}, false
	}
	bundle := r.bundle(id)
	for range 50 {
		b, err := os.ReadFile(filepath.Join(bundle, "exit.json"))
		var note struct {
			Timestamp time.Time
			Status    int
		}
		if err == nil && json.Unmarshal(b, &note) == nil && !note.Timestamp.IsZero() {
			return exitRecord{Status: note.Status, At: note.Timestamp}, true
		}
		if _, err := os.Stat(bundle); err != nil || ctx.Err() != nil {
			break
		}
		time.Sleep(2 * time.Millisecond) // the shim reaps it about now
	}
	return exitRecord{}, false
}

// bundle is the directory that containerd's runtime keeps for a container.
func (r *Runtime) bundle(id string) string {
	return filepath.Join(r.o.engineState(), "io.containerd.runtime.v2.task", r.o.Namespace, id)
}
