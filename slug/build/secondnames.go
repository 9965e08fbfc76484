package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

var errManyFiles = errors.New("too many files")

// linkTree makes to a copy of from whose files are hard links.
func linkTree(ctx context.Context, from, to string, maxFiles int) error {
	n := 0
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if n++; n > maxFiles {
			return errManyFiles
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		dest := filepath.Join(to, rel)
		if !d.IsDir() {
			return os.Link(path, dest) // of a symlink itself too
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		return makeDir(dest, owner(st), st.Mode())
	})
}

// fingerprint hashes names, kinds, modes, sizes and, of files, times: all that
// writing into them would change.
func fingerprint(dir string) (string, error) {
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		size, stamp := st.Size(), st.ModTime().UnixNano()
		if d.IsDir() {
			size, stamp = 0, 0
		}
		fmt.Fprintf(h, "%q %v %d %d\n", rel, st.Mode(), size, stamp)
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

func owner(st fs.FileInfo) int {
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid)
	}
	return User
}
