package logplex

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"paas/api"
	"paas/dyno"
)

// Options of a Hub. Dir is needed; zero values of the rest mean what their
// comments say.
type Options struct {
	Dir         string       // the app's streams are directories in it
	SegmentSize int64        // bytes; 1 MiB
	Segments    int          // per app; 4
	Rate        float64      // lines a second of an app; 5000
	Burst       float64      // lines at once; 20000
	Logger      *slog.Logger // nil = nobody
}

// Hub holds the streams of all apps. Its methods may be called concurrently.
// Close it.
type Hub struct {
	o    Options
	poke chan struct{} // capacity 1: there is something to tend
	stop context.CancelFunc
	done chan struct{} // closed when the goroutine that tends has returned

	mu      sync.Mutex
	streams map[string]*stream
	deleted map[string]time.Time
}

var _ dyno.LogSink = (*Hub)(nil)

// idleAfter is when an unused stream is dropped from memory.
const idleAfter = time.Minute

// deletedFor is how long late lines of a deleted app are recognised.
const deletedFor = time.Hour

// Open makes a Hub over a directory, which is made if it does not exist.
func Open(o Options) (*Hub, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make log directory: %w", err)
	}
	if o.SegmentSize == 0 {
		o.SegmentSize = 1 << 20
	}
	if o.Segments == 0 {
		o.Segments = 4
	}
	if o.Rate == 0 {
		o.Rate = 5000
	}
	if o.Burst == 0 {
		o.Burst = 4 * o.Rate
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	h := &Hub{
		o: o, poke: make(chan struct{}, 1), stop: stop, done: make(chan struct{}),
		streams: map[string]*stream{}, deleted: map[string]time.Time{},
	}
	go h.run(ctx)
	return h, nil
}

// Close stores what is still to be told and closes the files. What comes later
// is stored, too, but its file is left open.
func (h *Hub) Close() error {
	h.stop()
	<-h.done
	return nil
}

// use finds or makes the stream of an app, and keeps it in memory until the
// returned function is called. It is nil for a deleted app.
func (h *Hub) use(appID string) (*stream, func(), error) {
	// Ids are uuids, but they become a path here.
	if appID == "" || strings.HasPrefix(appID, ".") || strings.ContainsAny(appID, `/\`) {
		return nil, nil, fmt.Errorf("cannot open log: %q is not an app's id", appID)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, gone := h.deleted[appID]; gone {
		return nil, func() {}, nil
	}
	st := h.streams[appID]
	if st == nil {
		st = &stream{o: &h.o, dir: filepath.Join(h.o.Dir, appID)}
		h.streams[appID] = st
		if len(h.streams) == 1 {
			h.wake()
		}
	}
	st.users++
	return st, sync.OnceFunc(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		st.users--
		st.lastUse = time.Now()
	}), nil
}

func (h *Hub) wake() {
	select {
	case h.poke <- struct{}{}:
	default:
	}
}

// with calls do with the open stream of an app, locked. It does nothing for a
// deleted app.
func (h *Hub) with(appID string, do func(*stream) error) error {
	st, release, err := h.use(appID)
	if err != nil || st == nil {
		return err
	}
	defer release()
	st.mu.Lock()
	defer st.mu.Unlock()
	if err := st.open(); err != nil {
		if err == errGone {
			return nil
		}
		return err
	}
	return do(st)
}

// Write adds lines of the platform. It has no error: lines that cannot be
// stored are counted as dropped.
func (h *Hub) Write(appID string, lines ...api.LogLine) {
	err := h.with(appID, func(st *stream) error {
		err := st.add(&st.platform, nil, lines)
		if err != nil {
			st.dropped.add(len(lines), time.Now())
		}
		return err
	})
	if err != nil {
		h.o.Logger.Error("cannot store log lines", "app", appID, "lines", len(lines), "err", err)
	}
}

// Append implements dyno.LogSink. Lines that end at or before the stored offset
// are known already and not stored again.
func (h *Hub) Append(appID, dynoID string, at int64, lines []api.LogLine) error {
	return h.with(appID, func(st *stream) error {
		if stored, ok := st.c.offsets[dynoID]; ok && at <= stored {
			return nil
		}
		return st.add(&st.app, []offset{{dynoID, at}}, lines)
	})
}

// Offset implements dyno.LogSink.
func (h *Hub) Offset(appID, dynoID string) (at int64, err error) {
	err = h.with(appID, func(st *stream) error { at = st.c.offsets[dynoID]; return nil })
	return at, err
}

// Forget implements dyno.LogSink.
func (h *Hub) Forget(appID, dynoID string) error {
	return h.with(appID, func(st *stream) error {
		if _, ok := st.c.offsets[dynoID]; !ok {
			return nil
		}
		return st.store([]offset{{dynoID, forgotten}}, nil)
	})
}

// Delete deletes the stream of an app. Its sessions end, and lines that still
// come for it are thrown away.
func (h *Hub) Delete(appID string) error {
	st, release, err := h.use(appID)
	if err != nil || st == nil {
		return err
	}
	defer release()
	now := time.Now()
	h.mu.Lock()
	delete(h.streams, appID)
	for id, at := range h.deleted {
		if now.Sub(at) > deletedFor {
			delete(h.deleted, id)
		}
	}
	h.deleted[appID] = now
	h.mu.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	st.gone = true
	st.close()
	if st.changed != nil {
		close(st.changed)
		st.changed = nil
	}
	if err := os.RemoveAll(st.dir); err != nil {
		return fmt.Errorf("cannot delete log: %w", err)
	}
	return nil
}

// run tells streams of their drops and puts idle ones away. It wakes once a
// second while there are streams in memory, and else not at all.
func (h *Hub) run(ctx context.Context) {
	defer close(h.done)
	defer func() { h.tend(time.Now().Add(tellAfter + idleAfter)) }()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.poke:
		}
		for h.tend(time.Now()) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Second):
			}
		}
	}
}

// tend does what is due now, and reports whether there are streams to come back
// for.
func (h *Hub) tend(now time.Time) (more bool) {
	h.mu.Lock()
	list := make(map[string]*stream, len(h.streams))
	for id, st := range h.streams {
		list[id] = st
	}
	h.mu.Unlock()
	for id, st := range list {
		st.mu.Lock()
		if st.dropped.due(now) && st.open() == nil {
			if err := st.add(&st.platform, nil, nil); err != nil {
				h.o.Logger.Error("cannot store log lines", "app", id, "err", err)
			}
		}
		told := st.dropped.n == 0
		st.mu.Unlock()
		h.mu.Lock()
		if told && h.streams[id] == st && st.users == 0 && now.Sub(st.lastUse) >= idleAfter {
			delete(h.streams, id)
			st.mu.Lock() // nobody else has it now
			st.close()
			st.mu.Unlock()
		}
		h.mu.Unlock()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.streams) > 0
}
