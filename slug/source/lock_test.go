package source

import (
	"context"
	"testing"
)

func TestLock(t *testing.T) {
	var l lock
	ctx := context.Background()
	release, err := l.push(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.push(ctx); err != errBusy {
		t.Errorf("a second push got %v", err)
	}
	if _, _, ok := l.maintain(ctx); ok {
		t.Error("maintenance ran beside a push")
	}
	release()

	// A push interrupts maintenance and waits until it has let go.
	work, done, ok := l.maintain(ctx)
	if !ok {
		t.Fatal("maintenance did not get a free lock")
	}
	got := make(chan error)
	go func() {
		release, err := l.push(ctx)
		if err == nil {
			release()
		}
		got <- err
	}()
	<-work.Done()
	select {
	case err := <-got:
		t.Fatalf("the push did not wait: %v", err)
	default:
	}
	done()
	if err := <-got; err != nil {
		t.Errorf("push after maintenance: %v", err)
	}
	if _, done, ok = l.maintain(ctx); !ok {
		t.Fatal("the lock was not given back")
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := l.push(cancelled); err != context.Canceled {
		t.Errorf("push without patience: %v", err)
	}
	done()
}
