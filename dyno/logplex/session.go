package logplex

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"paas/api"
)

// entry is a line of a stream and its id.
type entry struct {
	id int64
	api.LogLine
}

// Session reads a stream. It is for one goroutine.
type Session struct {
	st      *stream
	release func()
	filter  Filter
	follow  bool

	seg   *segment // where it is; nil = nowhere yet
	off   int64
	next  int64 // id of the first line not given yet
	seen  time.Time
	file  *os.File // of seg
	chunk []byte
	ready []entry // read, not given yet
}

// chunkSize is what a session reads at once.
const chunkSize = 64 << 10

// Tail begins to read an app's stream with the lines that the filter asks for.
// With follow it goes on with every new one. Close the session.
func (h *Hub) Tail(ctx context.Context, appID string, f Filter, follow bool) (*Session, error) {
	st, release, err := h.use(appID)
	if err != nil {
		return nil, err
	}
	if st == nil {
		return nil, api.Missing("app")
	}
	s := &Session{st: st, release: release, filter: f, follow: follow, seen: time.Now()}
	if err := s.begin(ctx); err != nil {
		_ = s.Close()
		if errors.Is(err, errGone) {
			return nil, api.Missing("app")
		}
		return nil, err
	}
	return s, nil
}

// begin finds where to begin.
func (s *Session) begin(ctx context.Context) error {
	s.st.mu.Lock()
	if err := s.st.open(); err != nil {
		s.st.mu.Unlock()
		return err
	}
	segments := make([]segment, len(s.st.c.segments))
	for i, seg := range s.st.c.segments {
		segments[i] = *seg
	}
	s.next = s.st.c.next
	s.st.mu.Unlock()
	if s.filter.After > 0 {
		s.next = min(s.next, s.filter.After+1)
		return nil
	}
	// The newest segment first: mostly it has enough.
	for i, missing := len(segments)-1, s.filter.Lines; i >= 0 && missing > 0; i-- {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		ids, err := s.matches(segments[i])
		if errors.Is(err, os.ErrNotExist) { // deleted meanwhile
			break
		}
		if err != nil {
			return fmt.Errorf("cannot read log: %w", err)
		}
		if len(ids) > 0 {
			s.next = ids[max(0, len(ids)-missing)]
		}
		missing -= len(ids)
	}
	return nil
}

// matches lists the ids of the matching lines of a segment.
func (s *Session) matches(seg segment) ([]int64, error) {
	f, err := os.Open(segmentPath(s.st.dir, seg.seq))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b := make([]byte, seg.size)
	if _, err := f.ReadAt(b, 0); err != nil {
		return nil, err
	}
	var ids []int64
	for b = b[len(magic):]; len(b) > 0; {
		r, _, err := readRecord(b)
		if err != nil {
			break // damaged: read says so
		}
		if err := r.each(func(l line) bool {
			if s.filter.match(l) {
				ids = append(ids, l.id)
			}
			return true
		}); err != nil {
			break
		}
		b = b[r.size:]
	}
	return ids, nil
}

// Next returns the next line and its id. It waits for it if the session follows;
// else it returns io.EOF after the last. io.EOF is also what comes when the app's
// stream is deleted. Ids grow by one from line to line; a line that tells of
// drops has the id of the last line dropped.
func (s *Session) Next(ctx context.Context) (int64, api.LogLine, error) {
	if len(s.ready) == 0 {
		lines, err := s.batch(ctx)
		if err != nil {
			return 0, api.LogLine{}, err
		}
		s.ready = lines
	}
	e := s.ready[0]
	s.ready = s.ready[1:]
	return e.id, e.LogLine, nil
}

// batch is Next for as many lines as are at hand, at least one.
func (s *Session) batch(ctx context.Context) ([]entry, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		end, lost, changed, err := s.seek()
		switch {
		case errors.Is(err, errGone):
			return nil, io.EOF
		case err != nil:
			return nil, err
		case lost > 0:
			now := time.Now()
			l := entry{s.next - 1, overflow("L11", "Tail buffer overflow", lost, s.seen, now)}
			s.seen = now
			return []entry{l}, nil
		case changed == nil:
			lines, err := s.read(end)
			if errors.Is(err, os.ErrNotExist) {
				continue // it was deleted just now; seek again
			}
			if len(lines) > 0 || err != nil {
				s.seen = time.Now()
				return lines, err
			}
		case !s.follow:
			return nil, io.EOF
		default:
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	}
}

// seek makes s.seg the segment that has the next line, and returns where that
// segment ends now. If there is no next line it returns a channel that is closed
// when there is; if lines were deleted before they could be read, how many.
func (s *Session) seek() (end, lost int64, changed <-chan struct{}, err error) {
	st := s.st
	st.mu.Lock()
	defer st.mu.Unlock()
	if err := st.open(); err != nil {
		return 0, 0, nil, err
	}
	if s.seg != nil && s.off < s.seg.size {
		return s.seg.size, 0, nil, nil // even if it is deleted: the file is open
	}
	segments := st.c.segments
	if s.next >= st.c.next || len(segments) == 0 || s.seg == st.newest() {
		if st.changed == nil {
			st.changed = make(chan struct{})
		}
		return 0, 0, st.changed, nil
	}
	if oldest := segments[0]; s.next < oldest.first {
		lost = oldest.first - s.next
		s.next = oldest.first
		return 0, lost, nil, nil
	}
	found := segments[0]
	for _, seg := range segments {
		if s.seg != nil && seg.seq > s.seg.seq {
			found = seg
			break
		}
		if s.seg == nil && seg.first <= s.next {
			found = seg
		}
	}
	s.drop()
	s.seg, s.off = found, int64(len(magic))
	return found.size, 0, nil, nil
}

// read decodes a chunk of the segment up to end, and returns what matches.
func (s *Session) read(end int64) ([]entry, error) {
	if s.file == nil {
		f, err := os.Open(segmentPath(s.st.dir, s.seg.seq))
		if err != nil {
			s.seg = nil
			return nil, err
		}
		s.file = f
	}
	if s.chunk == nil {
		s.chunk = make([]byte, chunkSize)
	}
	b := s.chunk[:min(int64(len(s.chunk)), end-s.off)]
	if _, err := s.file.ReadAt(b, s.off); err != nil {
		return nil, fmt.Errorf("cannot read log: %w", err)
	}
	more := s.off+int64(len(b)) < end
	var lines []entry
	for begin := true; len(b) > 0; begin = false {
		r, short, err := readRecord(b)
		if err == nil {
			err = r.each(func(l line) bool {
				if l.id >= s.next && s.filter.match(l) {
					lines = append(lines, l.copy())
				}
				return true
			})
		}
		switch {
		case err == nil:
			s.next = max(s.next, r.first+r.count)
			s.off += int64(r.size)
			b = b[r.size:]
			continue
		case short > 0 && more && begin: // it is larger than the chunk
			s.chunk = make([]byte, len(b)+short)
		case short > 0 && more: // the rest of it comes with the next chunk
		default:
			// A disk or a power cut did that; what follows cannot be read.
			s.st.o.Logger.Warn("a log segment is damaged", "dir", s.st.dir, "segment", s.seg.seq, "offset", s.off)
			s.off = end
		}
		break
	}
	return lines, nil
}

// drop closes the segment's file.
func (s *Session) drop() {
	if s.file != nil {
		_ = s.file.Close()
		s.file = nil
	}
	s.seg = nil
}

// Close ends the session. The error is always nil.
func (s *Session) Close() error {
	s.drop()
	s.release()
	return nil
}
