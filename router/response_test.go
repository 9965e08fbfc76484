package router

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http/httpguts"
)

// FuzzResponseHead: whatever a dyno says, what goes on to a client is valid,
// and says nothing about the connection or in two ways how long the body is.
func FuzzResponseHead(f *testing.F) {
	f.Add("HTTP/1.1 200 OK", "Content-Length: 5\r\nSet-Cookie: a=1\r\n folded\r\nConnection: close, x\r\nX: 1\r\n\r\n")
	f.Add("HTTP/1.0 200", "Transfer-Encoding: chunked\nTrailer: a,b\nKeep-Alive: timeout=5\n\n")
	f.Add("HTTP/1.1 304 x", " \r\n\t\r\n:\r\n")
	f.Add("HTTP/1.1 200", "X:")
	f.Fuzz(func(t *testing.T, status, lines string) {
		m := responseHead{length: -1}
		if !m.parseStatus(status) {
			return
		}
		if m.status < 100 || m.status > 999 {
			t.Errorf("status %d of %q", m.status, status)
		}
		h := http.Header{}
		if m.parseHeaders(lines, h, time.Minute) != none {
			return
		}
		for name, values := range h {
			if !httpguts.ValidHeaderFieldName(name) || name != http.CanonicalHeaderKey(name) {
				t.Errorf("name %q of %q", name, lines)
			}
			switch name {
			case "Connection", "Transfer-Encoding", "Keep-Alive", "Upgrade", "Te":
				t.Errorf("%s is passed on", name)
			case "Content-Length":
				if m.chunked || len(values) != 1 || m.length < 0 {
					t.Errorf("length %q, chunked %v", values, m.chunked)
				}
			}
			for _, v := range values {
				if !httpguts.ValidHeaderFieldValue(v) || strings.ContainsAny(v, "\r\n") {
					t.Errorf("value %q of %q", v, lines)
				}
			}
		}
	})
}
