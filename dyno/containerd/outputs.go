package containerd

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// outputs wakes the tails: one inotify instance for all dynos.
type outputs struct {
	w  *fsnotify.Watcher
	mu sync.Mutex
	by map[string]*tail
}

func newOutputs() (*outputs, error) {
	w, err := fsnotify.NewBufferedWatcher(256)
	if err != nil {
		return nil, fmt.Errorf("cannot watch output files: %w", err)
	}
	return &outputs{w: w, by: map[string]*tail{}}, nil
}

// add wakes t whenever its file grows from now on, and once for what is there.
func (o *outputs) add(path string, t *tail) error {
	o.mu.Lock()
	o.by[path] = t
	o.mu.Unlock()
	if err := o.w.Add(path); err != nil {
		o.remove(path)
		return fmt.Errorf("cannot watch output of %s: %w", t.spec.Name, err)
	}
	t.wake()
	return nil
}

func (o *outputs) remove(path string) {
	o.mu.Lock()
	delete(o.by, path)
	o.mu.Unlock()
	o.w.Remove(path) // fails if the file is gone, which is as good
}

func (o *outputs) run(ctx context.Context) {
	defer o.w.Close()
	for {
		select {
		case e := <-o.w.Events:
			o.mu.Lock()
			t := o.by[e.Name]
			o.mu.Unlock()
			if t != nil {
				t.wake()
			}
		case err := <-o.w.Errors:
			if errors.Is(err, fsnotify.ErrEventOverflow) { // anybody's event may be lost
				o.mu.Lock()
				for _, t := range o.by {
					t.wake()
				}
				o.mu.Unlock()
			}
		case <-ctx.Done():
			return
		}
	}
}
