package build

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

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
