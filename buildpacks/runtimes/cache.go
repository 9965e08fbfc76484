package runtimes

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// The kinds of runtime a Cache can hold. Any other kind is the name of an npm
// package ("npm", "yarn", "@yarnpkg/cli-dist").
const (
	Node = "node"
	Go   = "go"
)

// Cache keeps unpacked runtimes under Dir, as Dir/<kind>/<version>. It is
// safe for use by several processes at once. What Ensure returns MUST NOT be
// written to.
type Cache struct {
	Dir      string
	Registry *Registry
	Proxy    *GoProxy
}

const partialPrefix = ".partial-"

// path is where a runtime lives. A Go toolchain is a directory named "go", as
// everywhere else.
func (c *Cache) path(kind, version string) (string, error) {
	for _, part := range []string{kind, version} {
		if part == "" || !filepath.IsLocal(part) || strings.HasPrefix(part, ".") || strings.Count(part, "/") > 1 {
			return "", fmt.Errorf("cannot keep runtime %q %q: not a name", kind, version)
		}
	}
	if strings.Contains(version, "/") {
		return "", fmt.Errorf("cannot keep version %q of %s: not a version", version, kind)
	}
	dir := filepath.Join(c.Dir, filepath.FromSlash(kind), version)
	if kind == Go {
		dir = filepath.Join(dir, "go")
	}
	return dir, nil
}

// Has tells whether a runtime is here already.
func (c *Cache) Has(kind, version string) bool {
	dir, err := c.path(kind, version)
	if err != nil {
		return false
	}
	_, err = os.Stat(dir)
	return err == nil
}

// Ensure returns the directory of an exact version of a runtime, after
// fetching and verifying it if it is not here yet.
func (c *Cache) Ensure(ctx context.Context, kind, version string) (string, error) {
	dir, err := c.path(kind, version)
	if err != nil {
		return "", err
	}
	if c.Has(kind, version) {
		return dir, nil
	}
	unlock, err := c.lock(ctx)
	if err != nil {
		return "", fmt.Errorf("cannot lock the runtimes: %w", err)
	}
	defer unlock()
	if c.Has(kind, version) {
		return dir, nil // another process was quicker
	}
	c.sweep()
	tmp := filepath.Join(c.Dir, partialPrefix+strings.ReplaceAll(kind+"-"+version, "/", "-"))
	defer os.RemoveAll(tmp)
	if err := c.fetch(ctx, kind, version, tmp); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	return dir, os.Rename(tmp, dir)
}

func (c *Cache) fetch(ctx context.Context, kind, version, dir string) error {
	switch kind {
	case Node:
		return c.Registry.installNode(ctx, version, dir)
	case Go:
		return c.Proxy.install(ctx, version, dir)
	}
	return c.Registry.installTool(ctx, kind, version, dir)
}

// Prune removes all versions of a kind but those.
func (c *Cache) Prune(kind string, keep ...string) error {
	dir := filepath.Join(c.Dir, filepath.FromSlash(kind))
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if slices.Contains(keep, e.Name()) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// lock takes the cache's lock, and gives up when ctx ends. The lock goes with
// the process that holds it.
func (c *Cache) lock(ctx context.Context) (func(), error) {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(c.Dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	taken := make(chan error, 1)
	go func() { taken <- unix.Flock(int(f.Fd()), unix.LOCK_EX) }()
	select {
	case err = <-taken:
		if err != nil {
			f.Close()
			return nil, err
		}
		return func() { f.Close() }, nil
	case <-ctx.Done():
		go func() { <-taken; f.Close() }() // the wait cannot be broken off; it ends with the holder
		return nil, ctx.Err()
	}
}

// sweep removes what a writer that was killed left behind. The lock is held,
// so nobody is writing.
func (c *Cache) sweep() {
	entries, err := os.ReadDir(c.Dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), partialPrefix) {
			_ = os.RemoveAll(filepath.Join(c.Dir, e.Name()))
		}
	}
}
