package router

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"paas/api"
)

func TestRecordFormat(t *testing.T) {
	base := record{
		method: "GET", path: "/x?y=1", host: "www.example.com", id: "1895f0e1-5da3-4556-9fbb-f046d1a73561", fwd: "203.0.113.7",
		dyno: "web.1", connect: 0, service: 12 * time.Millisecond, status: 200, bytes: 1536, protocol: "https",
	}
	with := func(change func(*record)) record {
		r := base
		change(&r)
		return r
	}
	for _, tt := range []struct {
		name string
		r    record
		want string
	}{
		{"normal", base,
			`at=info method=GET path="/x?y=1" host=www.example.com request_id=1895f0e1-5da3-4556-9fbb-f046d1a73561 fwd="203.0.113.7" dyno=web.1 connect=0ms service=12ms status=200 bytes=1536 protocol=https`},
		{"error", with(func(r *record) {
			r.code, r.status, r.bytes, r.service, r.connect = h12, 503, 0, 30*time.Second, 1900*time.Microsecond
		}),
			`at=error code=H12 desc="Request timeout" method=GET path="/x?y=1" host=www.example.com request_id=1895f0e1-5da3-4556-9fbb-f046d1a73561 fwd="203.0.113.7" dyno=web.1 connect=1ms service=30000ms status=503 bytes=0 protocol=https`},
		{"without a dyno", with(func(r *record) {
			r.code, r.status, r.bytes, r.service, r.connect, r.dyno = h14, 503, -1, -1, -1, ""
		}),
			`at=error code=H14 desc="No web processes running" method=GET path="/x?y=1" host=www.example.com request_id=1895f0e1-5da3-4556-9fbb-f046d1a73561 fwd="203.0.113.7" dyno= connect= service= status=503 bytes= protocol=https`},
		{"client left", with(func(r *record) { r.code, r.status, r.bytes = h27, 499, -1 }),
			`sock=client at=warning code=H27 desc="Client Request Interrupted" method=GET path="/x?y=1" host=www.example.com request_id=1895f0e1-5da3-4556-9fbb-f046d1a73561 fwd="203.0.113.7" dyno=web.1 connect=0ms service=12ms status=499 bytes= protocol=https`},
		{"quoting", with(func(r *record) {
			r.path, r.host, r.fwd = "/\"\\\xff\x1b\u0085é", "a=b.example.com", "x\"\n,1.2.3.4"
		}),
			`at=info method=GET path="/\"\\\xff\x1b\xc2\x85é" host="a=b.example.com" request_id=1895f0e1-5da3-4556-9fbb-f046d1a73561 fwd="x\"\x0a,1.2.3.4" dyno=web.1 connect=0ms service=12ms status=200 bytes=1536 protocol=https`},
	} {
		if got := string(tt.r.appendTo(nil)); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func TestRecordLength(t *testing.T) {
	r := record{
		code: h18, method: strings.Repeat("M", 9000), path: strings.Repeat("\xff", 9000), host: strings.Repeat("\xff", maxHost),
		id: strings.Repeat("a", 200), fwd: strings.Repeat("\"", 70000), dyno: "web.1234", connect: time.Hour, service: time.Hour, bytes: 1 << 60, protocol: "https",
	}
	if n := len(r.appendTo(nil)); n > api.MaxLogLine {
		t.Errorf("a line has %d bytes", n)
	}
}

func FuzzQuote(f *testing.F) {
	f.Add("/a\"b\\c\x00\xff\u2028", 20)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = min(max(limit, 0), 1<<16)
		got := string(appendQuoted(nil, s, limit))
		if len(got) > limit+len(`""...`)+8 {
			t.Errorf("%q: %d bytes, limit %d", s, len(got), limit)
		}
		if strings.ContainsAny(got, "\n\r\x1b\x00") {
			t.Errorf("%q became %q", s, got)
		}
		back, err := strconv.Unquote(got)
		if err != nil {
			t.Fatalf("%q became %s: %v", s, got, err)
		}
		if back != s && !(strings.HasSuffix(back, "...") && strings.HasPrefix(s, strings.TrimSuffix(back, "..."))) {
			t.Errorf("%q reads back as %q", s, back)
		}
	})
}
