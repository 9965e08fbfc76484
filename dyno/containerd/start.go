package containerd

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	runcoptions "github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/pkg/cio"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"paas/dyno"
)

const shimRuntime = "io.containerd.runc.v2"

// Start implements dyno.Runtime.
func (r *Runtime) Start(ctx context.Context, s dyno.Spec, streams *dyno.Streams) (dyno.Handle, error) {
	if !containerID.MatchString(s.ID) {
		return dyno.Handle{}, fmt.Errorf("cannot start a dyno with id %q: want letters, digits and dashes", s.ID)
	}
	lower, err := r.o.Images.Lower(ctx, s.Image)
	if err != nil {
		return dyno.Handle{}, fmt.Errorf("cannot start %s: %w", s.Name, err)
	}
	ids, err := r.ids.take()
	if err != nil {
		return dyno.Handle{}, err
	}
	rec := record{Kind: kindDyno, ID: s.ID, Spec: s, IDs: ids}
	if streams != nil {
		rec.Kind = kindAttached
	}
	c := newContainer(&r.o, rec)
	if streams != nil {
		c.att = newAttachment(*streams, filepath.Join(c.dir, "io"))
	}
	b := dynoBox(s, ids, c.dir, streams)
	if err := r.launch(ctx, c, b, lower); err != nil {
		return dyno.Handle{}, fmt.Errorf("cannot start %s: %w", s.Name, err)
	}
	rec = c.snapshot()
	return rec.handle(), nil
}

// launch starts a container; on error nothing of it is left.
func (r *Runtime) launch(ctx context.Context, c *container, b box, lower []string) error {
	if err := r.register(c); err != nil {
		r.ids.release(c.rec.IDs)
		return err
	}
	c.change.Lock()
	err := r.create(ctx, c, b, lower)
	c.change.Unlock()
	if err == nil {
		return nil
	}
	if c.att != nil {
		c.att.cancel()
	}
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteTimeout)
	defer cancel()
	if e := r.Delete(clean, c.id()); e != nil {
		r.o.Log.Error("cannot clean up after a failed start", "id", c.id(), "err", e)
	}
	return err
}

func (r *Runtime) create(ctx context.Context, c *container, b box, lower []string) error {
	if _, err := r.client(ctx); err != nil {
		return err
	}
	if err := r.prepare(ctx, c, b); err != nil {
		return err
	}
	var err error
	if b.ns, err = newNamespaces(b.ids); err != nil {
		return err
	}
	defer b.ns.close() // the container's processes hold them then
	spec, err := r.spec(ctx, b)
	if err != nil {
		return err
	}
	rootfs, err := rootMounts(c.dir, lower, b.ids)
	if err != nil {
		return err
	}
	plugged := make(chan error, 1)
	go func() { plugged <- r.plug(ctx, c, b.ns) }()
	task, err := r.newTask(ctx, c, spec, rootfs)
	if err := errors.Join(err, <-plugged); err != nil {
		return err
	}
	if err := r.identify(c, int(task.Pid())); err != nil {
		return err
	}
	if c.att != nil {
		c.att.resizeFirst(ctx, task)
	}
	if err := task.Start(ctx); err != nil {
		return fmt.Errorf("cannot start its first process: %w", err)
	}
	if err := c.update(func(r *record) { r.Started = time.Now() }); err != nil {
		return err
	}
	if c.att != nil {
		c.att.serve(r, c, task)
	}
	return r.supervise(c)
}

// prepare makes what is needed on disk. The record comes first: whatever
// follows can be found and removed by it.
func (r *Runtime) prepare(ctx context.Context, c *container, b box) error {
	if err := os.Mkdir(c.dir, 0o700); err != nil {
		return fmt.Errorf("cannot make its directory: %w", err)
	}
	if err := c.update(func(*record) {}); err != nil {
		return err
	}
	if err := makeUpper(c.dir, b.ids); err != nil {
		return err
	}
	hosts := fmt.Sprintf("127.0.0.1\tlocalhost %s\n::1\tlocalhost ip6-localhost ip6-loopback\n", b.hostname)
	if err := os.WriteFile(filepath.Join(c.dir, "hosts"), []byte(hosts), 0o644); err != nil {
		return fmt.Errorf("cannot write its hosts file: %w", err)
	}
	if c.rec.Kind == kindDyno {
		if err := r.follow(c); err != nil {
			return err
		}
	}
	return r.net.ensure(ctx)
}

// newTask makes the container and its first process, which does not run yet. It
// tries again if the engine turns out to be broken and is replaced.
func (r *Runtime) newTask(ctx context.Context, c *container, spec *specs.Spec, rootfs []mount.Mount) (client.Task, error) {
	for try := 0; ; try++ {
		cl, err := r.client(ctx)
		if err != nil {
			return nil, err
		}
		task, err := r.tryTask(ctx, cl, c, spec, rootfs)
		if err == nil || try == 2 || ctx.Err() != nil || !r.engine.broken(cl) {
			return task, err
		}
		os.RemoveAll(filepath.Join(c.dir, "io"))
	}
}

func (r *Runtime) tryTask(ctx context.Context, cl *client.Client, c *container, spec *specs.Spec, rootfs []mount.Mount) (client.Task, error) {
	owner := c.rec.IDs + containerUser // so that /dev/stdout can be opened
	options := &runcoptions.Options{Root: r.o.runcRoot(), IoUid: owner, IoGid: owner}
	if r.o.Address == "" {
		options.BinaryName = filepath.Join(r.o.EngineDir, "runc")
	}
	ctr, err := cl.NewContainer(ctx, c.id(),
		client.WithRuntime(shimRuntime, options),
		client.WithSpec(spec),
	)
	if err != nil {
		return nil, fmt.Errorf("cannot make the container: %w", err)
	}
	var streams cio.Creator
	if c.att != nil {
		streams = c.att.creator
	} else {
		streams = cio.LogURI(&url.URL{Scheme: "file", Path: c.logFile()})
	}
	task, err := ctr.NewTask(ctx, streams, client.WithRootFS(rootfs))
	if err != nil {
		ctr.Delete(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("cannot make the container: %w", err)
	}
	return task, nil
}

// plug connects the container's network, and notes what has to be undone.
func (r *Runtime) plug(ctx context.Context, c *container, ns *nsPair) error {
	addr, veth, err := r.net.attach(ctx, c.id(), ns.net())
	return errors.Join(err, c.update(func(r *record) { r.Addr, r.Veth = addr, veth }))
}

// identify finds the processes that have to be watched.
func (r *Runtime) identify(c *container, pid int) error {
	initID, err := identify(pid)
	if err != nil {
		return err
	}
	parent, _, err := procStat(pid)
	if err != nil {
		return fmt.Errorf("cannot find the shim: %w", err)
	}
	shimID, err := identify(parent)
	if err != nil {
		return err
	}
	if c.init, err = initID.open(); err != nil {
		return fmt.Errorf("cannot watch its first process: %w", err)
	}
	if c.shim, err = shimID.open(); err != nil {
		return fmt.Errorf("cannot watch its shim: %w", err)
	}
	return c.update(func(r *record) { r.Init, r.Shim = initID, shimID })
}
