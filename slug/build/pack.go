package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"paas/api"
	"paas/slug"
	"paas/slug/image"
	"paas/slug/layers"
)

// epoch is the time of files whose source has none (a tarball): 2010-01-01.
var epoch = time.Unix(1262304000, 0)

// pack makes the slug: the built tree is renamed to a layer's root, packed, and
// named by an image of it and the stack's layers.
func (j *job) pack(ctx context.Context) error {
	rev := j.r.Source.Revision()
	when := rev.Time
	if when.IsZero() {
		when = epoch
	}
	built, root := j.path("b", "build"), j.path("layer", "app")
	if st, err := os.Lstat(built); err != nil || !st.IsDir() {
		return j.reject("The build has removed or replaced its own directory.")
	}
	if err := os.Rename(built, root); err != nil {
		return fmt.Errorf("cannot take the built tree: %w", err)
	}
	if err := errors.Join(os.Lchown(root, User, User), os.Chmod(root, 0o755)); err != nil {
		return fmt.Errorf("cannot take the built tree: %w", err)
	}
	fmt.Fprint(j.out, "-----> Compressing...\n")
	app, err := j.Layers.Adopt(ctx, j.path("layer"), layers.Options{
		Name: "app", Time: when, MaxBlob: j.SlugMax, MaxTree: j.TreeMax,
		// Or each file that a buildpack moved out of the cache would be copied.
		Settle: j.lease.forgetSaved,
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(j.out, "       Done: %s\n\n", megabytes(app.Size))
	s := api.Slug{
		Key: j.key, Size: app.Size, Stack: j.stack.Name, Commit: rev.Commit, CommitDescription: rev.Description,
		Description: j.found.Used[len(j.found.Used)-1].Detected,
	}
	for _, p := range j.found.Processes {
		s.Processes = append(s.Processes, api.ProcessType(p))
	}
	for _, p := range j.used {
		s.Buildpacks = append(s.Buildpacks, p.Name)
	}
	all := append(append(append([]slug.Layer{}, j.stack.Run...), j.extra...), app)
	s.Digest, err = j.Images.Write(ctx, image.Contents{
		Layers: all, Processes: s.Processes, Stack: s.Stack, Buildpacks: s.Buildpacks, Description: s.Description,
		Commit: s.Commit, CommitDescription: s.CommitDescription, Time: when,
	})
	if err != nil {
		return err
	}
	j.result = slug.BuildResult{Slug: s, Config: j.found.Config}
	return nil
}
