package source

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"paas/api"
)

// Export implements slug.Source: the files as `git checkout` would make them.
//
// `git archive` would be shorter, but honours export-ignore and so leaves
// files out that a build needs.
func (c *commit) Export(ctx context.Context, dir string) error {
	x := &export{repos: c.repos, left: c.repos.o.MaxTree, progress: c.progress}
	if err := x.tree(ctx, c.tree, dir, 0); err != nil {
		var known *api.Error
		if errors.As(err, &known) {
			return err
		}
		return fmt.Errorf("cannot export commit %.7s: %w", c.commit, err)
	}
	return openUp(dir)
}

// export is one export, submodules included.
type export struct {
	repos    *Repos
	left     int64 // bytes that files may still take
	progress interface{ Write([]byte) (int, error) }
	modules  int // submodules so far
}

// tree writes one tree's files into dir, then those of its submodules.
func (x *export) tree(ctx context.Context, t tree, dir string, depth int) error {
	// The sizes are added up while git writes the files: one small tree can
	// name one big file a million times.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	type listed struct {
		links []gitlink
		err   error
	}
	list := make(chan listed, 1)
	go func() {
		links, err := x.list(ctx, t)
		if err != nil {
			cancel(err)
		}
		list <- listed{links, err}
	}()
	git := x.repos.git
	cmd := git.command(ctx, t.gitDir, "checkout-index", "--all", "--quiet")
	cmd.Env = append(append(cmd.Env, t.env...), "GIT_INDEX_FILE="+t.index, "GIT_WORK_TREE="+dir)
	cmd.Dir = dir
	err := git.run(ctx, cmd)
	if err != nil {
		cancel(err)
	}
	found := <-list
	switch {
	case err == nil && found.err == nil:
		return x.submodules(ctx, t, found.links, dir, depth)
	case err == nil:
		return found.err
	}
	return err
}

// list checks the size of a tree and finds its submodules.
func (x *export) list(ctx context.Context, t tree) ([]gitlink, error) {
	git := x.repos.git
	cmd := git.command(ctx, t.gitDir, "ls-tree", "-r", "-z", "-l", t.commit)
	cmd.Env = append(cmd.Env, t.env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	ls, err := git.start(ctx, cmd)
	if err != nil {
		return nil, err
	}
	links, err := x.count(bufio.NewReaderSize(out, 64<<10))
	if err != nil {
		_ = cmd.Cancel()
		_ = ls.wait()
		return nil, err
	}
	return links, ls.wait()
}

// count reads entries of `ls-tree -l -z`:
// "<mode> <type> <object> <size or -, padded>\t<path>\0".
func (x *export) count(r *bufio.Reader) ([]gitlink, error) {
	var links []gitlink
	for {
		entry, err := r.ReadString(0)
		if err != nil && entry == "" {
			return links, nil
		}
		meta, path, ok := strings.Cut(strings.TrimSuffix(entry, "\x00"), "\t")
		fields := strings.Fields(meta)
		if !ok || len(fields) != 4 {
			return nil, fmt.Errorf("cannot list tree: malformed entry %q", entry)
		}
		if fields[1] == "commit" {
			if len(links) == maxModules {
				return nil, tooManyModules
			}
			links = append(links, gitlink{path: path, commit: fields[2]})
			continue
		}
		size, err := strconv.ParseInt(fields[3], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("cannot list tree: malformed size %q", fields[3])
		}
		// An empty file costs an inode all the same.
		if x.left -= max(size, 512); x.left < 0 {
			return nil, api.Errorf(api.InvalidParams, "The files of this commit take more than %d MiB.", x.repos.o.MaxTree>>20)
		}
	}
}

// openUp makes an exported tree readable for the dyno's user whatever the
// umask of this process is: git has made the files with it.
func openUp(dir string) error {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return fmt.Errorf("cannot read umask: %w", err)
	}
	if bytes.Contains(status, []byte("\nUmask:\t0022\n")) {
		return nil
	}
	return filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 || name == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := uint32(0o644)
		if info.Mode()&0o100 != 0 {
			mode = 0o755
		}
		return unix.Fchmodat(unix.AT_FDCWD, name, mode, 0)
	})
}
