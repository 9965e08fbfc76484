package logplex

import (
	"slices"
	"strings"
	"testing"
	"time"

	"paas/api"
)

func lineOf(text string) api.LogLine {
	return api.LogLine{Time: time.Unix(1, 500).UTC(), Source: "app", Proc: "web.1", Message: text}
}

func TestRecordRoundTrip(t *testing.T) {
	lines := []api.LogLine{
		lineOf(""), {Time: time.Unix(-5, 1).UTC(), Source: "heroku", Proc: "router", Message: "\x00\xff é"},
		lineOf(strings.Repeat("x", api.MaxLogLine)),
	}
	offsets := []offset{{"a", 1 << 40}, {"b", forgotten}}
	b := appendRecord([]byte("before"), offsets, 41, lines)[6:]
	r, _, err := readRecord(append(b, "after"...))
	if err != nil || r.size != len(b) || r.first != 41 || r.count != 3 || !slices.Equal(r.offsets, offsets) {
		t.Fatalf("readRecord = %+v, %v", r, err)
	}
	var got []api.LogLine
	if err := r.each(func(l line) bool {
		if c := l.copy(); c.id != 41+int64(len(got)) {
			t.Errorf("id %d", c.id)
		} else {
			got = append(got, c.LogLine)
		}
		return true
	}); err != nil || !slices.Equal(got, lines) {
		t.Errorf("lines %v, %v", got, err)
	}
	for n := range b {
		if _, short, err := readRecord(b[:n]); err == nil || short <= 0 {
			t.Fatalf("a record cut to %d of %d bytes: %d missing, %v", n, len(b), short, err)
		}
		broken := slices.Clone(b)
		broken[n] ^= 0x40
		if _, _, err := readRecord(broken); err == nil {
			t.Fatalf("a record with byte %d changed is read", n)
		}
	}
}

func FuzzReadRecord(f *testing.F) {
	f.Add(appendRecord(nil, []offset{{"a", 7}}, 3, []api.LogLine{lineOf("x"), lineOf("y")})[recordHeader:])
	f.Add([]byte{})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, payload []byte) {
		// With a right checksum, so that the decoder is what is tested.
		b := append(make([]byte, recordHeader), payload...)
		sealRecord(b)
		r, _, err := readRecord(b)
		if err != nil {
			return
		}
		n := int64(0)
		if err := r.each(func(l line) bool { n++; _ = l.copy(); return true }); err == nil && n != r.count {
			t.Errorf("%d lines of %d", n, r.count)
		}
	})
}

func TestTidy(t *testing.T) {
	now := time.Unix(9, 0)
	long := strings.Repeat("a", api.MaxLogLine)
	got := tidy([]api.LogLine{
		{Time: now, Message: "fine"}, {Message: "no time"}, {Time: now, Message: "two\r\nlines\n"}, {Time: now, Message: long + long + "b"}, {Time: now},
	}, now)
	want := []string{"fine", "no time", "two lines", long, long, "b", ""}
	for i, l := range got {
		if i >= len(want) || l.Message != want[i] || !l.Time.Equal(now) {
			t.Fatalf("line %d is %q at %v", i, l.Message, l.Time)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d lines", len(got))
	}
}
