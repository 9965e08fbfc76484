package layers

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// markerFile makes a layer's directory complete.
const markerFile = "complete"

type marker struct {
	Boot   string `json:"boot"`   // made under this boot of the machine
	Made   string `json:"made"`   // tells apart two makings of one layer
	Synced bool   `json:"synced"` // has reached the disk
}

func (m marker) write(home string) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	draft := filepath.Join(home, markerFile+".new")
	if err := os.WriteFile(draft, b, 0o600); err != nil {
		return fmt.Errorf("cannot mark layer: %w", err)
	}
	if err := os.Rename(draft, filepath.Join(home, markerFile)); err != nil {
		return fmt.Errorf("cannot mark layer: %w", err)
	}
	return nil
}

func readMarker(home string) (m marker, err error) {
	b, err := os.ReadFile(filepath.Join(home, markerFile))
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(b, &m)
}

// complete says whether a layer's tree can be used, and remembers that it was.
func (s *Store) complete(home string) bool {
	m, err := readMarker(home)
	if err != nil || !m.Synced && m.Boot != s.boot {
		return false
	}
	st, err := os.Stat(filepath.Join(home, "fs"))
	if err != nil || !st.IsDir() {
		return false
	}
	now := time.Now()
	return os.Chtimes(filepath.Join(home, markerFile), now, now) == nil
}

// fresh is a layer that was just published.
type fresh struct {
	home   string
	marker marker
}

// syncer makes trees durable in the background: one goroutine at most, which
// ends when it has caught up.
type syncer struct {
	store   *Store
	mu      sync.Mutex
	waiting []fresh
	running bool
	done    sync.WaitGroup
}

func (y *syncer) add(f fresh) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.waiting = append(y.waiting, f)
	if !y.running {
		y.running = true
		y.done.Go(y.run)
	}
}

func (y *syncer) run() {
	for {
		y.mu.Lock()
		batch := y.waiting
		y.waiting = nil
		if len(batch) == 0 {
			y.running = false
			y.mu.Unlock()
			return
		}
		y.mu.Unlock()
		if y.flush() != nil {
			continue // they stay unsynced, which costs an unpack after a reboot
		}
		for _, f := range batch {
			y.confirm(f)
		}
	}
}

// confirm marks a layer as synced, if it is still the same making of it. A
// failure costs an unpack after a reboot, nothing else.
func (y *syncer) confirm(f fresh) {
	unlock, err := y.store.locks.lock(context.Background(), "sha256:"+filepath.Base(f.home))
	if err != nil {
		return
	}
	defer unlock()
	if now, err := readMarker(f.home); err == nil && now.Made == f.marker.Made {
		f.marker.Synced = true
		_ = f.marker.write(f.home)
	}
}

func (y *syncer) flush() error {
	d, err := os.Open(y.store.dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd()))
}
