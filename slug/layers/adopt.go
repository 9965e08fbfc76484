package layers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"paas/slug"
)

// Options of a layer to be made.
type Options struct {
	Name string    // becomes Layer.Name
	Time time.Time // modification time of everything, to the second
	// MaxBlob bounds the compressed bytes, MaxTree the files' apparent bytes;
	// 0 = any number. Going over is a *SizeError.
	MaxBlob, MaxTree int64
	// Settle is called, if there are files with names outside the tree, when
	// the blob has been packed: the last moment to remove such names, so that
	// those files need not be copied. nil = nothing to do.
	Settle func() error
}

// SizeError says that a tree is too large.
type SizeError struct {
	// Packed is the compressed size (a lower bound of it if it is over four
	// times Max), or 0 if the files themselves are over Max.
	Packed int64
	Max    int64
}

func (e *SizeError) Error() string {
	if e.Packed == 0 {
		return fmt.Sprintf("cannot pack layer: its files have more than %d bytes", e.Max)
	}
	return fmt.Sprintf("cannot pack layer: it has %d bytes compressed (max is %d)", e.Packed, e.Max)
}

// EntryError says that a tree has a file that no layer can hold.
type EntryError struct {
	Path string
	Why  string
}

func (e *EntryError) Error() string { return fmt.Sprintf("cannot pack %q: %s", e.Path, e.Why) }

// Adopt makes a layer of tree, a directory whose content is the layer's root
// and which nobody else uses any more. When it returns nil the blob is
// durable and tree has been moved into the store; after an error tree is still
// there, with its times and ownerless extras (sockets) possibly normalised.
func (s *Store) Adopt(ctx context.Context, tree string, o Options) (slug.Layer, error) {
	l, err := s.pack(ctx, tree, o)
	if err != nil {
		return slug.Layer{}, err
	}
	home, err := s.home(l.DiffID)
	if err != nil {
		return slug.Layer{}, err
	}
	unlock, err := s.locks.lock(ctx, l.DiffID)
	if err != nil {
		return slug.Layer{}, err
	}
	defer unlock()
	if s.complete(home) { // the same tree, made before: mounts may be using it
		if err := os.RemoveAll(tree); err != nil {
			return slug.Layer{}, fmt.Errorf("cannot remove packed tree: %w", err)
		}
		return l, nil
	}
	draft, err := os.MkdirTemp(s.tmp(), "adopt-")
	if err != nil {
		return slug.Layer{}, fmt.Errorf("cannot store layer: %w", err)
	}
	defer os.RemoveAll(draft)
	inside := filepath.Join(draft, "fs")
	if err := os.Rename(tree, inside); err != nil {
		return slug.Layer{}, fmt.Errorf("cannot store layer: %w", err)
	}
	if err := s.publish(draft, home); err != nil {
		return slug.Layer{}, errors.Join(err, os.Rename(inside, tree))
	}
	return l, nil
}
