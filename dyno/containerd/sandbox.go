package containerd

import (
	"context"
	"fmt"
	"path/filepath"

	"paas/dyno"
	"paas/slug"
)

// Sandbox runs build commands in containers like those of dynos.
type Sandbox struct{ r *Runtime }

// Sandbox returns the runtime's slug.Sandbox.
func (r *Runtime) Sandbox() *Sandbox { return &Sandbox{r} }

// Run implements slug.Sandbox. Sandboxes do not outlive paasd: Recover removes
// what a crash left of them.
func (s *Sandbox) Run(ctx context.Context, spec slug.SandboxSpec) (slug.SandboxExit, error) {
	r := s.r
	if !containerID.MatchString(spec.ID) || len(spec.Argv) == 0 || !filepath.IsAbs(spec.Dir) || spec.Memory <= 0 {
		return slug.SandboxExit{}, fmt.Errorf("cannot run sandbox %q: want an id, a command, an absolute directory and a memory limit", spec.ID)
	}
	ids, err := r.ids.take()
	if err != nil {
		return slug.SandboxExit{}, err
	}
	c := newContainer(&r.o, record{Kind: kindSandbox, ID: spec.ID, IDs: ids})
	c.att = newAttachment(dyno.Streams{Stdout: spec.Output}, filepath.Join(c.dir, "io"))
	if err := r.launch(ctx, c, r.o.sandboxBox(spec, ids, c.dir), spec.Lower); err != nil {
		if ctx.Err() != nil {
			return slug.SandboxExit{}, context.Cause(ctx)
		}
		return slug.SandboxExit{}, fmt.Errorf("cannot start a sandbox: %w", err)
	}
	_, werr := r.Wait(ctx, spec.ID)
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteTimeout)
	defer cancel()
	if err := r.Delete(clean, spec.ID); err != nil {
		// The result stands; Recover removes what is left.
		r.o.Log.Error("cannot remove a sandbox", "id", spec.ID, "err", err)
	}
	if werr != nil {
		return slug.SandboxExit{}, werr
	}
	exit := c.snapshot().Exit
	if exit.Error != "" {
		return slug.SandboxExit{}, fmt.Errorf("cannot run a sandbox to its end: %s", exit.Error)
	}
	return slug.SandboxExit{Status: exit.Status, OOM: c.oom > 0}, nil
}
