package build

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
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
