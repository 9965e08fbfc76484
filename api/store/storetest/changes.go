package storetest

import (
	"context"
	"errors"
	"testing"

	"paas/api/store"
)

// poked says whether a poke is waiting. Pokes come before Update returns.
func poked(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func nothing(store.Tx) error { return nil }

func changes(t *testing.T, s store.Store) {
	one, two := s.Changes(t.Context()), s.Changes(t.Context())
	equal(t, "at first", poked(one) || poked(two), false)
	equal(t, "capacity", cap(one), 1)
	view(t, s, nothing)
	equal(t, "after a View", poked(one), false)
	if err := s.Update(t.Context(), func(store.Tx) error { return errors.New("no") }); err == nil {
		t.Error("Update lost an error")
	}
	equal(t, "after an undone Update", poked(one), false)
	for range 2 {
		update(t, s, nothing)
		equal(t, "subscriber one", poked(one), true)
		equal(t, "subscriber two", poked(two), true)
		equal(t, "once", poked(one), false)
	}
}

func changesFold(t *testing.T, s store.Store) {
	c := s.Changes(t.Context())
	for range 5 {
		update(t, s, nothing) // never blocks on one who does not look
	}
	equal(t, "first", poked(c), true)
	equal(t, "second", poked(c), false)
}

func changesEnd(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := s.Changes(ctx)
	update(t, s, nothing)
	equal(t, "before", poked(c), true)
	cancel()
	// The end takes effect soon, not at once: it is over when an Update goes
	// by without a poke.
	for range 1000 {
		update(t, s, nothing)
		if !poked(c) {
			return
		}
	}
	t.Error("pokes do not end with the context")
}
