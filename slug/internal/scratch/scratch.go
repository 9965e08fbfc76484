// Package scratch gives a store a directory for what is not complete yet.
//
// Each process that opens a store gets a directory of its own below the store's
// tmp and holds a lock on it. Opening removes those that nobody holds: what a
// process that was killed left. So two processes (the daemon, and an installer
// that makes a stack) can use one store at the same time, and nothing half-made
// stays for ever.
package scratch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Dir is this process's directory.
type Dir struct {
	Path string
	lock *os.File // the directory itself; locked until the process ends or Close
}

// Open makes a directory below parent, which is made if need be.
func Open(parent string) (*Dir, error) {
	d, err := open(parent)
	if err != nil {
		return nil, fmt.Errorf("cannot make a temporary directory: %w", err)
	}
	return d, nil
}

func open(parent string) (*Dir, error) {
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, err
	}
	// Without this lock, a directory could be swept between its making and its
	// locking.
	gate, err := locked(parent, unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer gate.Close()
	if err := sweep(parent); err != nil {
		return nil, err
	}
	path, err := os.MkdirTemp(parent, "of-")
	if err != nil {
		return nil, err
	}
	lock, err := locked(path, unix.LOCK_SH)
	if err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	return &Dir{Path: path, lock: lock}, nil
}

// sweep removes what no process holds.
func sweep(parent string) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(parent, e.Name())
		if e.IsDir() {
			lock, err := locked(path, unix.LOCK_EX|unix.LOCK_NB)
			if errors.Is(err, unix.EWOULDBLOCK) {
				continue
			}
			if err != nil {
				return err
			}
			lock.Close()
		}
		if err := os.RemoveAll(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func locked(path string, how int) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Close removes the directory.
func (d *Dir) Close() error {
	return errors.Join(os.RemoveAll(d.Path), d.lock.Close())
}
