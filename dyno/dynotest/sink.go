package dynotest

import (
	"context"
	"slices"
	"sync"

	"paas/api"
)

// Sink is a dyno.LogSink that remembers everything, by dyno.
type Sink struct {
	mu      sync.Mutex
	lines   map[string][]api.LogLine
	offsets map[string]int64
	changed chan struct{} // closed and replaced at every change
}

// NewSink makes an empty Sink.
func NewSink() *Sink {
	return &Sink{lines: map[string][]api.LogLine{}, offsets: map[string]int64{}, changed: make(chan struct{})}
}

// Append implements dyno.LogSink.
func (s *Sink) Append(appID, dynoID string, offset int64, lines []api.LogLine) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines[dynoID] = append(s.lines[dynoID], lines...)
	s.offsets[dynoID] = offset
	close(s.changed)
	s.changed = make(chan struct{})
	return nil
}

// Offset implements dyno.LogSink.
func (s *Sink) Offset(appID, dynoID string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.offsets[dynoID], nil
}

// Forget implements dyno.LogSink. The lines are kept.
func (s *Sink) Forget(appID, dynoID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.offsets, dynoID)
	return nil
}

// Lines returns what a dyno has printed so far.
func (s *Sink) Lines(dynoID string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	texts := make([]string, len(s.lines[dynoID]))
	for i, l := range s.lines[dynoID] {
		texts[i] = l.Message
	}
	return texts
}

// Records is Lines with everything else that is known of them.
func (s *Sink) Records(dynoID string) []api.LogLine {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lines[dynoID])
}

// WaitFor waits until a dyno has printed a line, and reports whether it did
// before ctx ended.
func (s *Sink) WaitFor(ctx context.Context, dynoID, line string) bool {
	for {
		s.mu.Lock()
		found := slices.ContainsFunc(s.lines[dynoID], func(l api.LogLine) bool { return l.Message == line })
		changed := s.changed
		s.mu.Unlock()
		if found {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}
