package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"paas/slug/internal/scratch"
)

// algorithm prefixes every digest.
const algorithm = "sha256:"

// Info describes a blob.
type Info struct {
	Digest string // "sha256:<64 hex digits>"
	Size   int64
	Time   time.Time // of the last Put
}

// FS keeps blobs in a directory. All methods may be called concurrently.
// Several processes may add blobs to one directory; only one may delete.
type FS struct {
	dir     string
	scratch *scratch.Dir
	// mu orders "it exists, make it young" (shared) against "it is old, delete
	// it" (exclusive).
	mu sync.RWMutex
}

// Open makes the directory if need be, and removes what an interrupted Put
// left behind.
func Open(dir string) (*FS, error) {
	if err := os.MkdirAll(filepath.Join(dir, "sha256"), 0o700); err != nil {
		return nil, fmt.Errorf("cannot make blob store: %w", err)
	}
	tmp, err := scratch.Open(filepath.Join(dir, "tmp"))
	if err != nil {
		return nil, fmt.Errorf("cannot open blob store: %w", err)
	}
	return &FS{dir: dir, scratch: tmp}, nil
}

func (f *FS) tmp() string { return f.scratch.Path }

// path proves that digest is one before it becomes part of a path.
func (f *FS) path(digest string) (string, error) {
	h, ok := strings.CutPrefix(digest, algorithm)
	if !ok || !IsHex(h) {
		return "", fmt.Errorf("cannot use %q: not a sha256 digest", digest)
	}
	return filepath.Join(f.dir, "sha256", h), nil
}

// IsHex says whether s is the hexadecimal half of a digest, as OCI writes it.
func IsHex(s string) bool {
	if len(s) != 2*sha256.Size {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Digest of b as OCI writes it.
func Digest(b []byte) string {
	sum := sha256.Sum256(b)
	return algorithm + hex.EncodeToString(sum[:])
}

// Stat describes a blob. The error of one that is missing is fs.ErrNotExist.
func (f *FS) Stat(digest string) (Info, error) {
	p, err := f.path(digest)
	if err != nil {
		return Info{}, err
	}
	st, err := os.Stat(p)
	if err != nil {
		return Info{}, fmt.Errorf("cannot find blob %s: %w", digest, err)
	}
	return Info{Digest: digest, Size: st.Size(), Time: st.ModTime()}, nil
}

// Open returns the bytes without checking them. The error for a blob that is
// missing is fs.ErrNotExist.
func (f *FS) Open(digest string) (*os.File, error) {
	p, err := f.path(digest)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(p)
	if err != nil {
		return nil, fmt.Errorf("cannot open blob %s: %w", digest, err)
	}
	return file, nil
}

// All lists every blob, in no order.
func (f *FS) All(ctx context.Context) ([]Info, error) {
	entries, err := os.ReadDir(filepath.Join(f.dir, "sha256"))
	if err != nil {
		return nil, fmt.Errorf("cannot list blobs: %w", err)
	}
	var all []Info
	for _, e := range entries {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		st, err := e.Info()
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // deleted meanwhile
		case err != nil:
			return nil, fmt.Errorf("cannot list blobs: %w", err)
		case IsHex(e.Name()) && st.Mode().IsRegular():
			all = append(all, Info{Digest: algorithm + e.Name(), Size: st.Size(), Time: st.ModTime()})
		}
	}
	return all, nil
}

// DeleteOlder deletes a blob unless it was put at or after t, and returns the
// bytes freed. A missing blob is no error. Readers that have it open go on
// reading.
func (f *FS) DeleteOlder(digest string, t time.Time) (int64, error) {
	p, err := f.path(digest)
	if err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	st, err := os.Stat(p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("cannot delete blob %s: %w", digest, err)
	case !st.ModTime().Before(t):
		return 0, nil
	}
	if err := os.Remove(p); err != nil {
		return 0, fmt.Errorf("cannot delete blob %s: %w", digest, err)
	}
	return st.Size(), nil
}

// syncDir makes a rename in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ctxReader ends a copy when its context ends.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c ctxReader) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}
