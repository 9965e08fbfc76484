package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// cache keeps a directory per app: <dir>/<app>/{tree,saved,state.json}.
//
//	at rest        tree, and saved: second names of its files
//	build running  saved (and the tree itself in the build's directory)
//
// saved is made in the background after each build, so that handing a cache out
// is a rename, however many files it has.
type cache struct {
	dir      string
	grave    *grave
	maxFiles int
	mu       sync.Mutex
	leases   map[string]*lease        // by app
	saving   map[string]chan struct{} // by app; closed when saved has been made

	ctx  context.Context // of the background
	stop context.CancelFunc
	work sync.WaitGroup
}

func newCache(dir string, g *grave, maxFiles int) *cache {
	c := &cache{dir: dir, grave: g, maxFiles: maxFiles, leases: map[string]*lease{}, saving: map[string]chan struct{}{}}
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c
}

// close gives up what is done in the background; the next build does it then.
func (c *cache) close() {
	c.stop()
	c.work.Wait()
}

// settled waits until nothing is done in the background for an app.
func (c *cache) settled(ctx context.Context, app string) error {
	c.mu.Lock()
	saving := c.saving[app]
	c.mu.Unlock()
	if saving == nil {
		return nil
	}
	select {
	case <-saving:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// state is what is known of a cache.
type state struct {
	Stack string `json:"stack"`
	Saved string `json:"saved"` // fingerprint of saved, "" = there is none
	// Tried says that saved could not be made of this tree: it has too many
	// files, and it is no use to try again.
	Tried bool `json:"tried"`
}

// lease is a cache in the hands of a build.
type lease struct {
	c     *cache
	app   string
	stack string
	dir   string // where the build has it
	saved string // fingerprint, "" = there is none
	tried bool
	// purged: somebody asked for an empty cache meanwhile. Guarded by cache.mu.
	purged bool
}

func (c *cache) home(app string) string { return filepath.Join(c.dir, app) }

// take moves an app's cache to dir, or makes an empty one there.
func (c *cache) take(ctx context.Context, app, stack, dir string) (*lease, error) {
	l := &lease{c: c, app: app, stack: stack, dir: dir}
	if err := c.settled(ctx, app); err != nil {
		return nil, err
	}
	c.mu.Lock()
	if c.leases[app] != nil {
		c.mu.Unlock()
		return nil, fmt.Errorf("cannot use the build cache of app %s: another build has it", app)
	}
	c.leases[app] = l
	c.mu.Unlock()
	if err := l.layOut(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot prepare the build cache: %w", err), l.abort())
	}
	return l, nil
}

func (l *lease) path(name string) string { return filepath.Join(l.c.home(l.app), name) }

func (l *lease) layOut(ctx context.Context) error {
	if err := l.recover(); err != nil {
		return err
	}
	if l.saved == "" && !l.tried { // not made in the background, or not to its end
		if err := l.saveIfPossible(ctx); err != nil {
			return err
		}
	}
	err := os.Rename(l.path("tree"), l.dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = makeDir(l.dir, User, 0o755)
	}
	return err
}

// saveIfPossible makes saved, or sees to it that there is none: then a failed
// build costs the cache, which is no reason not to build.
func (l *lease) saveIfPossible(ctx context.Context) error {
	err := l.save(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	l.tried = true
	if err != nil {
		l.saved = ""
		if err := l.c.grave.bury(l.path("saved")); err != nil {
			return err
		}
	}
	return l.write()
}

// recover brings the directory to rest, whatever state an earlier process left
// it in, and drops what was made on another stack.
func (l *lease) recover() error {
	if err := os.MkdirAll(l.c.home(l.app), 0o700); err != nil {
		return err
	}
	var s state
	b, err := os.ReadFile(l.path("state.json"))
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil || s.Stack != l.stack {
		if err := l.c.grave.bury(l.c.home(l.app)); err != nil {
			return err
		}
		return os.Mkdir(l.c.home(l.app), 0o700)
	}
	if st, err := os.Lstat(l.path("tree")); err == nil {
		if !st.IsDir() {
			return l.c.grave.bury(l.path("tree"))
		}
		if _, err := os.Lstat(l.path("saved")); err == nil && s.Saved != "" {
			l.saved = s.Saved
			return nil
		}
		l.tried = s.Tried && s.Saved == ""
		return l.c.grave.bury(l.path("saved"))
	}
	return l.restore(s.Saved)
}

// restore makes saved the tree again if it is what it was.
func (l *lease) restore(want string) error {
	got, err := fingerprint(l.path("saved"))
	if want == "" || err != nil || got != want {
		return l.c.grave.bury(l.path("saved"))
	}
	return os.Rename(l.path("saved"), l.path("tree"))
}

// save links the tree's files into saved.
func (l *lease) save(ctx context.Context) error {
	if _, err := os.Lstat(l.path("tree")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	draft := l.path("saved.new")
	if err := l.c.grave.bury(draft); err != nil {
		return err
	}
	if err := linkTree(ctx, l.path("tree"), draft, l.c.maxFiles); err != nil {
		return errors.Join(err, l.c.grave.bury(draft))
	}
	print, err := fingerprint(draft)
	if err != nil {
		return err
	}
	if err := os.Rename(draft, l.path("saved")); err != nil {
		return err
	}
	l.saved = print
	return nil
}

func (l *lease) write() error {
	b, err := json.Marshal(state{Stack: l.stack, Saved: l.saved, Tried: l.tried})
	if err != nil {
		return err
	}
	draft := l.path("state.json.new")
	if err := os.WriteFile(draft, b, 0o600); err != nil {
		return err
	}
	return os.Rename(draft, l.path("state.json"))
}

// forgetSaved drops the way back; from now on a failure costs the cache.
func (l *lease) forgetSaved() error {
	l.saved = ""
	return os.RemoveAll(l.path("saved"))
}

// commit keeps what the build made of the cache.
func (l *lease) commit() error {
	return l.end(func() error {
		l.saved, l.tried = "", false
		if err := l.c.grave.bury(l.path("saved")); err != nil {
			return err
		}
		if st, err := os.Lstat(l.dir); err != nil || !st.IsDir() {
			return nil // the build has thrown it away
		}
		return errors.Join(l.write(), os.Rename(l.dir, l.path("tree")))
	})
}

// abort brings back what was before the build.
func (l *lease) abort() error {
	return l.end(func() error {
		if _, err := os.Lstat(l.path("tree")); err == nil {
			return nil // it was never handed out
		}
		return l.restore(l.saved)
	})
}

func (l *lease) end(keep func() error) error {
	err := keep()
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	delete(l.c.leases, l.app)
	if l.purged {
		return errors.Join(err, l.c.grave.bury(l.c.home(l.app)))
	}
	l.saveLater()
	return err
}

// lowPriority is the nice value of work in the background.
const lowPriority = 15

// saveLater makes saved for the next build in the background. c.mu is held.
func (l *lease) saveLater() {
	done := make(chan struct{})
	l.c.saving[l.app] = done
	l.c.work.Go(func() {
		defer func() {
			l.c.mu.Lock()
			defer l.c.mu.Unlock()
			delete(l.c.saving, l.app)
			close(done)
		}()
		// The release of the build starts its dynos just now: they come first.
		// The thread ends with this function, since it is not unlocked.
		runtime.LockOSThread()
		if err := unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), lowPriority); err != nil {
			l.c.grave.log.Debug("cannot lower priority", "err", err)
		}
		next := &lease{c: l.c, app: l.app, stack: l.stack}
		if next.recover() == nil && next.saved == "" && !next.tried {
			// A failure leaves it to the next build, which reports it.
			_ = next.saveIfPossible(l.c.ctx)
		}
	})
}

// purge drops an app's cache.
func (c *cache) purge(ctx context.Context, app string) error {
	if err := c.settled(ctx, app); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.leases[app]; l != nil {
		l.purged = true
		return nil
	}
	return c.grave.bury(c.home(app))
}

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
