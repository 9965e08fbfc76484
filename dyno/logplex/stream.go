package logplex

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"paas/api"
)

// stream is the log of one app. It is made when the app is written to or read,
// and dropped by the hub when it is idle.
type stream struct {
	o   *Options
	dir string

	users   int       // guarded by Hub.mu
	lastUse time.Time // guarded by Hub.mu

	mu      sync.Mutex
	loaded  bool
	gone    bool // deleted
	c       contents
	file    *os.File // the newest segment; nil = not open
	buf     []byte
	changed chan struct{} // closed at the next change; nil = nobody waits

	app, platform bucket
	dropped       drops
}

var errGone = errors.New("the app's log was deleted")

// open makes st.c right. st.mu is held.
func (st *stream) open() error {
	if st.gone {
		return errGone
	}
	if st.loaded {
		return nil
	}
	c, err := load(st.dir)
	if err != nil {
		return err
	}
	st.c, st.loaded = c, true
	return nil
}

// store writes lines and offsets as one record. st.mu is held and st is open.
func (st *stream) store(offsets []offset, lines []api.LogLine) error {
	newest := st.newest()
	if newest == nil || newest.size >= st.o.SegmentSize {
		if err := st.rotate(); err != nil {
			return err
		}
		newest = st.newest()
	}
	if st.file == nil {
		f, err := os.OpenFile(segmentPath(st.dir, newest.seq), os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("cannot open log: %w", err)
		}
		st.file = f
	}
	st.buf = appendRecord(st.buf[:0], offsets, st.c.next, lines)
	if _, err := st.file.WriteAt(st.buf, newest.size); err != nil {
		// What is after size is not read, and overwritten by the next record.
		return fmt.Errorf("cannot write log: %w", err)
	}
	newest.size += int64(len(st.buf))
	st.c.next += int64(len(lines))
	applyOffsets(st.c.offsets, offsets)
	if cap(st.buf) > maxKeptBuffer {
		st.buf = nil
	}
	if st.changed != nil && len(lines) > 0 {
		close(st.changed)
		st.changed = nil
	}
	return nil
}

// maxKeptBuffer is the largest encoding buffer that is kept for the next write.
const maxKeptBuffer = 64 << 10

func (st *stream) newest() *segment {
	if n := len(st.c.segments); n > 0 {
		return st.c.segments[n-1]
	}
	return nil
}

// rotate begins a new segment and deletes the oldest ones. st.mu is held.
func (st *stream) rotate() error {
	st.close()
	s := &segment{seq: 1, first: st.c.next}
	if newest := st.newest(); newest != nil {
		s.seq = newest.seq + 1
	} else if err := os.MkdirAll(st.dir, 0o700); err != nil {
		return fmt.Errorf("cannot make log: %w", err)
	}
	all := make([]offset, 0, len(st.c.offsets))
	for dyno, at := range st.c.offsets {
		all = append(all, offset{dyno, at})
	}
	st.buf = appendRecord(append(st.buf[:0], magic...), all, st.c.next, nil)
	f, err := os.OpenFile(segmentPath(st.dir, s.seq), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("cannot make log: %w", err)
	}
	if _, err := f.Write(st.buf); err != nil {
		_ = f.Close()
		return fmt.Errorf("cannot write log: %w", err)
	}
	s.size = int64(len(st.buf))
	st.file = f
	st.c.segments = append(st.c.segments, s)
	for len(st.c.segments) > st.o.Segments {
		if err := os.Remove(segmentPath(st.dir, st.c.segments[0].seq)); err != nil && !errors.Is(err, os.ErrNotExist) {
			// It is tried again with the next segment.
			st.o.Logger.Warn("cannot delete an old log segment", "err", err)
			break
		}
		st.c.segments = st.c.segments[1:]
	}
	return nil
}

// close closes the file; it is opened again when needed. st.mu is held.
func (st *stream) close() {
	if st.file != nil {
		// Nothing is buffered here that closing could lose.
		_ = st.file.Close()
		st.file = nil
	}
}

// admit drops the lines that a bucket does not let pass. st.mu is held.
func (st *stream) admit(b *bucket, lines []api.LogLine, now time.Time) []api.LogLine {
	n := 0
	for n < len(lines) && b.take(lines[n], now, st.o.Rate, st.o.Burst) {
		n++
	}
	if n == len(lines) {
		return lines
	}
	// The first lines pass and the rest of the batch does not: what is kept is
	// then in one piece.
	st.dropped.add(len(lines)-n, now)
	return lines[:n:n]
}

// tell adds the line that tells of drops, if it is time for it. st.mu is held.
func (st *stream) tell(lines []api.LogLine, now time.Time) ([]api.LogLine, bool) {
	if !st.dropped.due(now) {
		return lines, false
	}
	l := overflow("L12", "Local buffer overflow", st.dropped.n, st.dropped.since, now)
	return append(append(make([]api.LogLine, 0, len(lines)+1), l), lines...), true
}

// add stores lines that passed a bucket, and whatever else is to be told.
func (st *stream) add(b *bucket, offsets []offset, lines []api.LogLine) error {
	now := time.Now()
	beforeBucket, beforeDropped := *b, st.dropped
	lines = st.admit(b, tidy(lines, now), now)
	lines, told := st.tell(lines, now)
	if len(lines) == 0 && len(offsets) == 0 {
		return nil
	}
	if err := st.store(offsets, lines); err != nil {
		// The caller comes again with the same lines, or counts them as dropped.
		*b, st.dropped = beforeBucket, beforeDropped
		return err
	}
	if told {
		st.dropped = drops{}
	}
	return nil
}
