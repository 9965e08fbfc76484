package router

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// echoHead answers every request with its own head as the body.
func echoHead(t *testing.T) Target {
	return rawDyno(t, "web.1", func(c net.Conn, br *bufio.Reader) {
		for {
			head, err := readHeadOf(br)
			if err != nil {
				return
			}
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(head), head)
		}
	})
}

// headers parses the lines of an echoed head.
func headers(head string) http.Header {
	h := http.Header{}
	for _, line := range strings.Split(strings.TrimSpace(head), "\r\n")[1:] {
		name, value, _ := strings.Cut(line, ": ")
		h[name] = append(h[name], value)
	}
	return h
}

func TestTargetIsKept(t *testing.T) {
	e := newEdge(t, Options{})
	e.publish(echoHead(t))
	for _, path := range []string{
		"/", "/a/../b", "//x//y/", "/%2F%2f/a%20b?", "/?", "/?a=%zz&b=;|^`{}", "/a|b\"c<d>", "/\xff\xc3\xa9?\xff", "/a;b=c?d#e", "/a//b?http://x/?y",
		"/.well-known/%2e%2e/", "/*", "//evil.test/x",
	} {
		c := e.dial()
		_, body := c.send("GET %s HTTP/1.1\r\nHost: app.test\r\n\r\n", path).response("GET")
		if got, want := strings.SplitN(body, "\r\n", 2)[0], "GET "+path+" HTTP/1.1"; got != want {
			t.Errorf("%q arrived as %q", path, got)
		}
	}
	for sent, want := range map[string]string{
		"GET http://app.test/x?y=%zz HTTP/1.1": "GET /x?y=%zz HTTP/1.1",
		"GET http://app.test HTTP/1.1":         "GET / HTTP/1.1",
		"GET http://app.test?a HTTP/1.1":       "GET /?a HTTP/1.1",
		"OPTIONS * HTTP/1.1":                   "OPTIONS * HTTP/1.1",
		"OPTIONS http://app.test HTTP/1.1":     "OPTIONS * HTTP/1.1",
		"BREW-1 /pot HTTP/1.1":                 "BREW-1 /pot HTTP/1.1",
		"GET /old HTTP/1.0":                    "GET /old HTTP/1.1",
	} {
		_, body := e.dial().send("%s\r\nHost: app.test\r\n\r\n", sent).response("GET")
		if got := strings.SplitN(body, "\r\n", 2)[0]; got != want {
			t.Errorf("%q arrived as %q", sent, got)
		}
	}
}

func TestRequestHeaders(t *testing.T) {
	e := newEdge(t, Options{Now: func() time.Time { return time.UnixMilli(1234567890123) }})
	e.publish(echoHead(t))
	_, port, _ := net.SplitHostPort(e.addr)

	_, body := e.dial().send("GET / HTTP/1.1\r\nHost: App.Test:%s\r\n\r\n", port).response("GET")
	h := headers(body)
	id := h.Get("X-Request-Id")
	if !uuid4.MatchString(id) {
		t.Errorf("request id %q", id)
	}
	delete(h, "X-Request-Id")
	want := http.Header{
		"Host": {"App.Test:" + port}, "X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Port": {port},
		"X-Request-Start": {"1234567890123"}, "Via": {"1.1 paas"},
	}
	if fmt.Sprint(h) != fmt.Sprint(want) {
		t.Errorf("a bare request arrives with\n\t%v\nwant\n\t%v", h, want)
	}
	e.log("request_id="+id, "host=app.test ", `fwd="127.0.0.1"`)

	_, body = e.dial().send("GET / HTTP/1.0\r\nHost: app.test\r\n%s\r\n", strings.Join([]string{
		"X-Forwarded-For: 203.0.113.7", "X-Forwarded-For: 10.0.0.1", "x-forwarded-proto: https", "X-Forwarded-Port: 443", "X_Forwarded_Proto: https", "X_Request-Id: spoof",
		"X-Forwarded-Host: kept.test", "X-Request-Id: abcdefghijklmnopqrst", "X-Request-Start: 1", "Via: 1.0 fred", "Proxy: evil",
		"Connection: close, X-Hop", "X-Hop: 1", "Keep-Alive: 5", "Proxy-Connection: x", "Proxy-Authorization: y", "Te: gzip, trailers", "Upgrade: h2c", "Http2-Settings: z",
		"User_Name: kept", "Cookie: a=1", "Cookie: b=2", "Accept-Encoding:", "User-Agent: me", "",
	}, "\r\n")).response("GET")
	h = headers(body)
	want = http.Header{
		"Host": {"app.test"}, "X-Forwarded-For": {"203.0.113.7,10.0.0.1,127.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Port": {port},
		"X-Forwarded-Host": {"kept.test"}, "X-Request-Id": {"abcdefghijklmnopqrst"}, "X-Request-Start": {"1234567890123"}, "Via": {"1.0 fred, 1.0 paas"},
		"Te": {"trailers"}, "User_name": {"kept"}, "Cookie": {"a=1", "b=2"}, "Accept-Encoding": {""}, "User-Agent": {"me"},
	}
	if fmt.Sprint(h) != fmt.Sprint(want) {
		t.Errorf("headers arrive as\n\t%v\nwant\n\t%v", h, want)
	}
	e.log("request_id=abcdefghijklmnopqrst ", `fwd="203.0.113.7,10.0.0.1,127.0.0.1"`)
}

// answers serves each request with fixed bytes, and closes if told.
func answers(t *testing.T, raw string, closes bool) Target {
	return rawDyno(t, "web.1", func(c net.Conn, br *bufio.Reader) {
		for {
			if _, err := readHeadOf(br); err != nil {
				return
			}
			io.WriteString(c, raw)
			if closes {
				return
			}
		}
	})
}

func TestResponseHeaders(t *testing.T) {
	e := newEdge(t, Options{})
	e.publish(answers(t, "HTTP/1.1 201 Made Up\r\ncontent-length: 2\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\n"+
		"Keep-Alive: timeout=5\r\nProxy-Authenticate: x\r\nVia: 1.1 app\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nX-Folded: one\r\n  two\r\nServer: app\r\nX-Empty:\r\n\r\nok", false))
	c := e.dial()
	resp, body := c.send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n").response("GET")
	want := http.Header{
		"Content-Length": {"2"}, "Date": {"Thu, 01 Jan 1970 00:00:00 GMT"}, "Via": {"1.1 app", "1.1 paas"}, "Set-Cookie": {"a=1", "b=2"},
		"X-Folded": {"one two"}, "Server": {"app"}, "X-Empty": {""},
	}
	if resp.StatusCode != 201 || body != "ok" || fmt.Sprint(resp.Header) != fmt.Sprint(want) {
		t.Errorf("%s %q\n got %v\nwant %v", resp.Status, body, resp.Header, want)
	}
	e.log("status=201 ", "dyno=web.1 ")
	// Nothing is made up besides the date, least of all a content type.
	e.publish(answers(t, "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n<html>guess me!", false))
	resp, _ = e.get("/")
	if len(resp.Header["Date"]) != 1 || len(resp.Header) != 3 {
		t.Errorf("header %v", resp.Header)
	}
}

func TestBodilessResponses(t *testing.T) {
	e := newEdge(t, Options{})
	for _, tt := range []struct{ method, raw, wantLength string }{
		{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nContent-Type: text/plain\r\n\r\n", "12345"},
		{"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ""},
		{"GET", "HTTP/1.1 204 No Content\r\n\r\n", ""},
		{"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", ""},
		{"GET", "HTTP/1.1 304 Not Modified\r\nEtag: x\r\nContent-Length: 99\r\n\r\n", ""},
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "0"},
	} {
		e.publish(answers(t, tt.raw, false))
		c := e.dial()
		for range 2 { // the second shows that the first left nothing behind
			resp, body := c.send("%s / HTTP/1.1\r\nHost: app.test\r\n\r\n", tt.method).response(tt.method)
			if body != "" || resp.Header.Get("Content-Length") != tt.wantLength || resp.StatusCode != mustStatus(tt.raw) {
				t.Errorf("%s of %q: %s, header %v, body %q", tt.method, tt.raw, resp.Status, resp.Header, body)
			}
		}
	}
}

func mustStatus(raw string) int {
	n, err := strconv.Atoi(strings.Fields(raw)[1])
	if err != nil {
		panic(err)
	}
	return n
}

func TestResponseFraming(t *testing.T) {
	e := newEdge(t, Options{})
	for _, tt := range []struct {
		name, raw, want string
		closes          bool
	}{
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", false},
		{"equal lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\nContent-Length: 5\r\n\r\nhello", "hello", false},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3;ext=1\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "hello", false},
		{"chunked wins", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello", true},
		{"to the end", "HTTP/1.1 200 OK\r\n\r\nhello", "hello", true},
		{"1.0", "HTTP/1.0 200 OK\r\nServer: old\r\n\r\nhello", "hello", true},
		{"bare newlines", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", "hello", false},
		{"no reason", "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", "hello", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e.publish(answers(t, tt.raw, tt.closes))
			c := e.dial()
			for range 2 {
				resp, body := c.send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n").response("GET")
				if resp.StatusCode != 200 || body != tt.want {
					t.Errorf("%s %q", resp.Status, body)
				}
			}
		})
	}
}

// A connection that carries more than its answer is not used again.
func TestLeftoversAreNotReused(t *testing.T) {
	e := newEdge(t, Options{})
	e.publish(answers(t, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", false))
	for range 3 {
		if _, body := e.get("/"); body != "hello" {
			t.Fatalf("got %q", body)
		}
	}
	if n := e.r.idleConns("web.1"); n != 0 {
		t.Errorf("%d connections kept", n)
	}
}

func TestConnectionReuse(t *testing.T) {
	e := newEdge(t, Options{})
	var seen []string
	addrs := make(chan string, 100)
	e.publish(dyno(t, "web.1", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		addrs <- r.RemoteAddr
	}))
	for range 5 {
		e.get("/")
		e.dial().send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 3\r\n\r\nabc").response("POST")
		e.dial().send("POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n").response("POST")
		for range 3 {
			seen = append(seen, <-addrs)
			e.log()
		}
	}
	slices.Sort(seen)
	if n := len(slices.Compact(seen)); n != 1 {
		t.Errorf("15 requests one after the other took %d connections", n)
	}
	if n := e.r.idleConns("web.1"); n != 1 {
		t.Errorf("%d connections are kept", n)
	}
}

func TestInternalHosts(t *testing.T) {
	var seen string
	e := newEdge(t, Options{Internal: map[string]http.Handler{"API.paas.test": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		seen = string(b)
		io.WriteString(w, "internal")
	})}})
	e.r.Publish(&Table{Hosts: map[string]*Route{"*.paas.test": {AppID: "id", State: Blank}}})
	_, body := e.dial().send("POST /x HTTP/1.1\r\nHost: api.paas.test:80\r\nContent-Length: 3\r\nCookie: %s\r\n\r\nabc", strings.Repeat("c", 16<<10)).response("POST")
	if body != "internal" || seen != "abc" {
		t.Errorf("got %q after %q", body, seen)
	}
	if resp, _ := e.dial().send("GET / HTTP/1.1\r\nHost: x.paas.test\r\n\r\n").response("GET"); resp.StatusCode != 502 {
		t.Errorf("beside it: %s", resp.Status)
	}
	e.log("code=H81") // and none of the internal one before
	if resp, body := e.dial().send("GET / HTTP/1.1\r\nHost: nobody.test\r\n\r\n").response("GET"); resp.StatusCode != 404 || !strings.Contains(body, "No such app") {
		t.Errorf("unknown host: %s %q", resp.Status, body)
	}
}
