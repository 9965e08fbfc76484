package build

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"paas/api"
)

// maxSmall bounds the small text files that the host reads of a source.
const maxSmall = 64 << 10

// fetch exports the source and drops what .slugignore names, before any
// buildpack sees it (Heroku: "Slug Compiler").
func (j *job) fetch(ctx context.Context) error {
	if err := j.makeDirs(); err != nil {
		return err
	}
	dir := j.path("b", "build")
	if err := j.r.Source.Export(ctx, dir); err != nil {
		return err
	}
	b, err := readBuilt(dir, ignoreFile, maxSmall)
	if err != nil {
		return err
	}
	ignored, err := parseIgnore(string(b))
	if err != nil {
		return err
	}
	removed, err := j.settle(ctx, dir, ignored)
	if err == nil && removed > 0 {
		fmt.Fprintf(j.out, "-----> Deleting %d files matching .slugignore patterns.\n", removed)
	}
	return err
}

// settle removes what is ignored, and gives the rest to the build user with the
// modes of a checkout, whatever the umask was.
func (j *job) settle(ctx context.Context, dir string, ignored *ignore) (removed int, err error) {
	files := 0
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("cannot read the source: %w", err)
		}
		if files++; files > j.FilesMax {
			return api.Errorf(api.InvalidParams, "The source has more than %d files.", j.FilesMax)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if rel != "." && ignored.match(rel, d.IsDir()) {
			removed++
			if err := os.RemoveAll(path); err != nil {
				return fmt.Errorf("cannot apply %s: %w", ignoreFile, err)
			}
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if err := os.Lchown(path, User, User); err != nil {
			return fmt.Errorf("cannot give the source to the build user: %w", err)
		}
		if d.Type()&fs.ModeSymlink != 0 {
			return nil
		}
		st, err := d.Info()
		if err != nil {
			return fmt.Errorf("cannot read the source: %w", err)
		}
		mode := fs.FileMode(0o644)
		if d.IsDir() || st.Mode()&0o111 != 0 {
			mode = 0o755
		}
		if st.Mode() == mode|st.Mode().Type() {
			return nil
		}
		if err := os.Chmod(path, mode); err != nil {
			return fmt.Errorf("cannot give the source to the build user: %w", err)
		}
		return nil
	})
	return removed, err
}
