package source

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// quarantine is an object directory that holds what one push has sent. git
// processes with its environment see its objects and the repository's.
type quarantine struct {
	repo *Repo
	dir  string
	// shallow, if not "", is the shallow file that is to replace the
	// repository's.
	shallow string
}

func (r *Repo) quarantine() (*quarantine, error) {
	dir, err := os.MkdirTemp(filepath.Join(r.dir, "objects"), quarantinePrefix+"*")
	if err == nil {
		err = os.Mkdir(filepath.Join(dir, "pack"), 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot make quarantine: %w", err)
	}
	return &quarantine{repo: r, dir: dir}, nil
}

// env lets git see the quarantined objects.
func (q *quarantine) env() []string {
	env := []string{
		"GIT_OBJECT_DIRECTORY=" + q.dir,
		"GIT_ALTERNATE_OBJECT_DIRECTORIES=" + filepath.Join(q.repo.dir, "objects"),
		"GIT_QUARANTINE_PATH=" + q.dir,
	}
	if q.shallow != "" {
		env = append(env, "GIT_SHALLOW_FILE="+q.shallow)
	}
	return env
}

func (q *quarantine) close() error { return os.RemoveAll(q.dir) }

// packError is a pack that cannot be used, in words for the client.
type packError struct {
	reason string
	err    error
}

func (e *packError) Error() string { return fmt.Sprintf("%s: %v", e.reason, e.err) }
func (e *packError) Unwrap() error { return e.err }

// errIdle ends the receiving of a pack whose sender has fallen silent.
var errIdle = errors.New("the client sent nothing for too long")

// emptyPack is the header of a pack without objects, which git sends when all
// of them are here already; a checksum follows it.
var emptyPack = []byte("PACK\x00\x00\x00\x02\x00\x00\x00\x00")

// atEnd is a standard output that waits for the zero byte with which git says
// that it has read all of its input.
type atEnd func()

func (f atEnd) Write(b []byte) (int, error) {
	if bytes.IndexByte(b, 0) >= 0 {
		f()
	}
	return len(b), nil
}

// receive indexes the pack that comes from in, and calls read when all of it
// is here; resolving its deltas may take a while longer. Memory does not grow
// with the pack: the bytes go from the client's connection to git's standard
// input.
func (q *quarantine) receive(ctx context.Context, in *bufio.Reader, read func()) error {
	o := q.repo.repos.o
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := time.AfterFunc(o.Idle, func() { cancel(errIdle) })
	defer idle.Stop()

	// The header is read beside, so that a silent client can be given up.
	peeked := make(chan error, 1)
	var header []byte
	go func() {
		var err error
		header, err = in.Peek(len(emptyPack))
		peeked <- err
	}()
	select {
	case err := <-peeked:
		if err != nil {
			return &packError{"the connection ended before the pack", err}
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if bytes.Equal(header, emptyPack) {
		read()
		_, err := in.Discard(len(emptyPack) + 20)
		if err != nil {
			return &packError{"the connection ended within the pack", err}
		}
		return nil
	}

	git := q.repo.git
	cmd := git.command(ctx, q.repo.dir, "index-pack", "--stdin", "--fix-thin", "--report-end-of-input", fmt.Sprintf("--max-input-size=%d", o.MaxPack))
	cmd.Env = append(cmd.Env, q.env()...)
	var received atomic.Bool
	cmd.Stdout = atEnd(func() {
		received.Store(true)
		idle.Stop()
		read()
	})
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("cannot receive pack: %w", err)
	}
	index, err := git.start(ctx, cmd)
	if err != nil {
		return errors.Join(err, stdin.Close())
	}
	// The copying may outlive this call: a client need not close its side
	// after the pack, so it ends with the transport.
	go func() {
		defer stdin.Close()
		buf := make([]byte, 128<<10)
		for {
			n, err := in.Read(buf)
			if !received.Load() {
				idle.Reset(o.Idle)
			}
			if n > 0 {
				if _, err := stdin.Write(buf[:n]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	err = index.wait()
	idle.Stop()
	var failed *gitError
	if !errors.As(err, &failed) {
		return err
	}
	switch {
	case strings.Contains(failed.stderr, "maximum allowed size"):
		return &packError{fmt.Sprintf("the push is too large, %d MiB at most", o.MaxPack>>20), err}
	case strings.Contains(failed.stderr, "early EOF"):
		return &packError{"the connection ended within the pack", err}
	case strings.Contains(failed.stderr, "unresolved delta"):
		return &packError{reasonMissing, err}
	case strings.Contains(failed.stderr, "No space left"):
		return &packError{"the server's disk is full", err}
	case strings.Contains(failed.stderr, "ut of memory") || strings.Contains(failed.stderr, "Cannot allocate"):
		return &packError{"an object is too large to be received", err}
	}
	return &packError{"the pack is damaged", err}
}

// migrate moves the received pack into the repository. Its index comes last:
// a pack without one is not seen.
func (q *quarantine) migrate() error {
	files, err := os.ReadDir(filepath.Join(q.dir, "pack"))
	if err != nil {
		return fmt.Errorf("cannot keep pack: %w", err)
	}
	if len(files) == 0 {
		return nil
	}
	slices.SortFunc(files, func(a, b os.DirEntry) int { return packOrder(a.Name()) - packOrder(b.Name()) })
	for _, f := range files {
		if err := os.Rename(filepath.Join(q.dir, "pack", f.Name()), filepath.Join(q.repo.dir, "objects", "pack", f.Name())); err != nil {
			return fmt.Errorf("cannot keep pack: %w", err)
		}
	}
	if err := syncDir(filepath.Join(q.repo.dir, "objects", "pack")); err != nil {
		return fmt.Errorf("cannot keep pack: %w", err)
	}
	return nil
}

func packOrder(name string) int {
	switch filepath.Ext(name) {
	case ".pack":
		return 0
	case ".idx":
		return 2
	}
	return 1
}
