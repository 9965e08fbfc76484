package runtimes

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"

	"github.com/Masterminds/semver/v3"
)

// RecommendedNode is the Node.js line that an app gets that asks for none,
// and the ceiling for an app whose range has no upper end.
const RecommendedNode = 24

// nodePackage is the npm package that holds the Node.js binaries for this
// kind of machine.
func nodePackage() string {
	arch := goruntime.GOARCH
	if arch == "amd64" {
		arch = "x64"
	}
	return "node-linux-" + arch
}

// Resolved is the answer to: which version?
type Resolved struct {
	Version string
	// Wide says that newer major versions were in the range and the
	// recommended one was taken (or, where the caller allowed it, not).
	Wide bool
}

// ResolveNode finds the newest Node.js version in a range. When that is newer
// than the recommended line, and the range contains versions of that line,
// the newest of these is taken, unless allowWide is set: a range such as
// ">=18" is hardly a wish for the version published this morning.
func (r *Registry) ResolveNode(ctx context.Context, want Range, allowWide bool) (Resolved, error) {
	versions, err := r.Versions(ctx, nodePackage())
	if err != nil {
		return Resolved{}, fmt.Errorf("cannot list the versions of Node.js: %w", err)
	}
	list := slices.Collect(maps.Keys(versions))
	best, ok := want.Best(list)
	if !ok {
		return Resolved{}, &UnavailableError{
			What: "Node.js", Wanted: want.String(), Asked: []string{redact(r.Base)}, Have: newestOfEach(list, 6),
		}
	}
	return capped(best, want, list, allowWide), nil
}

func capped(best string, want Range, list []string, allowWide bool) Resolved {
	if semver.MustParse(best).Major() <= RecommendedNode {
		return Resolved{Version: best}
	}
	lts := list[:0:0]
	for _, text := range list {
		if v, err := semver.StrictNewVersion(text); err == nil && v.Major() == RecommendedNode {
			lts = append(lts, text)
		}
	}
	within, ok := want.Best(lts)
	switch {
	case !ok:
		return Resolved{Version: best}
	case allowWide:
		return Resolved{Version: best, Wide: true}
	}
	return Resolved{Version: within, Wide: true}
}

// ResolveTool finds the newest version of an npm package in a range that
// works with a version of Node.js.
func (r *Registry) ResolveTool(ctx context.Context, name string, want Range, node string) (string, error) {
	versions, err := r.Versions(ctx, name)
	if err != nil && !Absent(err) {
		return "", fmt.Errorf("cannot list the versions of %s: %w", name, err)
	}
	onNode, err := semver.StrictNewVersion(node)
	if err != nil {
		return "", fmt.Errorf("cannot read Node.js version %q: %w", node, err)
	}
	var all, fit []string
	for v, p := range versions {
		all = append(all, v)
		if p.NodeRange().Contains(onNode) {
			fit = append(fit, v)
		}
	}
	if best, ok := want.Best(fit); ok {
		return best, nil
	}
	if best, ok := want.Best(all); ok {
		return "", fmt.Errorf("%s %s does not work with Node.js %s: it needs Node.js %s",
			name, best, node, versions[best].NodeRange())
	}
	return "", &UnavailableError{What: name, Wanted: want.String(), Asked: []string{redact(r.Base)}, Have: newestOfEach(all, 6)}
}

// BundledNPM is the npm that goes with a Node.js version. The npm package of
// Node.js holds none, so these are pinned here: the newest npm of the line
// that the Node.js project ships with that version.
func BundledNPM(node string) string {
	v, err := semver.StrictNewVersion(node)
	if err != nil {
		return ""
	}
	switch major := v.Major(); {
	case major < 4:
		return "2.15.12"
	case major < 6:
		return "5.10.0"
	case major < 15:
		return "6.14.18"
	case major < 16:
		return "7.24.2"
	case major < 18, major == 18 && v.Minor() < 17:
		return "8.19.4"
	case major < 22:
		return "10.8.2"
	case major < 24:
		return "10.9.9"
	}
	return "11.21.2"
}

// installNode unpacks a Node.js version into dir: bin/node, include and the
// licence; no npm.
func (r *Registry) installNode(ctx context.Context, version, dir string) error {
	p, err := r.Version(ctx, nodePackage(), version)
	if err != nil {
		return err
	}
	if err := r.Unpack(ctx, p, dir); err != nil {
		return err
	}
	for _, file := range []string{"CHANGELOG.md", "README.md", "package.json", "share"} {
		if err := os.RemoveAll(filepath.Join(dir, file)); err != nil {
			return err
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "bin", "node")); err != nil {
		return fmt.Errorf("cannot use %s@%s: it holds no bin/node", p.Name, version)
	}
	return nil
}

// installTool unpacks an npm package as `npm install --global` would:
// lib/node_modules/<name>, with its commands in bin.
func (r *Registry) installTool(ctx context.Context, name, version, dir string) error {
	p, err := r.Version(ctx, name, version)
	if err != nil {
		return err
	}
	into := filepath.Join(dir, "lib", "node_modules", filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(into), 0o755); err != nil {
		return err
	}
	if err := r.Unpack(ctx, p, into); err != nil {
		return err
	}
	return link(filepath.Join(dir, "bin"), into, p.Programs())
}
