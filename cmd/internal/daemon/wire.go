package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"time"

	"paas/api"
	"paas/api/auth"
	"paas/api/gitssh"
	"paas/api/platform"
	"paas/api/server"
	"paas/api/store"
	"paas/api/store/sqlstore"
	"paas/buildpacks"
	"paas/buildpacks/catalog"
	"paas/dyno/containerd"
	"paas/dyno/logplex"
	"paas/dyno/supervisor"
	"paas/router"
	"paas/slug"
	"paas/slug/blob"
	"paas/slug/build"
	"paas/slug/image"
	"paas/slug/layers"
	"paas/slug/source"
	"paas/slug/stack"
)

// parts is everything paasd is made of.
type parts struct {
	config     Config
	log        *slog.Logger
	store      *sqlstore.DB
	stacks     *stack.Stacks
	hub        *logplex.Hub
	runtime    *containerd.Runtime
	supervisor *supervisor.Supervisor
	router     *router.Router
	repos      *source.Repos
	platform   *platform.Platform
	api        *server.Server
	git        *gitssh.Server
	closers    []io.Closer
}

func (p *parts) close() {
	for i := len(p.closers) - 1; i >= 0; i-- {
		if err := p.closers[i].Close(); err != nil {
			p.log.Error("cannot close", "err", err)
		}
	}
}

// closing is an io.Closer that cannot fail.
type closing func()

func (c closing) Close() error {
	c()
	return nil
}

// makeDirs makes what everything is kept in. The run directory must be
// searchable by all: dynos' root file systems are entered from user namespaces.
func makeDirs(c Config) error {
	for dir, mode := range map[string]os.FileMode{c.DataDir: 0o711, c.RunDir: 0o711} {
		if err := os.MkdirAll(dir, mode); err != nil {
			return fmt.Errorf("cannot make directory: %w", err)
		}
		if err := searchable(dir); err != nil {
			return err
		}
	}
	for _, sub := range []string{"repos", "blobs", "layers", "stacks", "builds", "cache", "logs", "outputs", "ssh"} {
		if err := os.MkdirAll(filepath.Join(c.DataDir, sub), 0o700); err != nil {
			return fmt.Errorf("cannot make directory: %w", err)
		}
	}
	return nil
}

// searchable lets all through a directory that somebody made narrower.
func searchable(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("cannot use directory: %w", err)
	}
	if perm := info.Mode().Perm(); perm&0o111 != 0o111 {
		if err := os.Chmod(dir, perm|0o111); err != nil {
			return fmt.Errorf("cannot let dynos through to %s: %w", dir, err)
		}
	}
	return nil
}

func openStore(ctx context.Context, c Config) (*sqlstore.DB, error) {
	if err := makeDirs(c); err != nil {
		return nil, err
	}
	return sqlstore.Open(ctx, filepath.Join(c.DataDir, "paas.db"))
}

func newAuth(s store.Store) *auth.Authenticator {
	return auth.New(auth.Options{Store: s, Passwords: auth.NewPasswords(), Now: time.Now})
}

// openStacks opens what slugs consist of.
func openStacks(c Config, environ []string) (*blob.FS, *layers.Store, *stack.Stacks, error) {
	if err := makeDirs(c); err != nil {
		return nil, nil, nil, err
	}
	blobs, err := blob.Open(filepath.Join(c.DataDir, "blobs"))
	if err != nil {
		return nil, nil, nil, err
	}
	trees, err := layers.Open(filepath.Join(c.DataDir, "layers"), blobs)
	if err != nil {
		return nil, nil, nil, err
	}
	stacks, err := stack.Open(filepath.Join(c.DataDir, "stacks"), trees, stack.Options{Profile: c.StackProfile, Environ: environ})
	return blobs, trees, stacks, err
}

func newRuntime(c Config, images containerd.Images, hub *logplex.Hub, log *slog.Logger) (*containerd.Runtime, error) {
	subnet, err := netip.ParsePrefix(c.Network)
	if err != nil {
		return nil, fmt.Errorf("cannot use network: %w", err)
	}
	o := containerd.Options{
		DataDir: c.DataDir, RunDir: c.RunDir, EngineDir: c.EngineDir, CNIDir: c.CNIDir, Address: c.ContainerdAddress,
		Bridge: c.Bridge, Subnet: subnet, CABundle: c.CABundle, Images: images, Logs: hub, Log: log,
	}
	if port := portOf(c.RouterAddr); port != 0 {
		o.HostPorts = []uint16{port}
	}
	return containerd.New(o)
}

func portOf(addr string) uint16 {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

// wire makes all parts. Nothing runs yet.
func wire(ctx context.Context, c Config, environ []string, logger *slog.Logger) (p *parts, err error) {
	p = &parts{config: c, log: logger}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if p.store, err = openStore(ctx, c); err != nil {
		return p, err
	}
	p.closers = append(p.closers, p.store)
	blobs, trees, stacks, err := openStacks(c, environ)
	if err != nil {
		return p, err
	}
	p.closers = append(p.closers, closing(trees.Close))
	p.stacks = stacks
	images := image.New(blobs, trees, func(context.Context) ([]slug.Layer, error) { return stacks.Layers() })
	if p.hub, err = logplex.Open(logplex.Options{Dir: filepath.Join(c.DataDir, "logs"), Logger: logger}); err != nil {
		return p, err
	}
	p.closers = append(p.closers, p.hub)
	if p.runtime, err = newRuntime(c, verifiedImages{images}, p.hub, logger); err != nil {
		return p, err
	}
	write := func(appID string, l api.LogLine) { p.hub.Write(appID, l) }
	p.supervisor = supervisor.New(supervisor.Options{
		Runtime: drainedRuntime{p.runtime, p}, Log: write, Logger: logger, Cycle: 24 * time.Hour,
		Drain: func(ctx context.Context, dynoID string) { p.router.Drain(ctx, dynoID) },
	})
	if p.repos, err = source.Open(filepath.Join(c.DataDir, "repos"), source.Options{Log: logger, Env: proxies(environ)}); err != nil {
		return p, err
	}
	builder, err := newBuilder(c, p, trees, images)
	if err != nil {
		return p, err
	}
	p.closers = append(p.closers, builder)
	outputs, err := platform.OpenOutputs(filepath.Join(c.DataDir, "outputs"))
	if err != nil {
		return p, err
	}
	p.platform = platform.New(platform.Options{
		Store: p.store, Auth: newAuth(p.store), Builder: builder, Slugs: images, Scheduler: p.supervisor,
		Router: publisher{p}, Logs: logs{p.hub}, Repos: p.repos, Outputs: outputs, Log: logger, Now: time.Now,
		Domain: c.Domain, WebURL: c.webURL, GitURL: c.gitURL, Stacks: stacks.Names(),
		Settled: func() { p.sweep(ctx) },
	})
	p.api = server.New(p.platform, logger)
	p.router = router.New(router.Options{
		Log: write, Now: time.Now, ErrorLog: log.New(logWriter{logger}, "", 0),
		Internal: map[string]http.Handler{"api." + c.Domain: endingWith(ctx, p.api)},
	})
	p.git, err = gitssh.New(gitssh.Options{
		Accounts: gitDoor{p.platform}, Apps: gitDoor{p.platform}, Deployer: gitDoor{p.platform}, Repos: p.repos, Log: logger,
		HostKeys: filepath.Join(c.DataDir, "ssh"),
	})
	return p, err
}

// newBuilder makes the builder. Builds share nothing with dynos but the kernel:
// they run in the runtime's sandbox.
func newBuilder(c Config, p *parts, trees *layers.Store, images *image.Store) (*build.Builder, error) {
	version, err := fingerprint(c.BuildpackBinary)
	if err != nil {
		return nil, err
	}
	packs, err := catalog.New(catalog.Options{
		Dir: filepath.Join(c.DataDir, "buildpacks"), Program: buildpacks.Program, Version: version,
		Registry: catalog.DefaultRegistry, Env: c.BuildEnv, CABundle: c.CABundle, Owner: build.User,
	})
	if err != nil {
		return nil, err
	}
	return build.New(build.Options{
		DataDir: c.DataDir, Stacks: p.stacks, Layers: trees, Images: images, Packs: packs, Sandbox: p.runtime.Sandbox(),
		Program: c.BuildpackBinary, Env: c.BuildEnv, CABundle: c.CABundle, Timeout: time.Duration(c.Build.Timeout), Memory: int64(c.Build.Memory),
		SlugMax: int64(c.Build.SlugMax), Log: p.log,
	})
}

// fingerprint tells versions of the built-in buildpacks apart.
func fingerprint(program string) (string, error) {
	f, err := os.Open(program)
	if err != nil {
		return "", fmt.Errorf("cannot find the built-in buildpacks (buildpack_binary): %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("cannot read %s: %w", program, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// sweep stops dynos of apps that are gone.
func (p *parts) sweep(ctx context.Context) {
	known := map[string]bool{}
	err := p.store.View(ctx, func(tx store.Tx) error {
		apps, err := tx.Apps()
		for _, a := range apps {
			known[a.ID] = true
		}
		return err
	})
	if err == nil {
		err = p.supervisor.Sweep(ctx, func(appID string) bool { return known[appID] })
	}
	if err != nil && ctx.Err() == nil {
		p.log.Error("cannot stop what no app owns", "err", err)
	}
}

// softLimit keeps the garbage collector from letting the heap grow far beyond
// what is in use: paasd shares its machine with the apps.
func softLimit() {
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(256 << 20)
}
