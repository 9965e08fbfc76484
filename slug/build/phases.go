package build

import (
	"context"
	"fmt"
	"os"
	"time"

	"paas/buildpacks"
	"paas/slug"
)

// job is one build under way.
type job struct {
	*Builder
	r    slug.BuildRequest
	dir  string
	told bool // the user knows already why it failed

	stack  slug.Stack
	packs  []buildpacks.Buildpack
	detect bool // packs are the built-in ones, to choose from
	key    string
	found  buildpacks.Result
	used   []buildpacks.Buildpack // those of packs that ran
	extra  []slug.Layer           // language layers, in order
	first  bool                   // the app had no cache before
	result slug.BuildResult
	done   bool // the rest is not needed: a slug was reused
}

// A phase does one thing and leaves its outcome in the job.
type phase struct {
	name string
	run  func(*job, context.Context) error
}

// phases in order. The cache is committed after the slug is durable, the work
// directory is removed whatever happens.
var phases = []phase{
	{"prepare", (*job).prepare},   // the work directory, the stack
	{"fetch", (*job).fetch},       // the source tree, less .slugignore
	{"resolve", (*job).resolve},   // which buildpacks, at which versions
	{"reuse", (*job).reuse},       // a slug of the same key
	{"compile", (*job).compile},   // the runner in the sandbox
	{"pack", (*job).pack},         // the tree becomes a layer, the layer a slug
	{"cache", (*job).commitCache}, // what the next build starts from
}

func (j *job) run(ctx context.Context) (err error) {
	defer j.clean(&err)
	for _, p := range phases {
		if j.done {
			return nil
		}
		began := time.Now()
		if err := p.run(j, ctx); err != nil {
			return fmt.Errorf("cannot %s: %w", p.name, err)
		}
		j.Log.Debug("build phase", "app", j.r.AppName, "build", j.r.BuildID, "phase", p.name, "took", time.Since(began))
	}
	return nil
}

func (j *job) prepare(ctx context.Context) error {
	fmt.Fprint(j.r.Output, "Building source:\n\n")
	var err error
	if j.stack, err = j.Stacks.Get(ctx, j.r.Stack); err != nil {
		return err
	}
	fmt.Fprintf(j.r.Output, "-----> Building on the %s stack\n", j.stack.Title)
	return j.makeDirs()
}

// clean removes the work directory; a failed build's cache is saved first.
func (j *job) clean(err *error) {
	if *err != nil {
		if saveErr := j.saveCache(); saveErr != nil {
			j.Log.Error("cannot keep the cache of a failed build", "app", j.r.AppName, "err", saveErr)
		}
	}
	if rmErr := os.RemoveAll(j.dir); rmErr != nil {
		j.Log.Error("cannot remove a build's directory", "dir", j.dir, "err", rmErr)
	}
}
