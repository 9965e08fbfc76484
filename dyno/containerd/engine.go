package containerd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/client"
	"golang.org/x/sys/unix"
)

// engine keeps a containerd running and hands out clients of it.
//
//	┌─> find (adopt) or start ──> answers ──> serving ──> ended or replaced ─┐
//	└──────────────── wait a little, longer after each failure <─────────────┘
type engine struct {
	o *Options
	// onReady is called, before anybody gets the client, each time the engine
	// has come (back) up.
	onReady func(context.Context, *client.Client)

	mu      sync.Mutex
	current *client.Client // nil while the engine is down
	proc    *process
	changed chan struct{} // closed and replaced when current changes
}

func newEngine(o *Options) *engine {
	return &engine{o: o, changed: make(chan struct{})}
}

// client waits until the engine answers.
func (e *engine) client(ctx context.Context) (*client.Client, error) {
	for {
		e.mu.Lock()
		c, changed := e.current, e.changed
		e.mu.Unlock()
		if c != nil {
			return c, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("cannot reach the container engine: %w", context.Cause(ctx))
		}
	}
}

func (e *engine) publish(c *client.Client, p *process) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.current, e.proc = c, p
	close(e.changed)
	e.changed = make(chan struct{})
}

const (
	engineStartTimeout = 15 * time.Second
	minEnginePause     = 20 * time.Millisecond
	maxEnginePause     = 5 * time.Second
	// An engine that ran this long was well: start afresh at once.
	engineWell = 10 * time.Second
)

// run supervises until ctx ends. The engine is left running.
func (e *engine) run(ctx context.Context) {
	pause := minEnginePause
	for {
		began := time.Now()
		err := e.serve(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > engineWell {
			pause = minEnginePause
		}
		e.o.Log.Warn("the container engine ended, starting it again", "cause", err, "in", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, maxEnginePause)
	}
}

// serve brings the engine up and returns when it is gone.
func (e *engine) serve(ctx context.Context) error {
	p, err := e.adopt(ctx)
	if err != nil && e.o.Address == "" {
		p, err = e.start(ctx)
	}
	if err != nil {
		return err
	}
	defer p.close()
	c, err := client.New(e.o.socket(), client.WithDefaultNamespace(e.o.Namespace), client.WithTimeout(5*time.Second))
	if err != nil {
		return fmt.Errorf("cannot connect to the container engine: %w", err)
	}
	defer c.Close()
	if e.onReady != nil {
		e.onReady(ctx, c)
	}
	e.publish(c, p)
	defer e.publish(nil, nil)

	watch, cancel := context.WithCancel(ctx)
	var logs sync.WaitGroup
	if e.o.Address == "" {
		logs.Go(func() { boundLog(watch, e.o.engineLog()) })
	}
	err = p.wait(ctx)
	cancel()
	logs.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		reap(p.pid)
		err = errors.New("its process ended")
	}
	return err
}

// reap takes the status of the engine if it is our own child; one that was
// adopted belongs to init.
func reap(pid int) {
	var ws unix.WaitStatus
	unix.Wait4(pid, &ws, unix.WNOHANG, nil)
}

// adopt finds the process behind a socket that answers.
func (e *engine) adopt(ctx context.Context) (*process, error) {
	p, err := peer(ctx, e.o.socket())
	if err != nil {
		return nil, err
	}
	if e.o.Address == "" && !e.o.engineCurrent(p.pid) {
		p.close()
		e.o.Log.Info("replacing the container engine by the installed one")
		return nil, errors.Join(errors.New("the container engine is another than the installed one"), e.stop(ctx))
	}
	if err := e.answers(ctx); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// peer opens the process that listens at a Unix socket.
func peer(ctx context.Context, socket string) (*process, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the container engine: %w", err)
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	var cerr error
	if err := raw.Control(func(fd uintptr) { cred, cerr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return nil, err
	}
	if cerr != nil {
		return nil, fmt.Errorf("cannot tell who listens at %s: %w", socket, cerr)
	}
	return openProcess(int(cred.Pid))
}

func (e *engine) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, err := client.New(e.o.socket(), client.WithDefaultNamespace(e.o.Namespace), client.WithTimeout(5*time.Second))
	if err != nil {
		return fmt.Errorf("cannot connect to the container engine: %w", err)
	}
	defer c.Close()
	if _, err := c.Version(ctx); err != nil {
		return fmt.Errorf("cannot talk to the container engine: %w", err)
	}
	return nil
}

// start runs a new containerd in a session of its own, so that it outlives us.
func (e *engine) start(ctx context.Context) (*process, error) {
	if err := e.endStray(); err != nil {
		return nil, err
	}
	if err := e.o.writeEngineConfig(); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(e.o.engineLog(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open the engine's log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(e.o.EngineDir, "containerd"), "--config", e.o.engineConfig())
	cmd.Dir = "/"
	// The engine finds the shim, and the shim finds runc, by PATH: ours first.
	cmd.Env = []string{
		"PATH=" + e.o.EngineDir + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"TMPDIR=" + e.o.engineTemp(), // shims mount lower layers there for a moment
		"GOMAXPROCS=4", "GOGC=50",
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the container engine: %w", err)
	}
	pid := cmd.Process.Pid
	p, err := openProcess(pid)
	if err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		return nil, err
	}
	cmd.Process.Release()
	for end := time.Now().Add(engineStartTimeout); ; {
		if _, err = os.Stat(e.o.engineSocket()); err == nil {
			if err = e.answers(ctx); err == nil {
				return p, nil
			}
		}
		switch {
		case !p.alive():
			reap(pid)
			p.close()
			return nil, fmt.Errorf("cannot start the container engine: it ended at once, see %s", e.o.engineLog())
		case time.Now().After(end), ctx.Err() != nil:
			p.signal(unix.SIGKILL)
			p.wait(context.WithoutCancel(ctx))
			reap(pid)
			p.close()
			return nil, fmt.Errorf("cannot start the container engine: it does not answer: %w", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// endStray ends a containerd of this instance that cannot be reached, because
// its socket was wiped: two on one state directory would fight.
func (e *engine) endStray() error {
	procs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	for _, name := range procs {
		b, err := os.ReadFile(name)
		if err != nil || !strings.HasSuffix(string(b), "\x00--config\x00"+e.o.engineConfig()+"\x00") {
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
			err = p.wait(context.Background())
			reap(pid)
		}
		p.close()
		if err != nil {
			return fmt.Errorf("cannot end the stray container engine %d: %w", pid, err)
		}
	}
	return nil
}

// broken is called when a request to the engine failed. It returns whether the
// engine is to blame, so that the next client comes from another one: it has
// ended and run has not noticed yet, or what it needs on disk was wiped below
// it; then it is ended here.
func (e *engine) broken(c *client.Client) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.current != c:
		return true
	case !e.proc.alive():
	case e.o.Address == "" && e.wiped():
		e.o.Log.Warn("the container engine's directories were removed, starting it afresh")
		e.proc.signal(unix.SIGKILL)
	default:
		return false
	}
	e.current = nil
	return true
}

func (e *engine) wiped() bool {
	for _, f := range []string{
		e.o.engineSocket(),
		filepath.Join(e.o.engineRoot(), "io.containerd.metadata.v1.bolt", "meta.db"),
		filepath.Join(e.o.engineState(), "io.containerd.runtime.v2.task"),
	} {
		if _, err := os.Stat(f); err != nil {
			return true
		}
	}
	return false
}

// stop ends the engine; used by Teardown.
func (e *engine) stop(ctx context.Context) error {
	if e.o.Address != "" {
		return nil
	}
	p, err := peer(ctx, e.o.engineSocket())
	if err == nil {
		defer p.close()
		if err := p.signal(unix.SIGTERM); err != nil {
			return fmt.Errorf("cannot stop the container engine: %w", err)
		}
		grace, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if p.wait(grace) == nil {
			reap(p.pid)
			return nil
		}
	}
	return e.endStray()
}
