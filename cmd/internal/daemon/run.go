package daemon

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/oklog/run"
)

// serve runs the platform until ctx ends or a part fails.
func serve(ctx context.Context, in *invocation) error {
	if err := needRoot(); err != nil {
		return err
	}
	softLimit()
	logger := slog.New(slog.NewTextHandler(in.stderr, nil))
	if err := makeDirs(in.config); err != nil {
		return err
	}
	unlock, err := lock(in.config)
	if err != nil {
		return err
	}
	defer unlock()
	listeners, err := listen(in.config)
	if err != nil {
		return err
	}
	defer listeners.close()
	p, err := wire(ctx, in.config, in.environ, logger)
	if err != nil {
		return err
	}
	defer p.close()
	logger.Info("paasd is starting", "version", version(), "data", in.config.DataDir, "router", in.config.RouterAddr, "ssh", in.config.SSHAddr, "api", in.config.APIAddr)
	// What the last run left is failed, and the router knows all apps, before
	// the first request is taken; it then waits for a dyno instead of being
	// refused.
	if err := p.platform.Start(ctx); err != nil {
		return err
	}
	return p.run(ctx, listeners)
}

// run is the life of all parts: the first that ends stops the others, and run
// returns when all have.
func (p *parts) run(ctx context.Context, l *listeners) error {
	var g run.Group
	actor := func(name string, fn func(context.Context) error) {
		ctx, cancel := context.WithCancel(ctx)
		g.Add(func() error {
			return ended(ctx, name, fn(ctx))
		}, func(error) { cancel() })
	}
	actor("runtime", p.runtime.Run)
	actor("supervisor", p.supervisor.Supervise)
	actor("platform", p.platform.Run)
	actor("router", func(ctx context.Context) error { return p.router.Run(ctx, l.router) })
	actor("git", func(ctx context.Context) error { return p.git.Serve(ctx, l.ssh) })
	actor("repositories", p.repos.Run)
	actor("api", func(ctx context.Context) error { return serveAPI(ctx, l.api, p.api, p.log) })
	return g.Run()
}

// ended is why a part has ended: nil if it was told to.
func ended(ctx context.Context, name string, err error) error {
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", name, err)
	}
	return fmt.Errorf("%s ended by itself", name)
}

// serveAPI serves the API on its own address, without TLS: it is meant for
// loopback, and for a proxy.
func serveAPI(ctx context.Context, l net.Listener, h http.Handler, logger *slog.Logger) error {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          log.New(logWriter{logger}, "", 0),
		// Streams end when paasd does.
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		srv.Close()
	}
	<-ended
	return nil
}

// listeners are opened first, so that a taken port is the first thing that is
// said.
type listeners struct{ router, ssh, api net.Listener }

func listen(c Config) (*listeners, error) {
	l := &listeners{}
	var errs []error
	for _, a := range []struct {
		to        *net.Listener
		key, addr string
	}{{&l.router, "router_addr", c.RouterAddr}, {&l.ssh, "ssh_addr", c.SSHAddr}, {&l.api, "api_addr", c.APIAddr}} {
		ln, err := net.Listen("tcp", a.addr)
		if err != nil {
			errs = append(errs, takenPort(a.key, a.addr, err))
			continue
		}
		*a.to = ln
	}
	if err := errors.Join(errs...); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func takenPort(key, addr string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("cannot listen on %s (%s): another program uses that port. Stop it, or set %s", addr, key, key)
	}
	return fmt.Errorf("cannot listen on %s (%s): %w", addr, key, err)
}

func (l *listeners) close() {
	for _, ln := range []net.Listener{l.router, l.ssh, l.api} {
		if ln != nil {
			ln.Close()
		}
	}
}

// lock keeps two paasd from working on one data directory, and says who has it
// in the run directory.
func lock(c Config) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(c.DataDir, "paasd.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot lock data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot lock data directory %s: another paasd works on it", c.DataDir)
	}
	pid := filepath.Join(c.RunDir, "paasd.pid")
	if err := os.WriteFile(pid, fmt.Appendf(nil, "%d\n", os.Getpid()), 0o644); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot write pid file: %w", err)
	}
	return func() {
		os.Remove(pid)
		f.Close()
	}, nil
}

// running says whether a paasd has the data directory.
func running(c Config) bool {
	f, err := os.Open(filepath.Join(c.DataDir, "paasd.lock"))
	if err != nil {
		return false
	}
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil
}
