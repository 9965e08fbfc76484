package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"paas/api"
	"paas/buildpacks"
	"paas/slug"
	"paas/slug/image"
	"paas/slug/layers"
)

// Stacks has the layers that builds and dynos run on. slug/stack implements it.
type Stacks interface {
	Get(ctx context.Context, name string) (slug.Stack, error)
	Language(ctx context.Context, stackName, layerName string, progress io.Writer) (slug.Layer, error)
}

// Options is everything a Builder needs. Limits that are 0 have the default.
type Options struct {
	DataDir string
	Stacks  Stacks
	Layers  *layers.Store
	Images  *image.Store
	Packs   buildpacks.Resolver
	Sandbox slug.Sandbox
	// Program is paas-buildpack on the host.
	Program string
	// Env is the operator's build environment.
	Env map[string]string
	// CABundle is set when the sandbox has the operator's certificates in the
	// place of the stack's own. Programs that bring their own are told.
	CABundle string
	Log      *slog.Logger

	Timeout  time.Duration // of the whole build; 15 minutes
	Memory   int64         // bytes; 2 GiB
	SlugMax  int64         // bytes, compressed; 500 MiB
	TreeMax  int64         // bytes of the built tree; 4 GiB
	FilesMax int           // files of a source; 300,000
	Parallel int           // builds at one time; 2
	// CacheMax is how many files a cache may have to outlive a failed build
	// unchanged; 60,000.
	CacheMax int
}

// Shares of the processor that a build gets where a dyno gets 1024, so that
// running apps do not notice it; and how many processes it may have.
const (
	cpuShares = 128
	maxPids   = 4096
)

func (o *Options) complete() {
	if o.Timeout == 0 {
		o.Timeout = 15 * time.Minute
	}
	if o.Memory == 0 {
		o.Memory = 2 << 30
	}
	if o.SlugMax == 0 {
		o.SlugMax = 500 << 20
	}
	if o.TreeMax == 0 {
		o.TreeMax = 4 << 30
	}
	if o.Parallel == 0 {
		o.Parallel = 2
	}
	if o.FilesMax == 0 {
		o.FilesMax = 300_000
	}
	if o.CacheMax == 0 {
		o.CacheMax = 60_000
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Builder is a slug.Builder.
type Builder struct {
	Options
	slots chan struct{}
	cache *cache
	grave *grave
}

var _ slug.Builder = (*Builder)(nil)

// New makes a Builder and removes, in the background, what builds have left
// that a crash has cut off.
func New(o Options) (*Builder, error) {
	o.complete()
	b := &Builder{Options: o, slots: make(chan struct{}, o.Parallel)}
	for _, dir := range []string{b.buildsDir(), b.cacheDir("")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("cannot make directory: %w", err)
		}
	}
	var err error
	if b.grave, err = digGrave(filepath.Join(b.cacheDir(""), ".grave"), o.Log); err != nil {
		return nil, err
	}
	left, err := os.ReadDir(b.buildsDir())
	if err != nil {
		return nil, fmt.Errorf("cannot tidy up builds: %w", err)
	}
	for _, e := range left {
		if err := b.grave.bury(filepath.Join(b.buildsDir(), e.Name())); err != nil {
			return nil, err
		}
	}
	b.cache = newCache(b.cacheDir(""), b.grave, o.CacheMax)
	return b, nil
}

// Close waits for work in the background. No build may run.
func (b *Builder) Close() error {
	b.cache.close()
	b.grave.done.Wait()
	return nil
}

func (b *Builder) buildsDir() string          { return filepath.Join(b.DataDir, "builds") }
func (b *Builder) cacheDir(app string) string { return filepath.Join(b.DataDir, "cache", app) }

// environment is what the runner adds to that of the buildpacks.
func (b *Builder) environment() map[string]string {
	env := map[string]string{}
	maps.Copy(env, b.Env)
	if b.CABundle != "" {
		for _, k := range []string{"SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS"} {
			env[k] = "/etc/ssl/certs/ca-certificates.crt"
		}
	}
	return env
}

// identifier is what may become a part of a path: uuids are.
var identifier = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,63}$`)

// PurgeCache implements slug.Builder. If a build has the cache, it is dropped
// when the build ends.
func (b *Builder) PurgeCache(ctx context.Context, appID string) error {
	if !identifier.MatchString(appID) {
		return fmt.Errorf("cannot purge cache: %q is no id", appID)
	}
	return b.cache.purge(ctx, appID)
}

// errTimeout is the cause of the end of a build that takes too long.
var errTimeout = errors.New("build timed out")

// Build implements slug.Builder.
func (b *Builder) Build(ctx context.Context, r slug.BuildRequest) (slug.BuildResult, error) {
	if !identifier.MatchString(r.BuildID) || !identifier.MatchString(r.AppID) {
		return slug.BuildResult{}, fmt.Errorf("cannot build: %q or %q is no id", r.BuildID, r.AppID)
	}
	out := &output{w: r.Output}
	r.Output = out
	select {
	case b.slots <- struct{}{}:
	default:
		fmt.Fprint(r.Output, "-----> Waiting for another build to finish...\n")
		select {
		case b.slots <- struct{}{}:
		case <-ctx.Done():
			return slug.BuildResult{}, context.Cause(ctx)
		}
	}
	defer func() { <-b.slots }()
	ctx, cancel := context.WithTimeoutCause(ctx, b.Timeout, errTimeout)
	defer cancel()
	j := &job{Builder: b, r: r, out: out, dir: filepath.Join(b.buildsDir(), r.BuildID)}
	err := j.run(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return slug.BuildResult{}, j.explain(err)
	}
	return j.result, nil
}

// explain turns what ended a build into what the user gets to know.
func (j *job) explain(err error) error {
	var known *api.Error
	var size *layers.SizeError
	var entry *layers.EntryError
	switch {
	case errors.Is(err, errTimeout):
		return j.reject("The build took longer than %s and was stopped. Does a step of it wait for something?", j.Timeout)
	case errors.As(err, &size) && size.Packed > 0:
		return j.reject("Compiled slug size: %s is too large (max is %s).", megabytes(size.Packed), limit(size.Max))
	case errors.As(err, &size):
		return j.reject("The built app has more than %s of files.", limit(size.Max))
	case errors.As(err, &entry):
		return j.reject("The built app has a file that no slug can hold: %s: %s", entry.Path, entry.Why)
	case errors.As(err, &known) && !j.told:
		return j.reject("%s", known.Message)
	}
	return err
}

// reject tells the user why there is no slug.
func (j *job) reject(format string, args ...any) error {
	err := api.Errorf(api.InvalidParams, format, args...)
	if !j.told {
		j.out.notes(err.Message, "", "Push failed")
		j.told = true
	}
	return err
}
