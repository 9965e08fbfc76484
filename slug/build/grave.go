package build

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
)

// grave removes trees in the background: a build with a hundred thousand files
// must not keep its pusher waiting.
type grave struct {
	dir     string
	log     *slog.Logger
	mu      sync.Mutex
	waiting []string
	running bool
	done    sync.WaitGroup
}

// digGrave takes over what an earlier process had not removed yet.
func digGrave(dir string, log *slog.Logger) (*grave, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make directory: %w", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot read directory: %w", err)
	}
	g := &grave{dir: dir, log: log}
	for _, e := range left {
		g.remove(filepath.Join(dir, e.Name()))
	}
	return g, nil
}

// bury takes a tree away at once and removes it later. A missing one is no
// error.
func (g *grave) bury(path string) error {
	place, err := os.MkdirTemp(g.dir, "")
	if err != nil {
		return fmt.Errorf("cannot remove %s: %w", path, err)
	}
	err = os.Rename(path, filepath.Join(place, "tree"))
	g.remove(place)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove %s: %w", path, err)
	}
	return nil
}

func (g *grave) remove(path string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, path)
	if !g.running {
		g.running = true
		g.done.Go(g.run)
	}
}

// run ends when it has caught up.
func (g *grave) run() {
	for {
		g.mu.Lock()
		if len(g.waiting) == 0 {
			g.running = false
			g.mu.Unlock()
			return
		}
		next := g.waiting[0]
		g.waiting = g.waiting[1:]
		g.mu.Unlock()
		if err := os.RemoveAll(next); err != nil {
			g.log.Error("cannot remove a build's files", "err", err) // the next start tries again
		}
	}
}
