package containerd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"paas/api"
	"paas/dyno"
	"paas/dyno/dynotest"
)

// memorySink is a LogSink that can fail.
type memorySink struct {
	mu     sync.Mutex
	off    int64
	lines  []api.LogLine
	fail   int
	stored chan struct{}
}

func (s *memorySink) Append(_, _ string, off int64, lines []api.LogLine) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail > 0 {
		s.fail--
		return errors.New("the disk is full")
	}
	s.off = off
	s.lines = append(s.lines, lines...)
	select {
	case s.stored <- struct{}{}:
	default:
	}
	return nil
}

func (s *memorySink) Offset(_, _ string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.off, nil
}

func (s *memorySink) Forget(_, _ string) error { return nil }

func (s *memorySink) text() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, l := range s.lines {
		out = append(out, l.Message)
	}
	return out
}

// readAll runs a tail over what is in the file to its end.
func readAll(t *testing.T, file string, sink dyno.LogSink) {
	t.Helper()
	tail, err := openTail(file, dyno.Spec{ID: "x", AppID: "a", Name: "web.1"}, sink, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	final := make(chan struct{})
	close(final)
	if err := tail.run(t.Context(), final); err != nil {
		t.Fatal(err)
	}
}

func TestTailCutsLines(t *testing.T) {
	long := strings.Repeat("ü", api.MaxLogLine) // two bytes each
	tests := []struct {
		name, text string
		want       []string
	}{
		{"nothing", "", nil},
		{"lines", "a\nb\n", []string{"a", "b"}},
		{"empty lines", "\n\na\n", []string{"", "", "a"}},
		{"no newline at the end", "a\nb", []string{"a", "b"}},
		{"windows", "a\r\nb\r\n", []string{"a", "b"}},
		{"longest", strings.Repeat("x", api.MaxLogLine) + "\ny\n", []string{strings.Repeat("x", api.MaxLogLine), "y"}},
		{"too long", strings.Repeat("x", api.MaxLogLine+1) + "\ny\n", []string{strings.Repeat("x", api.MaxLogLine), "x", "y"}},
		{"not within a character", "x" + long + "\n", []string{"x" + long[:api.MaxLogLine-2], long[api.MaxLogLine-2 : 2*api.MaxLogLine-2], long[2*api.MaxLogLine-2:]}},
		{"longer than the buffer", strings.Repeat("z", tailBuffer+5) + "\nend\n", append(split10k(strings.Repeat("z", tailBuffer+5)), "end")},
		{"binary", "a\x00b\xff\n", []string{"a\x00b\xff"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "out")
			write(t, file, test.text)
			sink := &memorySink{}
			readAll(t, file, sink)
			if got := sink.text(); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", test.want) {
				t.Errorf("got %.200q, want %.200q", got, test.want)
			}
			if sink.off != int64(len(test.text)) {
				t.Errorf("offset %d, want %d", sink.off, len(test.text))
			}
		})
	}
}

func split10k(s string) (parts []string) {
	for len(s) > api.MaxLogLine {
		parts, s = append(parts, s[:api.MaxLogLine]), s[api.MaxLogLine:]
	}
	return append(parts, s)
}

// However often paasd is restarted, and whatever the sink refuses, every line
// comes once and in order.
func TestTailOverRestarts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "out")
	sink := &memorySink{fail: 2, stored: make(chan struct{}, 1)}
	const n = 40000
	done := make(chan struct{})
	go func() {
		defer close(done)
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		for i := range n {
			fmt.Fprintf(f, "line %d of the output of a dyno that prints some\n", i)
		}
	}()
	for ended := false; !ended; {
		select {
		case <-done:
			ended = true
		default:
		}
		tail, err := openTail(file, dyno.Spec{ID: "x", AppID: "a", Name: "web.1"}, sink, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		tail.backlog = 1 << 40 // not a flood
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan error)
		go func() { stopped <- tail.run(ctx, nil) }()
		tail.wake()
		select {
		case <-sink.stored:
		case <-time.After(10 * time.Millisecond):
		}
		cancel()
		if err := <-stopped; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	readAll(t, file, sink)
	lines := sink.text()
	if len(lines) != n {
		t.Fatalf("%d lines, want %d", len(lines), n)
	}
	for i, l := range lines {
		if l != fmt.Sprintf("line %d of the output of a dyno that prints some", i) {
			t.Fatalf("line %d is %q", i, l)
		}
	}
	if used := blocks(t, file); used > 128<<10 {
		t.Errorf("%d bytes of disk are in use after all was read", used)
	}
}

func blocks(t *testing.T, file string) int64 {
	t.Helper()
	st, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return st.Sys().(*syscall.Stat_t).Blocks * 512
}

// Reading may have run, and punched, ahead of what was stored.
func TestTailSkipsHoles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "out")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("rest\nnext\n"), 1<<20); err != nil {
		t.Fatal(err)
	}
	sink := &memorySink{off: 100}
	readAll(t, file, sink)
	got := sink.text()
	if len(got) != 3 || !strings.HasPrefix(got[0], "Error L10") && !strings.HasPrefix(got[2], "Error L10") || strings.Contains(strings.Join(got, ""), "\x00") {
		t.Errorf("got %q", got)
	}
}

// What cannot be read fast enough is skipped to the beginning of a line.
func TestTailSkipsAhead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "out")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sink := &memorySink{}
	tail, err := openTail(file, dyno.Spec{ID: "x", AppID: "a", Name: "web.1"}, sink, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("first\n"); err != nil {
		t.Fatal(err)
	}
	line := strings.Repeat("x", 999) + "\n"
	for range 2 * maxLag / len(line) {
		if _, err := f.WriteString(line); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.WriteString("last\n"); err != nil {
		t.Fatal(err)
	}
	final := make(chan struct{})
	close(final)
	if err := tail.run(t.Context(), final); err != nil {
		t.Fatal(err)
	}
	got := sink.text()
	if got[0] != "first" || !slices.ContainsFunc(got, func(l string) bool { return strings.Contains(l, " bytes dropped since ") }) {
		t.Errorf("begins with %.50q, and nothing tells of the bytes", got[0])
	}
	for _, l := range got[1:] {
		if l+"\n" != line && l != "last" && !strings.HasPrefix(l, "Error L10") {
			t.Fatalf("torn line %.50q", l)
		}
	}
	if st, err := f.Stat(); err != nil || sink.off != st.Size() {
		t.Errorf("read to %d of %d (%v)", sink.off, st.Size(), err)
	}
	if used := blocks(t, file); used > 1<<20 {
		t.Errorf("%d bytes of disk are in use", used)
	}
}

func TestFloodLimit(t *testing.T) {
	f := newFlood()
	now := time.Now()
	var passed int64
	for range 10_000_000 / 10 {
		if f.admit(now, 1000) {
			passed++
		}
	}
	if want := int64(floodBurst / (1000 + lineCost)); passed > want || passed < want/2 {
		t.Errorf("%d lines passed at once, want about %d", passed, want)
	}
	if text, due := f.notice(now, false); due {
		t.Errorf("told too early: %s", text)
	}
	wait, pending := f.pending(now)
	if !pending || wait != floodPause {
		t.Errorf("pending = %v, %v", wait, pending)
	}
	later := now.Add(floodPause)
	text, due := f.notice(later, false)
	if want := fmt.Sprintf("%d lines dropped", 1_000_000-passed); !due || !strings.Contains(text, want) {
		t.Errorf("notice %q, want %q", text, want)
	}
	if !f.admit(later, 1000) {
		t.Error("nothing passes after the pause")
	}
	if _, due := f.notice(later, true); due {
		t.Error("told twice")
	}
}

// A dyno that floods is limited; every line is either there or counted, and
// the file stays small.
func TestFloodingDyno(t *testing.T) {
	h := newHost(t, dynotest.NewSink())
	const total120 = 5_000_000 * 120
	s := newSpec("echo ready; yes " + strings.Repeat("flood ", 20) + " | head -c " + fmt.Sprint(total120) + "; sleep 2; echo over; sleep infinity")
	h.begin(s)
	h.line(s.ID, "ready")
	var most int64
	for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		most = max(most, blocks(t, filepath.Join(h.o.dynoDir(s.ID), "output")))
	}
	if !h.sink().WaitFor(h.ctx(), s.ID, "over") {
		t.Fatal("its last line does not come")
	}
	h.kill(s.ID, dyno.SIGKILL)
	h.end(s.ID)
	notice := regexp.MustCompile(`^Error L10 \(output buffer overflow\): (\d+) lines(?: and (\d+) bytes)? dropped since `)
	var kept, dropped, skipped int64
	for _, r := range h.sink().Records(s.ID) {
		if r.Source != api.SourcePlatform {
			kept++
			continue
		}
		m := notice.FindStringSubmatch(r.Message)
		if m == nil {
			t.Fatalf("notice %q", r.Message)
		}
		lines, _ := strconv.ParseInt(m[1], 10, 64)
		bytes, _ := strconv.ParseInt("0"+m[2], 10, 64)
		dropped += lines
		skipped += bytes
	}
	t.Logf("%d lines kept, %d dropped, %d bytes not read, at most %d kB on disk", kept, dropped, skipped, most>>10)
	const size = 120
	if total := (kept-2+dropped)*size + skipped; total < total120-size || total > total120+size {
		t.Errorf("%d bytes are accounted for, want %d", total, total120)
	}
	if dropped == 0 || kept > 200_000 {
		t.Errorf("%d lines kept, %d dropped", kept, dropped)
	}
	if most > 4*maxLag { // it is polled for, on a machine that may be busy
		t.Errorf("its output took %d MB of disk", most>>20)
	}
}
