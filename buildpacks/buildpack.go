package buildpacks

import (
	"context"
	"strings"
)

// Buildpack is a resolved buildpack.
type Buildpack struct {
	// Name is what users see: a shorthand, or the reference without secrets.
	Name string
	// Version changes with the content: a commit, a hash of an archive, a hash
	// of the program that has the built-in ones.
	Version string
	// Layers are the stack layers it needs, in order.
	Layers []string
	// Source is where the resolver has it; it means nothing to others.
	Source string
}

// Resolver finds buildpacks. buildpacks/catalog implements it. It may be called
// concurrently.
type Resolver interface {
	// Resolve fetches what a reference names. A failure that the reference, or
	// the server it names, is to blame for is an *api.Error.
	Resolve(ctx context.Context, ref string) (Buildpack, error)
	// Builtins are tried in this order when an app names no buildpack.
	Builtins() []Buildpack
	// Install makes a private copy in dir, which exists and is empty, and
	// returns the path of the buildpack's root relative to dir. The copy is the
	// build user's, to write as it likes.
	Install(ctx context.Context, b Buildpack, dir string) (string, error)
}

// ListFile is the file in an app's root that may name its buildpacks.
const ListFile = ".buildpacks"

// ParseList reads a ListFile: a reference a line, blank lines and lines that
// begin with # skipped.
func ParseList(text string) []string {
	var refs []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			refs = append(refs, line)
		}
	}
	return refs
}
