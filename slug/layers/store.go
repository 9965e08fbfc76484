package layers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"paas/slug"
	"paas/slug/blob"
	"paas/slug/internal/scratch"
)

// MediaType of the layers made here.
const MediaType = "application/vnd.oci.image.layer.v1.tar+zstd"

// Store keeps layers. All methods may be called concurrently. Several processes
// may use one directory; only one may drop trees.
type Store struct {
	dir     string
	blobs   *blob.FS
	scratch *scratch.Dir
	boot    string
	locks   keyLock
	sync    syncer
}

// CorruptError says that a layer's bytes are not what its digests say, or are
// gone. The cure is to build the slug again.
type CorruptError struct {
	Layer slug.Layer
	Err   error
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("layer %s (%s) is damaged: %v", e.Layer.Digest, e.Layer.Name, e.Err)
}
func (e *CorruptError) Unwrap() error { return e.Err }

// Open makes the directory if need be and removes what was left half-made.
// blobs and dir need not be on one file system; dir and the trees given to
// Adopt must be.
func Open(dir string, blobs *blob.FS) (*Store, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, fmt.Errorf("cannot open layers: %w", err)
	}
	tmp, err := scratch.Open(filepath.Join(dir, "tmp"))
	if err != nil {
		return nil, fmt.Errorf("cannot open layers: %w", err)
	}
	s := &Store{dir: dir, blobs: blobs, scratch: tmp, boot: strings.TrimSpace(string(boot))}
	s.sync.store = s
	return s, nil
}

// Close waits for work in the background. The store MUST NOT be used after it.
func (s *Store) Close() {
	s.Wait()
	// What cannot be removed is swept by the next Open.
	_ = s.scratch.Close()
}

// Wait returns when nothing goes on in the background.
func (s *Store) Wait() { s.sync.done.Wait() }

func (s *Store) tmp() string { return s.scratch.Path }

// home is the directory of one layer: fs and marker.
func (s *Store) home(diffID string) (string, error) {
	hex, ok := strings.CutPrefix(diffID, "sha256:")
	if !ok || !blob.IsHex(hex) {
		return "", fmt.Errorf("cannot use diff id %q: not a sha256 digest", diffID)
	}
	return filepath.Join(s.dir, hex), nil
}

// Dir returns the directory that has the layer's files, unpacking them first
// if need be; callers that ask for one layer at the same time share the work.
// The tree MUST NOT be changed. The error of a layer that cannot be had is a
// *CorruptError.
func (s *Store) Dir(ctx context.Context, l slug.Layer) (string, error) {
	home, err := s.home(l.DiffID)
	if err != nil {
		return "", err
	}
	unlock, err := s.locks.lock(ctx, l.DiffID)
	if err != nil {
		return "", err
	}
	defer unlock()
	if s.complete(home) {
		return filepath.Join(home, "fs"), nil
	}
	draft, err := os.MkdirTemp(s.tmp(), "unpack-")
	if err != nil {
		return "", fmt.Errorf("cannot unpack layer: %w", err)
	}
	defer os.RemoveAll(draft)
	if err := s.unpack(ctx, l, filepath.Join(draft, "fs")); err != nil {
		return "", err
	}
	if err := s.publish(draft, home); err != nil {
		return "", err
	}
	return filepath.Join(home, "fs"), nil
}

// publish gives a complete draft (a directory with fs in it) its name. What
// has the name already is incomplete: complete() was asked under the lock. If
// it is complete nevertheless, another process was faster, and its tree is as
// good.
func (s *Store) publish(draft, home string) error {
	m := marker{Boot: s.boot, Made: rand.Text()}
	if err := m.write(draft); err != nil {
		return err
	}
	if err := os.Chmod(draft, 0o755); err != nil {
		return fmt.Errorf("cannot store layer: %w", err)
	}
	for {
		err := unix.Renameat2(unix.AT_FDCWD, draft, unix.AT_FDCWD, home, unix.RENAME_NOREPLACE)
		switch {
		case err == nil:
			s.sync.add(fresh{home, m})
			return nil
		case !errors.Is(err, unix.EEXIST):
			return fmt.Errorf("cannot store layer: %w", err)
		case s.complete(home):
			return nil
		}
		if err := s.discard(home); err != nil {
			return err
		}
	}
}

// discard removes a layer's directory; first of all its name goes, so that it
// is never seen half-removed.
func (s *Store) discard(home string) error {
	grave, err := os.MkdirTemp(s.tmp(), "discard-")
	if err != nil {
		return fmt.Errorf("cannot remove layer: %w", err)
	}
	if err := os.Rename(home, filepath.Join(grave, "gone")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove layer: %w", err)
	}
	if err := os.RemoveAll(grave); err != nil {
		return fmt.Errorf("cannot remove layer: %w", err)
	}
	return nil
}

// Tree is an unpacked layer.
type Tree struct {
	DiffID string
	Used   time.Time // when it was last asked for, to the hour or so
}

// Trees lists the unpacked layers.
func (s *Store) Trees() ([]Tree, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("cannot list layers: %w", err)
	}
	var all []Tree
	for _, e := range entries {
		if !blob.IsHex(e.Name()) {
			continue
		}
		if st, err := os.Stat(filepath.Join(s.dir, e.Name(), markerFile)); err == nil {
			all = append(all, Tree{DiffID: "sha256:" + e.Name(), Used: st.ModTime()})
		} else if errors.Is(err, fs.ErrNotExist) {
			all = append(all, Tree{DiffID: "sha256:" + e.Name()})
		} else {
			return nil, fmt.Errorf("cannot list layers: %w", err)
		}
	}
	return all, nil
}

// DropOlder removes an unpacked layer unless it was asked for at or after t.
// The caller knows that no mount uses it. Its blob stays.
func (s *Store) DropOlder(ctx context.Context, diffID string, t time.Time) error {
	home, err := s.home(diffID)
	if err != nil {
		return err
	}
	unlock, err := s.locks.lock(ctx, diffID)
	if err != nil {
		return err
	}
	defer unlock()
	if st, err := os.Stat(filepath.Join(home, markerFile)); err == nil && !st.ModTime().Before(t) {
		return nil
	}
	return s.discard(home)
}

// keyLock is a lock per key whose waiters give up with their context.
type keyLock struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed when the holder is done
}

func (k *keyLock) lock(ctx context.Context, key string) (unlock func(), err error) {
	for {
		k.mu.Lock()
		busy, ok := k.held[key]
		if !ok {
			if k.held == nil {
				k.held = map[string]chan struct{}{}
			}
			done := make(chan struct{})
			k.held[key] = done
			k.mu.Unlock()
			return func() {
				k.mu.Lock()
				delete(k.held, key)
				k.mu.Unlock()
				close(done)
			}, nil
		}
		k.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// isRoot decides whether owners, devices and trusted xattrs can be made. The
// product runs as root; without it trees are the caller's own.
func isRoot() bool { return unix.Geteuid() == 0 }
