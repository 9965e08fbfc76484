package slug

import (
	"context"
	"io"
	"time"

	"paas/api"
)

// Revision identifies a source.
type Revision struct {
	Commit      string // full sha; "" for a tarball
	Tree        string // identity of the file tree: equal trees have equal values
	Description string // first line of the commit message
	// Time becomes the modification time of the slug's files: the commit time.
	Time time.Time
}

// Source is a tree of files handed to a build.
type Source interface {
	Revision() Revision
	// Export writes the tree into dir, which exists and is empty: checkout
	// semantics (no export-ignore), no .git, submodules included, symlinks as
	// they are.
	Export(ctx context.Context, dir string) error
}

// BuildRequest is what a build is asked.
type BuildRequest struct {
	BuildID string // uuid
	AppID   string
	AppName string
	Source  Source
	Stack   string
	// Buildpacks is the explicit list; empty = .buildpacks, BUILDPACK_URL,
	// then detection.
	Buildpacks []string
	Config     api.ConfigVars // for ENV_DIR
	// Output gets what the pusher sees, live, in Heroku's words (without
	// "remote: "). Writes never fail and never block for long.
	Output io.Writer
	// Reuse looks a slug up by its key; ok = false builds.
	Reuse func(key string) (s api.Slug, ok bool)
}

// BuildResult is what a build answers.
type BuildResult struct {
	// Slug is complete but for ID, AppID, AuthorID and CreatedAt, or, when
	// Reused, the very record that Reuse returned.
	Slug   api.Slug
	Reused bool
	// Config are legacy config_vars of bin/release: set if absent, on an app's
	// first release only.
	Config api.ConfigVars
}

// Builder turns sources into slugs. It may be called concurrently for
// different apps; calls for one app are the caller's to serialise.
type Builder interface {
	// Build runs until the slug is stored durably. A failure for which the
	// source is to blame is an *api.Error with a one-line reason, and Output
	// has had the explanation (" !     Push rejected, failed to compile ...").
	// When ctx ends the build is killed and context.Cause(ctx) returned.
	// After any error nothing has changed: no slug, and the old cache.
	Build(ctx context.Context, r BuildRequest) (BuildResult, error)
	// PurgeCache drops what builds of an app have cached.
	PurgeCache(ctx context.Context, appID string) error
}
