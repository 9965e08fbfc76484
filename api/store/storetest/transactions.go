package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"paas/api"
	"paas/api/store"
)

func updateCommits(t *testing.T, s store.Store) {
	update(t, s, func(tx store.Tx) error {
		if err := tx.CreateAccount(account(1)); err != nil {
			return err
		}
		got, err := tx.Account(account(1).ID) // a transaction sees its own writes
		equal(t, "inside", got, account(1))
		return err
	})
	equal(t, "after", read(t, s, store.Tx.Accounts), []api.Account{account(1)})
}

func undoneOnError(t *testing.T, s store.Store) {
	cause := errors.New("changed my mind")
	err := s.Update(t.Context(), func(tx store.Tx) error {
		if err := tx.CreateAccount(account(1)); err != nil {
			return err
		}
		return cause
	})
	if !errors.Is(err, cause) {
		t.Errorf("Update returned %v, want fn's error", err)
	}
	equal(t, "accounts", len(read(t, s, store.Tx.Accounts)), 0)
	err = s.View(t.Context(), func(store.Tx) error { return cause })
	if !errors.Is(err, cause) {
		t.Errorf("View returned %v, want fn's error", err)
	}
}

func undoneOnPanic(t *testing.T, s store.Store) {
	func() {
		defer func() {
			if r := recover(); r != "ouch" {
				t.Errorf("recovered %v, want the panic of fn", r)
			}
		}()
		s.Update(t.Context(), func(tx store.Tx) error { //nolint:errcheck // it panics
			if err := tx.CreateAccount(account(1)); err != nil {
				return err
			}
			panic("ouch")
		})
	}()
	equal(t, "accounts", len(read(t, s, store.Tx.Accounts)), 0)
	update(t, s, func(tx store.Tx) error { return tx.CreateAccount(account(1)) }) // the next writer is not stuck
}

func undoneAfterFailedStep(t *testing.T, s store.Store) {
	a := seed(t, s, 1)[0]
	err := s.Update(t.Context(), func(tx store.Tx) error {
		if err := tx.CreateAccount(account(2)); err != nil {
			return err
		}
		if err := tx.CreateRelease(release(a, 2, api.Succeeded), api.ConfigVars{"X": "\x00"}); err == nil {
			t.Error("bad config var was kept")
		}
		return nil
	})
	if err == nil {
		t.Error("a transaction with a failed step was committed")
	}
	equal(t, "accounts", len(read(t, s, store.Tx.Accounts)), 1)
	equal(t, "releases", len(read(t, s, func(tx store.Tx) ([]api.Release, error) { return tx.Releases(a.ID, 0) })), 1)
}

// goesOnAfterConflict: a broken rule is an answer; one may try another name.
func goesOnAfterConflict(t *testing.T, s store.Store) {
	a := seed(t, s, 1)[0]
	update(t, s, func(tx store.Tx) error {
		v := app(2)
		v.Name = a.Name
		conflicts(t, "taken", tx.CreateApp(v), store.RuleAppName)
		v.Name = "free"
		return tx.CreateApp(v)
	})
	equal(t, "apps", ids(read(t, s, store.Tx.Apps), func(a api.App) string { return a.Name }), []string{"free", a.Name})
}

func viewCannotWrite(t *testing.T, s store.Store) {
	err := s.View(t.Context(), func(tx store.Tx) error { return tx.CreateAccount(account(1)) })
	if err == nil {
		t.Error("View wrote")
	}
	equal(t, "accounts", len(read(t, s, store.Tx.Accounts)), 0)
}

func viewIsSnapshot(t *testing.T, s store.Store) {
	seed(t, s, 1)
	view(t, s, func(tx store.Tx) error {
		equal(t, "before", count(tx.Apps()), 1)
		update(t, s, func(tx store.Tx) error { return tx.CreateApp(app(2)) })
		equal(t, "same snapshot", count(tx.Apps()), 1)
		equal(t, "a new one", len(read(t, s, store.Tx.Apps)), 2)
		return nil
	})
}

// readersDoNotWait: an open Update neither stops readers nor shows itself.
func readersDoNotWait(t *testing.T, s store.Store) {
	inside, read1 := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- s.Update(context.Background(), func(tx store.Tx) error {
			err := tx.CreateAccount(account(1))
			close(inside)
			<-read1
			return err
		})
	}()
	<-inside
	equal(t, "during", len(read(t, s, store.Tx.Accounts)), 0)
	close(read1)
	equal(t, "Update", <-done, nil)
	equal(t, "after", len(read(t, s, store.Tx.Accounts)), 1)
}

// writersTakeTurns: read-modify-write from many goroutines loses nothing, and
// readers see whole transactions only.
func writersTakeTurns(t *testing.T, s store.Store) {
	const writers, rounds = 8, 10
	a := seed(t, s, 1)[0]
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var reading, writing sync.WaitGroup
	for range 2 {
		reading.Go(func() {
			for ctx.Err() == nil {
				err := s.View(context.Background(), func(tx store.Tx) error {
					a, err := tx.App(a.ID)
					if err != nil {
						return err
					}
					r, err := tx.LatestRelease(a.ID)
					if err == nil && r.Version != a.Current {
						t.Errorf("half a transaction: current is v%d, latest v%d", a.Current, r.Version)
					}
					return err
				})
				if err != nil {
					t.Errorf("View: %v", err)
					return
				}
			}
		})
	}
	for range writers {
		writing.Go(func() {
			for range rounds {
				err := s.Update(context.Background(), func(tx store.Tx) error {
					a, err := tx.App(a.ID)
					if err != nil {
						return err
					}
					a.Current++
					if err := tx.CreateRelease(release(a, a.Current, api.Succeeded), nil); err != nil {
						return err
					}
					return tx.UpdateApp(a)
				})
				if err != nil {
					t.Errorf("Update: %v", err)
				}
			}
		})
	}
	writing.Wait()
	stop()
	reading.Wait()
	got := read(t, s, func(tx store.Tx) (api.App, error) { return tx.App(a.ID) })
	equal(t, "Current", got.Current, 1+writers*rounds)
}

// onePendingBuild: of many pushes at once exactly one gets the app.
func onePendingBuild(t *testing.T, s store.Store) {
	a := seed(t, s, 1)[0]
	const pushes = 16
	results := make(chan error, pushes)
	for n := range pushes {
		go func() {
			results <- s.Update(context.Background(), func(tx store.Tx) error { return tx.CreateBuild(build(a, n, api.Pending)) })
		}()
	}
	won := 0
	for range pushes {
		if err := <-results; err == nil {
			won++
		} else {
			conflicts(t, "loser", err, store.RulePendingBuild)
		}
	}
	equal(t, "winners", won, 1)
}

func waitingWriterGivesUp(t *testing.T, s store.Store) {
	inside, leave := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- s.Update(context.Background(), func(tx store.Tx) error {
			close(inside)
			<-leave
			return nil
		})
	}()
	<-inside
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	err := s.Update(ctx, func(store.Tx) error {
		t.Error("two writers at once")
		return nil
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a deadline exceeded", err)
	}
	close(leave)
	equal(t, "first writer", <-done, nil)
}

func cancelledTransaction(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Update(ctx, func(tx store.Tx) error {
		if err := tx.CreateAccount(account(1)); err != nil {
			return err
		}
		cancel()
		return nil
	})
	// It may have been too late to stop it, but the answer has to be true.
	equal(t, fmt.Sprintf("accounts (%v)", err), len(read(t, s, store.Tx.Accounts)) == 1, err == nil)
	if err := s.View(ctx, func(store.Tx) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("View with an ended context: %v", err)
	}
	update(t, s, func(tx store.Tx) error { return tx.CreateAccount(account(2)) })
}

func closes(t *testing.T, s store.Store) {
	inside, leave := make(chan struct{}), make(chan struct{})
	updated, closed := make(chan error, 1), make(chan error, 1)
	go func() {
		updated <- s.Update(context.Background(), func(tx store.Tx) error {
			close(inside)
			<-leave
			return tx.CreateAccount(account(1))
		})
	}()
	<-inside
	go func() { closed <- s.Close() }()
	// Once Close has begun nothing new begins; View tells when that is.
	for s.View(context.Background(), func(store.Tx) error { return nil }) == nil {
	}
	select {
	case <-closed:
		t.Error("Close did not wait for the running transaction")
	default:
	}
	close(leave)
	equal(t, "running transaction", <-updated, nil)
	equal(t, "Close", <-closed, nil)
	if err := s.Update(context.Background(), func(store.Tx) error { return nil }); err == nil {
		t.Error("a closed store takes updates")
	}
	equal(t, "Close again", s.Close(), nil)
}
