package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
)

// demux reads what a client would: the report and the progress.
func demux(t *testing.T, stream io.Reader) (report, progress string) {
	t.Helper()
	var text bytes.Buffer
	d := sideband.NewDemuxer(sideband.Sideband64k, stream)
	d.Progress = &text
	b, err := io.ReadAll(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), text.String()
}

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out, true, time.Hour, time.Minute)
	long := strings.Repeat("0123456789", 20_000) // more than one packet
	fmt.Fprint(p, "one\n", long, "\n")
	if err := p.finish([]byte("report")); err != nil {
		t.Fatal(err)
	}
	if n, err := p.Write([]byte("late")); n != 4 || err != nil {
		t.Errorf("late write: %d, %v", n, err)
	}
	report, text := demux(t, &out)
	if report != "report" || text != "one\n"+long+"\n" {
		t.Errorf("report %q, %d bytes of text", report, len(text))
	}
}

func TestProgressWithoutSideBand(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out, false, time.Millisecond, time.Minute)
	fmt.Fprint(p, "lost")
	if err := p.finish([]byte("report")); err != nil || out.String() != "report" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

func TestQuietClientGetsSignsOfLife(t *testing.T) {
	r, w := io.Pipe()
	p := newProgress(w, true, time.Millisecond, time.Minute)
	p.waiting()
	b := make([]byte, 15)
	if _, err := io.ReadFull(r, b); err != nil || string(b) != strings.Repeat("0005\x02", 3) {
		t.Errorf("%q, %v", b, err)
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	if err := p.finish(nil); err != nil {
		t.Error(err)
	}
}

// gate lets writes through only when it is open.
type gate struct {
	open chan struct{}
	mu   sync.Mutex
	buf  bytes.Buffer
}

func (g *gate) Write(b []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.buf.Write(b)
}

func TestStalledClientDoesNotStallTheBuild(t *testing.T) {
	g := &gate{open: make(chan struct{})}
	p := newProgress(g, true, time.Hour, 50*time.Millisecond)
	line := []byte(strings.Repeat("x", 999) + "\n")
	begun := time.Now()
	for range 5000 { // five times what is buffered
		if n, err := p.Write(line); n != len(line) || err != nil {
			t.Fatalf("write: %d, %v", n, err)
		}
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the writer waited %v", took)
	}
	close(g.open)
	for deadline := time.Now().Add(10 * time.Second); ; { // until the buffer has been taken
		p.mu.Lock()
		empty := len(p.buf) == 0
		p.mu.Unlock()
		if empty || time.Now().After(deadline) {
			break
		}
		<-p.room
	}
	fmt.Fprint(p, "the end\n")
	p.stall = time.Minute
	if err := p.finish(nil); err != nil {
		t.Fatal(err)
	}
	_, text := demux(t, &g.buf)
	kept := strings.Count(text, string(line[:999]))
	var dropped int
	at := strings.Index(text, "\n !     ")
	if at < 0 {
		t.Fatalf("the drop is not told; %d lines kept", kept)
	}
	if _, err := fmt.Sscanf(text[at:], "\n !     %d bytes", &dropped); err != nil {
		t.Fatal(err)
	}
	if written := len(text) - (strings.Index(text, "the end") - at) - len("the end\n"); written+dropped != 5000*1000 {
		t.Errorf("%d bytes kept and %d dropped do not make 5000000", written, dropped)
	}
	if !strings.HasSuffix(text, "the end\n") {
		t.Errorf("ends with %q", text[max(0, len(text)-80):])
	}
}

func TestFinishGivesUpAStalledClient(t *testing.T) {
	g := &gate{open: make(chan struct{})}
	defer close(g.open)
	p := newProgress(g, true, time.Hour, 10*time.Millisecond)
	fmt.Fprint(p, "text")
	if err := p.finish([]byte("report")); err != errStalled {
		t.Errorf("finish: %v", err)
	}
}

type broken struct{ err error }

func (b broken) Write([]byte) (int, error) { return 0, b.err }

func TestLostClient(t *testing.T) {
	lost := errors.New("lost")
	p := newProgress(broken{lost}, true, time.Hour, time.Hour)
	for range 3000 {
		if n, err := p.Write(make([]byte, 1000)); n != 1000 || err != nil {
			t.Fatalf("write: %d, %v", n, err)
		}
	}
	if err := p.finish(nil); err != lost {
		t.Errorf("finish: %v", err)
	}
}
