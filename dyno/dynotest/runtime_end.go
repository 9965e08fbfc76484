package dynotest

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/google/uuid"

	"paas/dyno"
)

func (t *runtimeTest) sigterm() {
	s := t.spec("echo ready; " + Forever)
	t.start(s, nil)
	t.waitLine(s.ID, "ready")
	t.signal(s.ID, dyno.SIGTERM)
	t.wantStatus(t.wait(s.ID), 143)
}

func (t *runtimeTest) polite() {
	s := t.spec(Polite)
	t.start(s, nil)
	t.waitLine(s.ID, "ready")
	t.signal(s.ID, dyno.SIGTERM)
	t.wantStatus(t.wait(s.ID), 0)
	lines := t.sink.Lines(s.ID)
	if lines[len(lines)-1] != "bye" {
		t.Errorf("the dyno printed %q", lines)
	}
}

func (t *runtimeTest) deaf() {
	s := t.spec(Deaf)
	t.start(s, nil)
	t.waitLine(s.ID, "ready")
	t.signal(s.ID, dyno.SIGTERM)
	short, cancel := context.WithTimeout(t.ctx, 300*time.Millisecond)
	defer cancel()
	if e, err := t.rt.Wait(short, s.ID); err == nil {
		t.Fatalf("it ended with %d", e.Status)
	}
	t.signal(s.ID, dyno.SIGKILL)
	t.wantStatus(t.wait(s.ID), 137)
}

func (t *runtimeTest) waitOften() {
	s := t.spec("read x; exit 4")
	gate, open := io.Pipe()
	t.start(s, &dyno.Streams{Stdin: gate, Stdout: io.Discard})
	cancelled, cancel := context.WithCancel(t.ctx)
	cancel()
	if _, err := t.rt.Wait(cancelled, s.ID); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait with a cancelled context: %v", err)
	}
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if e, err := t.rt.Wait(t.ctx, s.ID); err != nil || e.Status != 4 {
				t.Errorf("Wait = %d, %v, want 4", e.Status, err)
			}
		})
	}
	if _, err := io.WriteString(open, "go\n"); err != nil {
		t.Error(err)
	}
	wg.Wait()
	t.wantStatus(t.wait(s.ID), 4) // after the end, too
	_ = open.Close()
}

func (t *runtimeTest) signalAfterEnd() {
	s, _ := t.run("exit 0")
	t.signal(s.ID, dyno.SIGTERM)
	t.signal(s.ID, dyno.SIGKILL)
	t.wantStatus(t.wait(s.ID), 0)
}

func (t *runtimeTest) deleteKills() {
	s := t.spec(DeafListen)
	h := t.start(s, nil)
	t.get(h)
	if err := t.rt.Delete(t.ctx, s.ID); err != nil {
		t.Fatal("Delete:", err)
	}
	if c, err := net.DialTimeout("tcp", h.Addr.String(), time.Second); err == nil {
		_ = c.Close()
		t.Error("it listens although it was deleted")
	}
	if _, err := t.rt.Wait(t.ctx, s.ID); err == nil {
		t.Error("Wait for a deleted dyno is no error")
	}
}

func (t *runtimeTest) deleteUnknown() {
	if err := t.rt.Delete(t.ctx, uuid.NewString()); err != nil {
		t.Error("Delete of an unknown dyno:", err)
	}
	s, _ := t.run("exit 0")
	for range 2 {
		if err := t.rt.Delete(t.ctx, s.ID); err != nil {
			t.Error("Delete:", err)
		}
	}
}
