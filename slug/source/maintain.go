package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maintainTimeout bounds one round of maintenance.
const maintainTimeout = 30 * time.Minute

// packedFile keeps the size that the packs had after the last full repack.
const packedFile = "packed-size"

// maintain puts packs together once there are too many: each push adds one.
// Small ones are joined geometrically, which costs little; when the repository
// has doubled since the last time, all is repacked, which also drops what
// force pushes have left without a ref. A push interrupts it.
func (r *Repo) maintain(ctx context.Context) error {
	ctx, release, ok := r.lock.maintain(ctx)
	if !ok {
		return nil // a push has it, and will ask again
	}
	defer release()
	packs, size, err := r.packs()
	if err != nil || packs <= r.repos.o.PackLimit {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, maintainTimeout)
	defer cancel()
	last, _ := os.ReadFile(filepath.Join(r.dir, packedFile))
	lastSize, _ := strconv.ParseInt(strings.TrimSpace(string(last)), 10, 64)
	if size < 2*lastSize {
		return r.background(ctx, "repack", "-d", "-l", "-q", "--geometric=2")
	}
	for _, args := range [][]string{
		{"repack", "-a", "-d", "-l", "-q"},
		{"pack-refs", "--all", "--prune"},
	} {
		if err := r.background(ctx, args...); err != nil {
			return err
		}
	}
	if err := r.pruneShallow(ctx); err != nil {
		return err
	}
	if _, size, err = r.packs(); err != nil {
		return err
	}
	return writeFile(filepath.Join(r.dir, packedFile), []byte(strconv.FormatInt(size, 10)+"\n"))
}

// background runs git at the lowest priority. What an interruption leaves
// half-made is removed, and is no error.
func (r *Repo) background(ctx context.Context, args ...string) error {
	cmd := r.git.command(ctx, r.dir, append([]string{"-c", "pack.threads=1"}, args...)...)
	run, err := r.git.start(ctx, cmd)
	if err != nil {
		return err
	}
	if err := unix.Setpriority(unix.PRIO_PGRP, cmd.Process.Pid, 19); err != nil && !errors.Is(err, unix.ESRCH) {
		_ = cmd.Cancel()
		_ = run.wait()
		return fmt.Errorf("cannot lower git's priority: %w", err)
	}
	err = run.wait()
	if ctx.Err() != nil {
		return errors.Join(context.Cause(ctx), r.sweep())
	}
	return err
}

// pruneShallow forgets shallow commits that are gone or no longer shallow.
func (r *Repo) pruneShallow(ctx context.Context) error {
	known, err := r.shallow()
	if err != nil || len(known) == 0 {
		return err
	}
	cut, err := r.cut(ctx, nil, known)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(r.dir, "shallow"), []byte(strings.Join(append(cut, ""), "\n")))
}

// packs counts the packs and their bytes.
func (r *Repo) packs() (n int, size int64, err error) {
	files, err := os.ReadDir(filepath.Join(r.dir, "objects", "pack"))
	if err != nil {
		return 0, 0, fmt.Errorf("cannot list packs: %w", err)
	}
	for _, f := range files {
		if filepath.Ext(f.Name()) != ".pack" {
			continue
		}
		info, err := f.Info()
		if err != nil {
			return 0, 0, fmt.Errorf("cannot list packs: %w", err)
		}
		n++
		size += info.Size()
	}
	return n, size, nil
}
