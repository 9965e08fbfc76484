package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Writer takes the bytes of one blob. It is not safe for concurrent use.
type Writer struct {
	fs   *FS
	file *os.File
	hash hash.Hash
	size int64
}

// Create begins a blob. The caller MUST end it with Commit or Abort.
func (f *FS) Create() (*Writer, error) {
	file, err := os.CreateTemp(f.tmp(), "put-")
	if err != nil {
		return nil, fmt.Errorf("cannot create blob: %w", err)
	}
	return &Writer{fs: f, file: file, hash: sha256.New()}, nil
}

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	w.hash.Write(p[:n])
	w.size += int64(n)
	if err != nil {
		return n, fmt.Errorf("cannot write blob: %w", err)
	}
	return n, nil
}

// Size is what was written so far.
func (w *Writer) Size() int64 { return w.size }

// Abort drops the blob. After Commit it does nothing, so it may be deferred.
func (w *Writer) Abort() {
	if w.file == nil {
		return
	}
	w.file.Close()
	os.Remove(w.file.Name())
	w.file = nil
}

// Commit makes the blob durable and visible.
func (w *Writer) Commit() (Info, error) {
	defer w.Abort()
	info := Info{Digest: algorithm + hex.EncodeToString(w.hash.Sum(nil)), Size: w.size, Time: time.Now()}
	p, err := w.fs.path(info.Digest)
	if err != nil {
		return Info{}, err
	}
	if w.fs.refresh(p, info) {
		return info, nil
	}
	if err := errors.Join(w.file.Chmod(0o600), w.file.Sync(), w.file.Close()); err != nil {
		return Info{}, fmt.Errorf("cannot store blob: %w", err)
	}
	w.fs.mu.RLock()
	defer w.fs.mu.RUnlock()
	if err := errors.Join(os.Rename(w.file.Name(), p), syncDir(filepath.Dir(p))); err != nil {
		return Info{}, fmt.Errorf("cannot store blob %s: %w", info.Digest, err)
	}
	w.file = nil
	return info, nil
}

// refresh makes an existing blob young. A damaged one is not counted as
// existing: it gets replaced.
func (f *FS) refresh(path string, info Info) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	st, err := os.Stat(path)
	if err != nil || st.Size() != info.Size {
		return false
	}
	v, err := f.OpenVerified(info.Digest)
	if err != nil {
		return false
	}
	defer v.Close()
	return v.Verify() == nil && os.Chtimes(path, info.Time, info.Time) == nil
}

// ErrTooLarge says that a reader had more bytes than the caller allows.
var ErrTooLarge = errors.New("larger than allowed")

// Put stores what r gives, at most limit bytes (0 = any number).
func (f *FS) Put(ctx context.Context, r io.Reader, limit int64) (Info, error) {
	w, err := f.Create()
	if err != nil {
		return Info{}, err
	}
	defer w.Abort()
	r = ctxReader{ctx, r}
	if limit > 0 {
		r = io.LimitReader(r, limit+1)
	}
	if _, err := io.Copy(w, r); err != nil {
		return Info{}, fmt.Errorf("cannot store blob: %w", err)
	}
	if limit > 0 && w.Size() > limit {
		return Info{}, fmt.Errorf("cannot store blob: %w (%d bytes)", ErrTooLarge, limit)
	}
	return w.Commit()
}
