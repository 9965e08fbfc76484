package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
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
	Log *slog.Logger

	Timeout  time.Duration // of the whole build; 15 minutes
	Memory   int64         // bytes; 2 GiB
	SlugMax  int64         // bytes, compressed; 500 MiB
	TreeMax  int64         // bytes of the built tree; 4 GiB
	Parallel int           // builds at one time; 2
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
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Builder is a slug.Builder.
type Builder struct {
	Options
	slots chan struct{}
}

var _ slug.Builder = (*Builder)(nil)

// New makes a Builder and tidies up after builds that a crash has cut off.
func New(o Options) (*Builder, error) {
	o.complete()
	b := &Builder{Options: o, slots: make(chan struct{}, o.Parallel)}
	if err := b.tidy(); err != nil {
		return nil, err
	}
	return b, nil
}

func (b *Builder) buildsDir() string          { return filepath.Join(b.DataDir, "builds") }
func (b *Builder) cacheDir(app string) string { return filepath.Join(b.DataDir, "cache", app) }

// errTimeout is the cause of the end of a build that takes too long.
var errTimeout = errors.New("build timed out")

// Build implements slug.Builder.
func (b *Builder) Build(ctx context.Context, r slug.BuildRequest) (slug.BuildResult, error) {
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
	j := &job{Builder: b, r: r, dir: filepath.Join(b.buildsDir(), r.BuildID)}
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
		return j.reject("Compiled slug size: %s is too large (max is %s).", megabytes(size.Packed), megabytes(size.Max))
	case errors.As(err, &size):
		return j.reject("The built app has more than %s of files.", megabytes(size.Max))
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
		fmt.Fprintf(j.r.Output, " !     %s\n !     Push failed\n", err.Message)
		j.told = true
	}
	return err
}

func megabytes(n int64) string { return fmt.Sprintf("%.1fM", float64(n)/(1<<20)) }
