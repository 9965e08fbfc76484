package dynotest

import (
	"bytes"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"paas/dyno"
)

// recoverRunning: every line comes once, whether printed before, during or
// after the time without a paasd.
func (t *runtimeTest) recoverRunning() {
	s := t.spec("trap 'seq 101 200; echo bye; exit 5' TERM; seq 1 100; echo ready; sleep infinity; sleep infinity")
	h := t.start(s, nil)
	t.waitLine(s.ID, "ready")
	t.rt = t.h.Restart(t.T)
	found, err := t.rt.Recover(t.ctx)
	if err != nil || len(found) != 1 {
		t.Fatalf("Recover = %d dynos, %v; want one", len(found), err)
	}
	r := found[0]
	if r.Handle.Addr != h.Addr || r.Handle.ID != s.ID || !equalSpecs(r.Spec, s) || time.Since(r.Started) > bound {
		t.Errorf("Recover = %+v %v, started %v", r.Spec.Name, r.Handle, r.Started)
	}
	t.signal(s.ID, dyno.SIGTERM)
	t.wantStatus(t.wait(s.ID), 5)
	lines := slices.DeleteFunc(t.sink.Lines(s.ID), func(l string) bool { return strings.Contains(l, "Terminated") }) // bash may say so of its sleep
	var want []string
	for i := range 100 {
		want = append(want, strconv.Itoa(i+1))
	}
	want = append(want, "ready")
	for i := range 100 {
		want = append(want, strconv.Itoa(i+101))
	}
	if want = append(want, "bye"); !slices.Equal(lines, want) {
		t.Errorf("the dyno printed %q", lines)
	}
}

func equalSpecs(a, b dyno.Spec) bool {
	return a.ID == b.ID && a.AppID == b.AppID && a.AppName == b.AppName && a.Name == b.Name && a.Type == b.Type &&
		a.Release == b.Release && a.OneOff == b.OneOff && a.Image == b.Image && a.Command == b.Command &&
		maps.Equal(a.Env, b.Env) && a.Size == b.Size && a.Port == b.Port && a.CreatedAt.Equal(b.CreatedAt) &&
		a.TimeToLive == b.TimeToLive
}

func (t *runtimeTest) recoverEnded() {
	s := t.spec("echo ready; sleep 0.5; echo last; exit 6")
	s.OneOff, s.TimeToLive = true, time.Hour
	t.start(s, nil)
	t.waitLine(s.ID, "ready")
	t.rt = t.h.Restart(t.T)
	time.Sleep(time.Second) // it ends while there is no paasd: nobody could tell
	found, err := t.rt.Recover(t.ctx)
	if err != nil || len(found) != 1 || !equalSpecs(found[0].Spec, s) {
		t.Fatalf("Recover = %d dynos, %v; want one", len(found), err)
	}
	t.wantStatus(t.wait(s.ID), 6)
	t.wantLines(s.ID, "ready", "last")
}

func (t *runtimeTest) recoverNothing() {
	s, _ := t.run("exit 0")
	if err := t.rt.Delete(t.ctx, s.ID); err != nil {
		t.Fatal("Delete:", err)
	}
	t.wantNothingLeft()
}

func (t *runtimeTest) attachedPipes() {
	var out, errs bytes.Buffer
	s := t.spec("cat; echo oops >&2; exit 7")
	t.start(s, &dyno.Streams{Stdin: strings.NewReader("one\ntwo"), Stdout: &out, Stderr: &errs})
	t.wantStatus(t.wait(s.ID), 7)
	if out.String() != "one\ntwo" || errs.String() != "oops\n" {
		t.Errorf("stdout %q, stderr %q", out.String(), errs.String())
	}
	t.wantLines(s.ID)
}

func (t *runtimeTest) attachedTerminal() {
	sizes := make(chan dyno.WindowSize, 1)
	sizes <- dyno.WindowSize{Rows: 33, Cols: 101}
	out := newTranscript()
	stdin, keyboard := io.Pipe()
	s := t.spec("stty size; read x; stty size; exit 8")
	t.start(s, &dyno.Streams{Stdin: stdin, Stdout: out, TTY: true, Resize: sizes})
	if !out.waitFor(t.ctx, "33 101") {
		t.Fatalf("the terminal shows %q", out)
	}
	sizes <- dyno.WindowSize{Rows: 44, Cols: 99}
	sizes <- dyno.WindowSize{Rows: 44, Cols: 99} // taken: the first one is in effect, or about to be
	time.Sleep(50 * time.Millisecond)
	if _, err := io.WriteString(keyboard, "x\n"); err != nil {
		t.Fatal(err)
	}
	t.wantStatus(t.wait(s.ID), 8)
	if !out.waitFor(t.ctx, "44 99") {
		t.Errorf("the terminal shows %q", out)
	}
	_ = keyboard.Close()
}

func (t *runtimeTest) attachedRecover() {
	out := newTranscript()
	stdin, keyboard := io.Pipe()
	defer func() { _ = keyboard.Close() }()
	s := t.spec("echo ready; cat")
	t.start(s, &dyno.Streams{Stdin: stdin, Stdout: out})
	if !out.waitFor(t.ctx, "ready") {
		t.Fatal("it did not start")
	}
	t.wantNothingLeft()
}
