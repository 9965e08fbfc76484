package dynotest

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"paas/api"
	"paas/dyno"
)

// RuntimeHarness is a dyno.Runtime under test.
type RuntimeHarness struct {
	Runtime dyno.Runtime
	// Template is a spec that starts: image, size and what else the engine
	// needs. The suite sets ID, Name, Type, Command, Port, CreatedAt and adds to
	// Env.
	Template dyno.Spec
	// Restart ends the runtime's hold on its dynos as kill -9 of paasd would,
	// and returns the runtime that a new paasd would make, with the same sink
	// and before its Recover.
	Restart func(t *testing.T) dyno.Runtime
}

// bound is how long the suites wait for something that has to happen.
const bound = 30 * time.Second

// RunRuntime holds a runtime to the contract of dyno.Runtime. newHarness is
// called for each test; what it makes is cleaned up by t.Cleanup. All output
// goes to the sink that it is given.
func RunRuntime(t *testing.T, newHarness func(t *testing.T, sink dyno.LogSink) RuntimeHarness) {
	tests := []struct {
		name string
		run  func(*runtimeTest)
	}{
		{"OutputAndStatus", (*runtimeTest).outputAndStatus},
		{"Environment", (*runtimeTest).environment},
		{"CommandNotFound", (*runtimeTest).commandNotFound},
		{"LinesKeepTheirOrder", (*runtimeTest).order},
		{"LongLinesAreSplit", (*runtimeTest).longLine},
		{"LastLineWithoutNewline", (*runtimeTest).lastLine},
		{"Listen", (*runtimeTest).listen},
		{"SamePortTwice", (*runtimeTest).samePort},
		{"SIGTERM", (*runtimeTest).sigterm},
		{"SIGTERMTrapped", (*runtimeTest).polite},
		{"SIGTERMIgnored", (*runtimeTest).deaf},
		{"WaitOften", (*runtimeTest).waitOften},
		{"SignalAfterEnd", (*runtimeTest).signalAfterEnd},
		{"DeleteKills", (*runtimeTest).deleteKills},
		{"DeleteUnknown", (*runtimeTest).deleteUnknown},
		{"MissingImage", (*runtimeTest).missingImage},
		{"CancelledStart", (*runtimeTest).cancelledStart},
		{"ManyAtOnce", (*runtimeTest).manyAtOnce},
		{"RecoverRunning", (*runtimeTest).recoverRunning},
		{"RecoverEnded", (*runtimeTest).recoverEnded},
		{"RecoverNothing", (*runtimeTest).recoverNothing},
		{"AttachedPipes", (*runtimeTest).attachedPipes},
		{"AttachedTerminal", (*runtimeTest).attachedTerminal},
		{"AttachedEndsWithPaasd", (*runtimeTest).attachedRecover},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), bound)
			defer cancel()
			sink := NewSink()
			h := newHarness(t, sink)
			if _, err := h.Runtime.Recover(ctx); err != nil {
				t.Fatal("Recover of nothing:", err)
			}
			test.run(&runtimeTest{T: t, h: h, rt: h.Runtime, sink: sink, ctx: ctx})
		})
	}
}

type runtimeTest struct {
	*testing.T
	h    RuntimeHarness
	rt   dyno.Runtime
	sink *Sink
	ctx  context.Context
	n    int
}

func (t *runtimeTest) spec(command string) dyno.Spec {
	t.n++
	s := t.h.Template
	s.ID, s.Type, s.Command, s.Port, s.CreatedAt = uuid.NewString(), "web", command, 5000, time.Now().UTC()
	s.Name = "web." + strconv.Itoa(t.n)
	s.Env = maps.Clone(s.Env)
	if s.Env == nil {
		s.Env = api.ConfigVars{}
	}
	s.Env["PORT"], s.Env["DYNO"] = strconv.Itoa(s.Port), s.Name
	return s
}

func (t *runtimeTest) start(s dyno.Spec, streams *dyno.Streams) dyno.Handle {
	t.Helper()
	h, err := t.rt.Start(t.ctx, s, streams)
	if err != nil {
		t.Fatalf("Start of %q: %v", s.Command, err)
	}
	if h.ID != s.ID {
		t.Errorf("Handle.ID = %q, want that of the spec, %q", h.ID, s.ID)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), bound)
		defer cancel()
		if err := t.rt.Delete(ctx, s.ID); err != nil {
			t.Error("Delete:", err)
		}
	})
	return h
}

func (t *runtimeTest) run(command string) (dyno.Spec, dyno.Exit) {
	t.Helper()
	s := t.spec(command)
	t.start(s, nil)
	return s, t.wait(s.ID)
}

func (t *runtimeTest) wait(id string) dyno.Exit {
	t.Helper()
	e, err := t.rt.Wait(t.ctx, id)
	if err != nil {
		t.Fatal("Wait:", err)
	}
	if e.At.IsZero() {
		t.Error("Exit.At is not set")
	}
	return e
}

func (t *runtimeTest) signal(id string, sig dyno.Signal) {
	t.Helper()
	if err := t.rt.Signal(t.ctx, id, sig); err != nil {
		t.Fatalf("Signal %d: %v", sig, err)
	}
}

func (t *runtimeTest) waitLine(id, line string) {
	t.Helper()
	if !t.sink.WaitFor(t.ctx, id, line) {
		t.Fatalf("no line %q; the dyno printed %q", line, t.sink.Lines(id))
	}
}

func (t *runtimeTest) wantLines(id string, want ...string) {
	t.Helper()
	if got := t.sink.Lines(id); !slices.Equal(got, want) {
		t.Errorf("the dyno printed %q, want %q", got, want)
	}
}

func (t *runtimeTest) wantStatus(e dyno.Exit, want int) {
	t.Helper()
	if e.Status != want || e.Err != nil {
		t.Errorf("the dyno ended with %d (%v), want %d", e.Status, e.Err, want)
	}
}

func (t *runtimeTest) outputAndStatus() {
	s, e := t.run("echo out; echo err >&2; exit 3")
	t.wantStatus(e, 3)
	t.wantLines(s.ID, "out", "err")
	for _, l := range t.sink.Records(s.ID) {
		if l.Source != api.SourceApp || l.Proc != s.Name || time.Since(l.Time) > bound {
			t.Errorf("line %q is from %s[%s] at %v", l.Message, l.Source, l.Proc, l.Time)
		}
	}
}

func (t *runtimeTest) environment() {
	s := t.spec(`echo "$DYNO" "$PORT" "$ODD"`)
	s.Env["ODD"] = "a'b \"c\" $HOME `id` \\ ü"
	t.start(s, nil)
	t.wantStatus(t.wait(s.ID), 0)
	t.wantLines(s.ID, s.Name+" 5000 "+s.Env["ODD"])
}

func (t *runtimeTest) commandNotFound() {
	s, e := t.run("no-such-command --at-all")
	t.wantStatus(e, 127)
	if got := strings.Join(t.sink.Lines(s.ID), "\n"); !strings.Contains(got, "no-such-command: command not found") {
		t.Errorf("the dyno printed %q", got)
	}
}

func (t *runtimeTest) order() {
	s, e := t.run("seq 1 20000")
	t.wantStatus(e, 0)
	lines := t.sink.Lines(s.ID)
	if len(lines) != 20000 {
		t.Fatalf("%d lines, want 20000", len(lines))
	}
	for i, l := range lines {
		if l != strconv.Itoa(i+1) {
			t.Fatalf("line %d is %q", i+1, l)
		}
	}
}

func (t *runtimeTest) longLine() {
	s, _ := t.run(LongLine + "; echo after")
	lines := t.sink.Lines(s.ID)
	if len(lines) != 4 || lines[3] != "after" {
		t.Fatalf("%d lines, want 3 parts and one more", len(lines))
	}
	if whole := strings.Join(lines[:3], ""); len(lines[0]) != api.MaxLogLine || len(whole) != 25000 || whole[24999] != '7' {
		t.Errorf("parts of %d, %d and %d bytes", len(lines[0]), len(lines[1]), len(lines[2]))
	}
}

func (t *runtimeTest) lastLine() {
	s, _ := t.run("echo one; printf two")
	t.wantLines(s.ID, "one", "two")
}

// get is what the dyno at addr answers, once it listens.
func (t *runtimeTest) get(h dyno.Handle) string {
	t.Helper()
	for {
		c, err := new(net.Dialer).DialContext(t.ctx, "tcp", h.Addr.String())
		if err == nil {
			defer func() { _ = c.Close() }()
			_ = c.SetDeadline(time.Now().Add(bound))
			_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			answer, _ := io.ReadAll(c)
			_, body, _ := strings.Cut(string(answer), "\r\n\r\n")
			return body
		}
		select {
		case <-t.ctx.Done():
			t.Fatalf("%v never listened: %v", h.Addr, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (t *runtimeTest) listen() {
	s := t.spec(Listen)
	h := t.start(s, nil)
	if got := t.get(h); got != s.Name+"\n" {
		t.Errorf("%v answers %q", h.Addr, got)
	}
	t.signal(s.ID, dyno.SIGTERM)
	t.wantStatus(t.wait(s.ID), 143)
	if c, err := net.DialTimeout("tcp", h.Addr.String(), time.Second); err == nil {
		_ = c.Close()
		t.Error("it listens although it ended")
	}
}

func (t *runtimeTest) samePort() {
	s1, s2 := t.spec(Listen), t.spec(Listen)
	h1, h2 := t.start(s1, nil), t.start(s2, nil)
	if h1.Addr == h2.Addr {
		t.Fatal("two dynos have the address", h1.Addr)
	}
	if a, b := t.get(h1), t.get(h2); a != s1.Name+"\n" || b != s2.Name+"\n" {
		t.Errorf("they answer %q and %q", a, b)
	}
}

func (t *runtimeTest) missingImage() {
	s := t.spec(Forever)
	s.Image = MissingImage
	if _, err := t.rt.Start(t.ctx, s, nil); err == nil {
		t.Fatal("a dyno without an image started")
	}
	t.wantNothingLeft()
}

func (t *runtimeTest) cancelledStart() {
	ctx, cancel := context.WithCancel(t.ctx)
	cancel()
	s := t.spec(Forever)
	if _, err := t.rt.Start(ctx, s, nil); err == nil {
		// A runtime may be too fast to notice; then the dyno runs.
		if err := t.rt.Delete(t.ctx, s.ID); err != nil {
			t.Fatal("Delete:", err)
		}
	}
	t.wantNothingLeft()
}

func (t *runtimeTest) wantNothingLeft() {
	t.Helper()
	t.rt = t.h.Restart(t.T)
	found, err := t.rt.Recover(t.ctx)
	if err != nil || len(found) > 0 {
		t.Errorf("Recover = %d dynos, %v; want none", len(found), err)
	}
}

func (t *runtimeTest) manyAtOnce() {
	const n = 6
	specs := make([]dyno.Spec, n)
	for i := range specs {
		specs[i] = t.spec(fmt.Sprintf("echo %d; exit %d", i, i))
	}
	var wg sync.WaitGroup
	for i, s := range specs {
		wg.Go(func() {
			if _, err := t.rt.Start(t.ctx, s, nil); err != nil {
				t.Errorf("Start: %v", err)
				return
			}
			if e, err := t.rt.Wait(t.ctx, s.ID); err != nil || e.Status != i {
				t.Errorf("Wait = %d, %v, want %d", e.Status, err, i)
			}
			if err := t.rt.Delete(t.ctx, s.ID); err != nil {
				t.Errorf("Delete: %v", err)
			}
		})
	}
	wg.Wait()
	for i, s := range specs {
		t.wantLines(s.ID, strconv.Itoa(i))
	}
	t.wantNothingLeft()
}
