package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"paas/buildpacks"
	"paas/buildpacks/builtin"
)

// Install implements buildpacks.Resolver.
func (c *Catalog) Install(ctx context.Context, b buildpacks.Buildpack, dir string) (string, error) {
	if name, ok := strings.CutPrefix(b.Source, fromBuiltin); ok {
		return name, c.link(name, dir)
	}
	from, ok := strings.CutPrefix(b.Source, fromCache)
	if !ok {
		return "", fmt.Errorf("cannot install buildpack %s: it was not resolved here", b.Name)
	}
	// The directory's name is seen by its scripts, and by some in messages.
	const name = "buildpack"
	c.mu.RLock()
	defer c.mu.RUnlock()
	if err := c.copy(ctx, filepath.Join(c.o.Dir, from), filepath.Join(dir, name)); err != nil {
		return "", fmt.Errorf("cannot install buildpack %s: %w", b.Name, err)
	}
	return name, nil
}

// link makes a built-in buildpack. The program tells its language from the
// directory's name.
func (c *Catalog) link(name, dir string) error {
	bin := filepath.Join(dir, name, "bin")
	err := os.MkdirAll(bin, 0o755)
	for _, d := range []string{filepath.Dir(bin), bin} {
		err = errors.Join(err, os.Chmod(d, 0o755), os.Lchown(d, c.o.Owner, c.o.Owner))
	}
	for _, p := range builtin.Programs() {
		err = errors.Join(err, os.Symlink(c.o.Program, filepath.Join(bin, p)))
	}
	if err != nil {
		return fmt.Errorf("cannot install buildpack %s: %w", name, err)
	}
	return nil
}

// executables must be so, whatever the archive or repository says.
var executables = []string{"bin/detect", "bin/compile", "bin/release", "bin/report", "bin/test", "bin/test-compile"}

// copy copies a tree, symlinks as they are.
func (c *Catalog) copy(ctx context.Context, from, to string) error {
	return filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		dest := filepath.Join(to, rel)
		st, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			err = errors.Join(os.Mkdir(dest, 0o755), os.Chmod(dest, 0o755))
		case st.Mode()&fs.ModeSymlink != 0:
			var target string
			if target, err = os.Readlink(p); err == nil {
				err = os.Symlink(target, dest)
			}
		case st.Mode().IsRegular():
			mode := fs.FileMode(0o644)
			if st.Mode()&0o111 != 0 || slices.Contains(executables, path.Clean(filepath.ToSlash(rel))) {
				mode = 0o755
			}
			err = copyFile(p, dest, mode)
		default:
			return nil
		}
		if err != nil {
			return err
		}
		return os.Lchown(dest, c.o.Owner, c.o.Owner)
	})
}

func copyFile(from, to string, mode fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Chmod(mode), out.Close())
}
