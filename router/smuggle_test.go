package router

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// recorder is a dyno that keeps every byte it gets and answers each head that
// begins a request.
type recorder struct {
	mu    sync.Mutex
	conns []*strings.Builder
}

func (r *recorder) dyno(t *testing.T) Target {
	return rawDyno(t, "web.1", func(c net.Conn, _ *bufio.Reader) {
		got := &strings.Builder{}
		r.mu.Lock()
		r.conns = append(r.conns, got)
		r.mu.Unlock()
		br := bufio.NewReader(io.TeeReader(c, lockedWriter{&r.mu, got}))
		for {
			req, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return
			}
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(req.URL.Path), req.URL.Path)
		}
	})
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func (r *recorder) all() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, c := range r.conns {
		b.WriteString(c.String())
	}
	return b.String()
}

// Requests that two readers could cut in two ways are refused, or reach the
// dyno in a form that can be cut in one only. "GPOST" stands for what an
// attacker would like the dyno to take for the next request.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	const head = "POST / HTTP/1.1\r\nHost: app.test\r\n"
	const smuggled = "GPOST /smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n"
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled)
	for _, tt := range []struct {
		name, request string
		status        int // of the first answer, 0 = none
	}{
		{"CL.TE", head + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", 200},
		{"TE.CL", head + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk, 200},
		{"two codings", head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + chunk, 501},
		{"coding list", head + "Transfer-Encoding: chunked, identity\r\n\r\n" + chunk, 501},
		{"unknown coding", head + "Transfer-Encoding: xchunked\r\n\r\n" + chunk, 501},
		{"coding with a tab", head + "Transfer-Encoding:\tchunked\r\n\r\n" + chunk, 200},
		{"coding with a vertical tab", head + "Transfer-Encoding: \x0bchunked\r\n\r\n" + chunk, 400},
		{"space before colon", head + "Transfer-Encoding : chunked\r\nContent-Length: 3\r\n\r\n" + chunk, 400},
		{"folded coding", head + "X: 1\r\n Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", 200},
		{"two lengths", head + "Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + smuggled, 400},
		{"length list", head + "Content-Length: 0, 44\r\n\r\n" + smuggled, 400},
		{"signed length", head + "Content-Length: +44\r\n\r\n" + smuggled, 400},
		{"hex length", head + "Content-Length: 0x2c\r\n\r\n" + smuggled, 400},
		{"empty length", head + "Content-Length: \r\n\r\n" + smuggled, 400},
		{"huge length", head + "Content-Length: 18446744073709551660\r\n\r\n" + smuggled, 400},
		{"bad chunk size", head + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n" + smuggled, 400},
		{"negative chunk size", head + "Transfer-Encoding: chunked\r\n\r\n-1\r\n" + smuggled, 400},
		{"huge chunk size", head + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + smuggled, 400},
		{"no end of chunk", head + "Transfer-Encoding: chunked\r\n\r\n1\r\nxy" + smuggled, 400},
		{"chunk extension", head + "Transfer-Encoding: chunked\r\n\r\n2;x=\"\r\n\"\r\n" + smuggled, 400},
		{"bare newline after chunk", head + "Transfer-Encoding: chunked\r\n\r\n0\n\n" + "", 0},
		{"length with GET", "GET / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 44\r\n\r\n" + smuggled, 200},
		{"coding in 1.0", "POST / HTTP/1.0\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n" + smuggled, 200},
		{"header with a return", head + "X: a\rContent-Length: 5\r\n\r\n", 400},
		{"nul in a name", head + "X\x00: a\r\n\r\n", 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEdge(t, Options{Limits: quick()})
			rec := &recorder{}
			e.publish(rec.dyno(t))
			c := e.dial().send("%s", tt.request)
			resp, err := http.ReadResponse(c.br, nil)
			switch {
			case err != nil:
				if tt.status != 0 {
					t.Errorf("no answer: %v", err)
				}
			case tt.status != 0 && resp.StatusCode != tt.status:
				t.Errorf("%s, want %d", resp.Status, tt.status)
			}
			if err == nil {
				io.Copy(io.Discard, resp.Body)
			}
			c.Close()
			// What reached the dyno parses as POSTs and GETs of "/".
			got := rec.all()
			br := bufio.NewReader(strings.NewReader(got))
			for {
				req, err := http.ReadRequest(br)
				if err != nil {
					break
				}
				if len(req.Header["Content-Length"]) > 1 || len(req.TransferEncoding) > 0 && len(req.Header["Content-Length"]) > 0 {
					t.Errorf("ambiguous:\n%s", got)
				}
				if req.URL.Path != "/" || req.Method == "GPOST" {
					t.Errorf("smuggled:\n%s", got)
				}
				if _, err := io.Copy(io.Discard, req.Body); err != nil {
					break
				}
			}
			if strings.Contains(got, "\r\nTransfer-Encoding:") && strings.Contains(got, "\r\nContent-Length:") {
				t.Errorf("two framings:\n%s", got)
			}
		})
	}
}

// After a body that was broken off, nothing more is read from the client.
func TestNothingAfterBrokenBody(t *testing.T) {
	e := newEdge(t, Options{})
	rec := &recorder{}
	e.publish(rec.dyno(t))
	c := e.dial().send("POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nZZ\r\nGET /smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n")
	resp, _ := c.response("POST")
	if resp.StatusCode != 400 || !resp.Close {
		t.Errorf("%s, close %v", resp.Status, resp.Close)
	}
	if rest, err := io.ReadAll(c.br); len(rest) > 0 || err != nil {
		t.Errorf("then %q, %v", rest, err)
	}
	e.log("code=H26 ", "status=400 ")
	if strings.Contains(rec.all(), "smuggled") {
		t.Error(rec.all())
	}
}
