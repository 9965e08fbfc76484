package logplex

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"paas/api"
)

const app = "11111111-1111-4111-8111-111111111111"

func open(t rapid.TB, o Options) *Hub {
	t.Helper()
	if o.Rate == 0 {
		o.Rate = 1e9
	}
	h, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := t.(interface{ Cleanup(func()) }); ok {
		c.Cleanup(func() { _ = h.Close() })
	}
	return h
}

// small segments, so that tests see several.
func small(dir string) Options { return Options{Dir: dir, SegmentSize: 2 << 10, Segments: 3} }

func numbered(first, n int) []api.LogLine {
	lines := make([]api.LogLine, n)
	for i := range lines {
		lines[i] = lineOf(strconv.Itoa(first + i))
	}
	return lines
}

// read returns the texts of what a filter finds, "id:text" each.
func read(t rapid.TB, h *Hub, f Filter) []string {
	t.Helper()
	s, err := h.Tail(context.Background(), app, f, false)
	if err != nil {
		t.Fatalf("Tail: %v", err)
	}
	defer func() { _ = s.Close() }()
	var all []string
	for {
		id, l, err := s.Next(context.Background())
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatalf("Next: %v", err)
		}
		all = append(all, fmt.Sprintf("%d:%s", id, l.Message))
	}
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
}

func TestReadBack(t *testing.T) {
	dir := t.TempDir()
	h := open(t, Options{Dir: dir})
	want(t, read(t, h, Filter{Lines: 10}))
	h.Write(app, api.LogLine{Time: time.Now(), Source: "heroku", Proc: "web.1", Message: "a"})
	if err := h.Append(app, "d1", 10, []api.LogLine{lineOf("b"), lineOf("c")}); err != nil {
		t.Fatal(err)
	}
	want(t, read(t, h, Filter{Lines: 10}), "1:a", "2:b", "3:c")
	want(t, read(t, h, Filter{Lines: 2}), "2:b", "3:c")
	want(t, read(t, h, Filter{}))
	want(t, read(t, h, Filter{After: 1}), "2:b", "3:c")
	want(t, read(t, h, Filter{After: 3}))
	want(t, read(t, h, Filter{After: 99}))
	h = open(t, Options{Dir: dir}) // as after kill -9
	h.Write(app, lineOf("d"))
	want(t, read(t, h, Filter{Lines: 10}), "1:a", "2:b", "3:c", "4:d")
	if at, err := h.Offset(app, "d1"); err != nil || at != 10 {
		t.Errorf("Offset = %d, %v", at, err)
	}
}

func TestFilter(t *testing.T) {
	h := open(t, small(t.TempDir()))
	for i := range 300 {
		l := lineOf(strconv.Itoa(i + 1))
		l.Source = []string{"app", "heroku"}[i%2]
		l.Proc = []string{"web.1", "web.2", "webby.1", "router", "worker.1", "web.10"}[i%6]
		h.Write(app, l)
	}
	for _, c := range []struct {
		f    Filter
		mod  []int
		last int
	}{
		{Filter{Lines: 5, Dyno: "web"}, []int{1, 2, 0}, 300},
		{Filter{Lines: 4, Dyno: "web.1"}, []int{1}, 295},
		{Filter{Lines: 4, Dyno: "router"}, []int{4}, 298},
		{Filter{Lines: 3, Dyno: "web", Source: "heroku"}, []int{2, 0}, 300},
		{Filter{Lines: 3, Dyno: "web", Source: "nobody"}, nil, 0},
	} {
		var expect []string
		for i := c.last; i > 0 && len(expect) < c.f.Lines && c.mod != nil; i-- {
			if slices.Contains(c.mod, i%6) {
				expect = append([]string{fmt.Sprintf("%d:%d", i, i)}, expect...)
			}
		}
		want(t, read(t, h, c.f), expect...)
	}
}

func TestBudget(t *testing.T) {
	dir := t.TempDir()
	h := open(t, small(dir))
	for i := range 200 {
		if err := h.Append(app, "d1", int64(i+1), numbered(i*10+1, 10)); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, app, "*"))
	if err != nil || len(files) != 3 {
		t.Errorf("%d segments, %v", len(files), err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Size() > 3<<10 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, info, err)
		}
	}
	// Lines over several segments, and one more than there are.
	all := read(t, h, Filter{Lines: 1 << 20})
	if n := len(all); n < 100 || all[n-1] != "2000:2000" {
		t.Fatalf("%d lines", n)
	}
	want(t, read(t, h, Filter{Lines: len(all) - 3}), all[3:]...)
	// Offsets outlive the segments in which they were written.
	h.Write(app, numbered(1, 1000)...)
	h.Write(app, numbered(1, 1000)...)
	h.Write(app, numbered(1, 1000)...)
	h.Write(app, numbered(1, 1000)...)
	if at, err := open(t, small(dir)).Offset(app, "d1"); err != nil || at != 200 {
		t.Errorf("Offset = %d, %v", at, err)
	}
}

func TestOffsets(t *testing.T) {
	dir := t.TempDir()
	h := open(t, Options{Dir: dir})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(h.Append(app, "d1", 5, numbered(1, 2)))
	must(h.Append(app, "d1", 5, numbered(1, 2))) // again: known
	must(h.Append(app, "d1", 4, numbered(1, 2)))
	must(h.Append(app, "d2", 1, nil))
	must(h.Append(app, "d1", 6, numbered(3, 1)))
	want(t, read(t, h, Filter{Lines: 9}), "1:1", "2:2", "3:3")
	must(h.Forget(app, "d1"))
	must(h.Forget(app, "d1"))
	h = open(t, Options{Dir: dir})
	for dyno, want := range map[string]int64{"d1": 0, "d2": 1, "d3": 0} {
		if at, err := h.Offset(app, dyno); err != nil || at != want {
			t.Errorf("Offset of %s = %d, %v, want %d", dyno, at, err, want)
		}
	}
}

// TestTornTail cuts a stream at every byte of its end.
func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	h := open(t, Options{Dir: dir})
	var ends []int64 // of records; a cut there cannot be told from none
	for i := range 3 {
		if err := h.Append(app, "d1", int64(i+1), numbered(i*2+1, 2)); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, h.streams[app].newest().size)
	}
	path := segmentPath(filepath.Join(dir, app), 1)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		h := open(t, Options{Dir: dir})
		at, err := h.Offset(app, "d1")
		if err != nil {
			t.Fatal(err)
		}
		got := read(t, h, Filter{Lines: 9})
		if len(got) != int(at)*2 || at == 3 {
			t.Fatalf("cut to %d bytes: offset %d, lines %q", n, at, got)
		}
		// It goes on, and a new line never has an id that was in use.
		h.Write(app, lineOf("new"))
		got = read(t, open(t, Options{Dir: dir}), Filter{Lines: 9})
		id, _, _ := strings.Cut(got[len(got)-1], ":")
		if k, _ := strconv.Atoi(id); len(got) != int(at)*2+1 || k > 1 && k <= 6 && !slices.Contains(ends, int64(n)) {
			t.Fatalf("cut to %d bytes, then a line: %q", n, got)
		}
		if err := os.RemoveAll(filepath.Join(dir, app)); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(dir, app), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNothingIsLostOrDoubled kills paasd at any point of any write. Dynos are
// modelled as what they have printed; after a kill they are read again from the
// stored offset.
func TestNothingIsLostOrDoubled(t *testing.T) {
	root := t.TempDir()
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		o := Options{Dir: filepath.Join(root, strconv.Itoa(run)), SegmentSize: 400, Segments: 1000}
		h := open(t, o)
		printed, taken := map[string]int{}, map[string]int{}
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			d := rapid.SampledFrom([]string{"d1", "d2"}).Draw(t, "dyno")
			n := rapid.IntRange(1, 8).Draw(t, "lines")
			printed[d] = max(printed[d], taken[d]+n)
			var lines []api.LogLine
			for i := taken[d] + 1; i <= printed[d]; i++ {
				lines = append(lines, lineOf(fmt.Sprint(d, " ", i)))
			}
			if err := h.Append(app, d, int64(printed[d]), lines); err != nil {
				t.Fatal(err)
			}
			taken[d] = printed[d]
			if rapid.IntRange(0, 2).Draw(t, "kill") > 0 {
				continue
			}
			// The kill came in the middle of that write.
			files, err := filepath.Glob(filepath.Join(o.Dir, app, "*"))
			if err != nil {
				t.Fatal(err)
			}
			newest := files[len(files)-1]
			info, err := os.Stat(newest)
			if err != nil {
				t.Fatal(err)
			}
			cut := rapid.Int64Range(0, min(info.Size(), 60)).Draw(t, "cut")
			if err := os.Truncate(newest, info.Size()-cut); err != nil {
				t.Fatal(err)
			}
			h = open(t, o)
			for d := range taken {
				at, err := h.Offset(app, d)
				if err != nil {
					t.Fatal(err)
				}
				taken[d] = int(at)
			}
		}
		for d := range printed {
			if taken[d] == printed[d] {
				continue
			}
			var rest []api.LogLine
			for i := taken[d] + 1; i <= printed[d]; i++ {
				rest = append(rest, lineOf(fmt.Sprint(d, " ", i)))
			}
			if err := h.Append(app, d, int64(printed[d]), rest); err != nil {
				t.Fatal(err)
			}
		}
		seen, lastID := map[string]int{}, -1
		for _, l := range read(t, h, Filter{Lines: 1 << 20}) {
			var id, i int
			var d string
			if _, err := fmt.Sscanf(l, "%d:%s %d", &id, &d, &i); err != nil || id <= lastID || i != seen[d]+1 {
				t.Fatalf("line %q after %d of %s", l, seen[d], d)
			}
			seen[d], lastID = i, id
		}
		for d, n := range printed {
			if seen[d] != n {
				t.Fatalf("%d of %d lines of %s", seen[d], n, d)
			}
		}
	})
}

// TestTailHasNoGap reads while it is written, over many segments.
func TestTailHasNoGap(t *testing.T) {
	h := open(t, Options{Dir: t.TempDir(), SegmentSize: 32 << 10, Segments: 1000})
	const total = 20000
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for reader := range 4 {
		wg.Go(func() {
			<-begin
			s, err := h.Tail(ctx, app, Filter{Lines: reader * 100, Dyno: []string{"", "web.1"}[reader%2]}, true)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = s.Close() }()
			last := int64(0)
			for last < total {
				lines, err := s.batch(ctx)
				if err != nil || len(lines) == 0 {
					t.Errorf("Next = %d lines, %v", len(lines), err)
					return
				}
				for _, l := range lines {
					if last != 0 && l.id != last+1 || l.Message != strconv.FormatInt(l.id, 10) {
						t.Errorf("line %d %q after %d", l.id, l.Message, last)
						return
					}
					last = l.id
				}
			}
		})
	}
	for i := 0; i < total; i += 20 {
		h.Write(app, numbered(i+1, 20)...)
		if i == total/4 {
			close(begin)
		}
	}
	wg.Wait()
}

func TestSlowSessionIsTold(t *testing.T) {
	h := open(t, small(t.TempDir()))
	h.Write(app, numbered(1, 2)...)
	s, err := h.Tail(t.Context(), app, Filter{Lines: 1}, true)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	next := func() []entry {
		t.Helper()
		lines, err := s.batch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return lines
	}
	if l := next(); len(l) != 1 || l[0].Message != "2" {
		t.Fatalf("Next = %v", l)
	}
	const total = 5000
	for i := 2; i < total; i++ {
		h.Write(app, numbered(i+1, 1)...)
	}
	// What is left in the segment whose file it has comes first.
	last, told := int64(2), false
	for last < total {
		for _, l := range next() {
			var n int64
			if _, err := fmt.Sscanf(l.Message, "Error L11 (Tail buffer overflow): %d messages dropped since ", &n); err == nil {
				if l.id != last+n || l.Source != "heroku" || l.Proc != "logplex" || told {
					t.Errorf("after %d: %+v", last, l)
				}
				told = true
			} else if l.id != last+1 {
				t.Fatalf("line %d after %d", l.id, last)
			}
			last = l.id
		}
	}
	if !told {
		t.Error("the session was not told of its drops")
	}
	// So is one that resumes too late.
	got := read(t, h, Filter{After: 7})
	if len(got) < 2 || !strings.Contains(got[0], "Error L11") {
		t.Errorf("resumed with %q", got[:min(2, len(got))])
	}
}

func TestFloodIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, Options{Dir: t.TempDir(), Segments: 100, Rate: 5000})
		offset := int64(0)
		for range 100 { // 10 seconds of 50,000 lines a second
			offset += 5000
			if err := h.Append(app, "d1", offset, numbered(1, 5000)); err != nil {
				t.Fatal(err)
			}
			// The platform's own lines have a bucket of their own.
			h.Write(app, api.LogLine{Time: time.Now(), Source: "heroku", Proc: "web.1", Message: "event"})
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		stored, events, dropped := 0, 0, 0
		for _, l := range read(t, h, Filter{Lines: 1 << 30}) {
			_, text, _ := strings.Cut(l, ":")
			var n int
			if _, err := fmt.Sscanf(text, "Error L12 (Local buffer overflow): %d messages dropped since ", &n); err == nil {
				dropped += n
			} else if text == "event" {
				events++
			} else {
				stored++
			}
		}
		if stored+dropped != 500_000 || stored < 60_000 || stored > 75_000 || events != 100 {
			t.Errorf("%d lines stored, %d counted as dropped, %d events", stored, dropped, events)
		}
		if at, err := h.Offset(app, "d1"); err != nil || at != offset {
			t.Errorf("Offset = %d, %v", at, err)
		}
		// Long lines cost more.
		time.Sleep(10 * time.Second)
		long := lineOf(strings.Repeat("x", api.MaxLogLine))
		before := h.streams[app].c.next
		h.Write(app, slices.Repeat([]api.LogLine{long}, 10000)...)
		if n := h.streams[app].c.next - before; n != 1000 {
			t.Errorf("%d lines of 10,000 bytes pass at once", n)
		}
	})
}

func TestIdleStreamsArePutAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, Options{Dir: t.TempDir()})
		for range 2 {
			for n := range 100 {
				h.Write(fmt.Sprint("app-", n), lineOf("x"))
			}
			h.Write(app, lineOf("y"))
			s, err := h.Tail(t.Context(), app, Filter{}, true)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(idleAfter + 2*time.Second)
			synctest.Wait()
			h.mu.Lock()
			if n := len(h.streams); n != 1 {
				t.Errorf("%d streams in memory, want the one that is read", n)
			}
			h.mu.Unlock()
			_ = s.Close()
		}
		want(t, read(t, h, Filter{Lines: 9}), "1:y", "2:y")
	})
}

func TestDelete(t *testing.T) {
	dir := t.TempDir()
	h := open(t, Options{Dir: dir})
	h.Write(app, lineOf("x"))
	s, err := h.Tail(t.Context(), app, Filter{Lines: 1}, true)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, _, err := s.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { _, _, err := s.Next(t.Context()); ended <- err }()
	if err := h.Delete(app); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != io.EOF {
		t.Errorf("the session ended with %v", err)
	}
	h.Write(app, lineOf("late"))
	if err := h.Append(app, "d1", 1, numbered(1, 1)); err != nil {
		t.Error(err)
	}
	if _, err := h.Tail(t.Context(), app, Filter{}, false); api.IDOf(err) != api.NotFound {
		t.Error("Tail of a deleted app:", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := h.Delete(app); err != nil {
		t.Error("Delete again:", err)
	}
}

func TestNextEndsWithItsContext(t *testing.T) {
	h := open(t, Options{Dir: t.TempDir()})
	s, err := h.Tail(t.Context(), app, Filter{}, true)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { _, _, err := s.Next(ctx); ended <- err }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Next = %v", err)
	}
	if left, err := os.ReadDir(h.o.Dir); err != nil || len(left) > 0 {
		t.Errorf("reading alone made %v, %v", left, err)
	}
}

func TestOddAppIDs(t *testing.T) {
	h := open(t, Options{Dir: t.TempDir()})
	for _, id := range []string{"", ".", "..", "a/b", "../x", `a\b`} {
		if err := h.Append(id, "d", 1, nil); err == nil {
			t.Errorf("app id %q is accepted", id)
		}
	}
}

// TestDiskThatCannotBeWritten: dynos' lines stay where they are, the
// platform's are counted.
func TestDiskThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	h := open(t, Options{Dir: dir})
	path := filepath.Join(dir, app)
	h.Write(app, lineOf("one"))
	h.streams[app].mu.Lock()
	h.streams[app].close()
	h.streams[app].mu.Unlock()
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	h.Write(app, numbered(1, 3)...)
	if err := h.Append(app, "d1", 7, numbered(1, 1)); err == nil {
		t.Error("Append has no error")
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	if err := h.Append(app, "d1", 7, numbered(8, 1)); err != nil {
		t.Fatal(err)
	}
	h.tend(time.Now().Add(2 * tellAfter))
	got := read(t, h, Filter{Lines: 9})
	want(t, got[:2], "1:one", "2:8")
	h.streams[app].mu.Lock()
	n := h.streams[app].dropped.n
	h.streams[app].mu.Unlock()
	if len(got) != 2 && !strings.Contains(got[2], ": 3 messages dropped") || len(got) == 2 && n != 3 {
		t.Errorf("read %q, %d drops to be told", got, n)
	}
}

func TestDamageInTheMiddle(t *testing.T) {
	dir := t.TempDir()
	h := open(t, small(dir))
	for i := range 150 {
		h.Write(app, lineOf(strconv.Itoa(i+1)))
	}
	oldest := h.streams[app].c.segments[0]
	path := segmentPath(filepath.Join(dir, app), oldest.seq)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	got := read(t, open(t, small(dir)), Filter{Lines: 1 << 20})
	if n := len(got); n < 50 || n >= 150 || got[n-1] != "150:150" {
		t.Errorf("%d lines, the last %q", n, got[len(got)-1:])
	}
}

func BenchmarkWrite(b *testing.B) {
	h := open(b, Options{Dir: b.TempDir()})
	l := lineOf(strings.Repeat("x", 150))
	b.ReportAllocs()
	for b.Loop() {
		h.Write(app, l)
	}
}

func BenchmarkAppend100(b *testing.B) {
	h := open(b, Options{Dir: b.TempDir()})
	lines := slices.Repeat([]api.LogLine{lineOf(strings.Repeat("x", 150))}, 100)
	b.ReportAllocs()
	at := int64(0)
	for b.Loop() {
		at++
		if err := h.Append(app, "d1", at, lines); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTail1500OfFullStream(b *testing.B) {
	h := open(b, Options{Dir: b.TempDir()})
	for range 400 {
		h.Write(app, slices.Repeat([]api.LogLine{lineOf(strings.Repeat("x", 150))}, 100)...)
	}
	b.ReportAllocs()
	for b.Loop() {
		if n := len(read(b, h, Filter{Lines: 1500})); n != 1500 {
			b.Fatal(n)
		}
	}
}
