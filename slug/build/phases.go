package build

import (
	"context"
	"fmt"
	"time"

	"paas/buildpacks"
	"paas/slug"
)

// job is one build under way.
type job struct {
	*Builder
	r    slug.BuildRequest
	out  *output
	dir  string
	told bool // the user knows already why it failed

	stack  slug.Stack
	packs  []buildpacks.Buildpack
	detect bool // packs are the built-in ones, to choose from
	key    string
	found  buildpacks.Result
	used   []buildpacks.Buildpack // those of packs that ran
	extra  []slug.Layer           // language layers, in order
	lease  *lease                 // the cache, nil = not taken
	result slug.BuildResult
	done   bool // the rest is not needed: a slug was reused
}

// A phase does one thing and leaves its outcome in the job.
type phase struct {
	name string
	run  func(*job, context.Context) error
}

// phases in order. An app that lists its buildpacks needs no look at its source
// for a key, so an unchanged push ends at the first "reuse". The cache is
// committed, or brought back, and the work directory removed whatever happens.
func phases() []phase {
	return []phase{
		{"begin", (*job).begin},                 // the stack
		{"find the buildpacks", (*job).listed},  // those that the app was told to use
		{"look for a slug", (*job).reuse},       // of the same key
		{"fetch the source", (*job).fetch},      // less .slugignore
		{"find the buildpacks", (*job).unnamed}, // of an app without a list
		{"look for a slug", (*job).reuse},       //
		{"compile", (*job).compile},             // the runner in the sandbox
		{"pack the slug", (*job).pack},          // the tree becomes a layer, the layer a slug
	}
}

func (j *job) run(ctx context.Context) (err error) {
	defer func() { j.clean(err == nil) }()
	for _, p := range phases() {
		if j.done {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		began := time.Now()
		if err := p.run(j, ctx); err != nil {
			return fmt.Errorf("cannot %s: %w", p.name, err)
		}
		j.Log.Debug("build phase", "app", j.r.AppName, "build", j.r.BuildID, "phase", p.name, "took", time.Since(began))
	}
	return nil
}

func (j *job) begin(ctx context.Context) error {
	fmt.Fprint(j.out, "Building source:\n\n")
	var err error
	if j.stack, err = j.Stacks.Get(ctx, j.r.Stack); err != nil {
		return err
	}
	fmt.Fprintf(j.out, "-----> Building on the %s stack\n", j.stack.Title)
	return nil
}

// clean puts the cache back and removes the work directory. The build itself is
// not to blame for trouble with that, and a cold cache is no harm.
func (j *job) clean(success bool) {
	if j.lease != nil {
		end := j.lease.abort
		if success {
			end = j.lease.commit
		}
		if err := end(); err != nil {
			j.Log.Error("cannot keep a build cache", "app", j.r.AppName, "err", err)
		}
	}
	if err := j.grave.bury(j.dir); err != nil {
		j.Log.Error("cannot remove a build's directory", "dir", j.dir, "err", err)
	}
}
