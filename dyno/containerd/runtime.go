package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/client"
	"golang.org/x/sys/unix"

	"paas/dyno"
	"paas/slug"
)

// Runtime starts dynos and sandboxes. Run MUST be running while it is used;
// methods wait until the engine answers.
type Runtime struct {
	o      Options
	cg     *cgroups
	engine *engine
	net    *network
	ids    *idRanges
	out    *outputs

	running chan struct{} // closed when Run has begun
	ctx     context.Context
	work    sync.WaitGroup // what Run waits for

	mu    sync.Mutex
	boxes map[string]*container
}

var (
	_ dyno.Runtime = (*Runtime)(nil)
	_ slug.Sandbox = (*Sandbox)(nil)
)

// New makes a Runtime. It changes nothing on the host yet.
func New(o Options) (*Runtime, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	cg, err := findCgroups(o.instance())
	if err != nil {
		return nil, err
	}
	r := &Runtime{o: o, cg: cg, ids: newIDRanges(o.instance()), running: make(chan struct{}), boxes: map[string]*container{}}
	if r.net, err = newNetwork(&r.o); err != nil {
		return nil, err
	}
	r.engine = newEngine(&r.o)
	r.engine.onReady = r.reconcile
	return r, nil
}

// Run supervises the engine, reads what dynos print and watches for their ends,
// until ctx ends. Dynos and the engine then go on by themselves, to be found by
// Recover of the next Runtime.
func (r *Runtime) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := os.MkdirAll(r.o.dynosDir(), 0o700); err != nil {
		return fmt.Errorf("cannot make the dynos' directory: %w", err)
	}
	out, err := newOutputs()
	if err != nil {
		return err
	}
	r.out = out
	r.mu.Lock()
	r.ctx = ctx
	r.mu.Unlock()
	r.work.Go(func() { out.run(ctx) })
	close(r.running)
	r.engine.run(ctx)
	r.mu.Lock() // spawn adds nothing any more
	cancel(errStopped)
	r.mu.Unlock()
	r.work.Wait()
	return nil
}

var errStopped = errors.New("the runtime has stopped")

// context ends when Run does.
func (r *Runtime) context() context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ctx
}

// client waits until Run has begun and the engine answers.
func (r *Runtime) client(ctx context.Context) (*client.Client, error) {
	select {
	case <-r.running:
	case <-ctx.Done():
		return nil, fmt.Errorf("cannot reach the container engine: %w", context.Cause(ctx))
	}
	run := r.context()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(run, func() { cancel(context.Cause(run)) })()
	return r.engine.client(ctx)
}

// spawn runs f until it returns, which it MUST do soon after its context ends.
func (r *Runtime) spawn(f func(context.Context)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() != nil {
		return errStopped
	}
	ctx := r.ctx
	r.work.Go(func() { f(ctx) })
	return nil
}

// container is one dyno or sandbox as long as its directory exists.
type container struct {
	dir string
	out *tail // nil if attached or a sandbox
	att *attachment
	// change serialises starting, finishing and deleting.
	change sync.Mutex
	init   *process
	shim   *process

	mu   sync.Mutex // guards rec and lost
	rec  record
	lost error // why the platform killed it
	oom  int64 // times the kernel killed in it for memory; valid after done

	final chan struct{} // closed when nothing more will be printed
	drain chan struct{} // closed when all output was handed over
	done  chan struct{} // closed when rec.Exit is set
}

func newContainer(o *Options, rec record) *container {
	return &container{
		dir: o.dynoDir(rec.ID), rec: rec,
		final: make(chan struct{}), drain: make(chan struct{}), done: make(chan struct{}),
	}
}

func (c *container) id() string { return c.rec.ID } // never changes

func (c *container) logFile() string { return filepath.Join(c.dir, "output") }

// update changes the record and saves it.
func (c *container) update(change func(*record)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.rec)
	return c.rec.save(c.dir)
}

func (c *container) snapshot() record {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rec
}

func (c *container) loseBy(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost == nil {
		c.lost = err
	}
}

func (c *container) lostBy() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost
}

// register makes a container known under its id, which must be new.
func (r *Runtime) register(c *container) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.boxes[c.id()] != nil {
		return fmt.Errorf("cannot start %s: it exists", c.id())
	}
	r.boxes[c.id()] = c
	return nil
}

func (r *Runtime) find(id string) *container {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.boxes[id]
}

func (r *Runtime) forget(c *container) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.boxes[c.id()] == c {
		delete(r.boxes, c.id())
	}
}

// Signal implements dyno.Runtime. PID 1, which is ours, gets none but SIGKILL:
// it would pass it on, and the command would see it twice.
func (r *Runtime) Signal(ctx context.Context, id string, sig dyno.Signal) error {
	c := r.find(id)
	if c == nil {
		return nil
	}
	rec := c.snapshot()
	if rec.Started.IsZero() || rec.Exit != nil {
		return nil
	}
	if sig == dyno.SIGKILL {
		return r.cg.kill(ctx, id)
	}
	return r.cg.signal(id, unix.Signal(sig), rec.Init.PID)
}

// Wait implements dyno.Runtime.
func (r *Runtime) Wait(ctx context.Context, id string) (dyno.Exit, error) {
	c := r.find(id)
	if c == nil {
		return dyno.Exit{}, fmt.Errorf("cannot wait for %s: it does not exist", id)
	}
	select {
	case <-c.done:
		return c.snapshot().Exit.exit(), nil
	case <-ctx.Done():
		return dyno.Exit{}, context.Cause(ctx)
	}
}

// deleteTimeout bounds Delete where its caller does not.
const deleteTimeout = time.Minute
