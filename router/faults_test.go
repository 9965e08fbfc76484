package router

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// quick are limits that let every time-out come within a test.
func quick() Limits {
	return Limits{
		Route: time.Second, FirstByte: 400 * time.Millisecond, Idle: 600 * time.Millisecond, Connect: 700 * time.Millisecond,
		Quarantine: 40 * time.Millisecond, ProbeEvery: 20 * time.Millisecond,
	}
}

func TestRouteStates(t *testing.T) {
	e := newEdge(t, Options{})
	up := dyno(t, "web.1", say("app"))
	for _, tt := range []struct {
		name   string
		table  *Table
		status int
		page   string
		log    []string
	}{
		{"no web", table(NoWeb), 503, "Application error", []string{"at=error code=H14 ", "dyno= connect= service= status=503 bytes= "}},
		{"crashed", table(CrashedApp), 503, "paas logs --tail -a app", []string{"at=error code=H10 "}},
		{"maintenance", table(InMaintenance, up), 503, "maintenance", []string{"at=info code=H80 "}},
		{"blank", table(Blank), 502, "git push paas main", []string{"at=info code=H81 ", "status=502 "}},
		{"serving", table(Serving, up), 200, "app", []string{"id at=info method=GET path=\"/p\" host=app.test ", "dyno=web.1 ", "status=200 "}},
		{"targets although crashed", table(CrashedApp, up), 200, "app", []string{"dyno=web.1 "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e.r.Publish(tt.table)
			resp, body := e.get("/p")
			if resp.StatusCode != tt.status || !strings.Contains(body, tt.page) {
				t.Errorf("%s\n%s", resp.Status, body)
			}
			if tt.status != 200 && (resp.Header.Get("Content-Type") != "text/html; charset=utf-8" || resp.Header.Get("Cache-Control") == "") {
				t.Errorf("header %v", resp.Header)
			}
			e.log(tt.log...)
		})
	}
}

func TestRefusedRequests(t *testing.T) {
	e := newEdge(t, Options{})
	var reached atomic.Int64
	e.publish(dyno(t, "web.1", func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	const host = "Host: app.test\r\n"
	for _, tt := range []struct {
		name, request string
		status        int
		logged        string // "" = net/http refuses it before the app is known
	}{
		{"long line", "GET /" + strings.Repeat("x", 8192) + " HTTP/1.1\r\n" + host, 400, "code=H26"},
		{"long header", "GET / HTTP/1.1\r\n" + host + "X: " + strings.Repeat("x", 8192) + "\r\n", 400, "code=H26"},
		{"long name", "GET / HTTP/1.1\r\n" + host + strings.Repeat("x", 1001) + ": 1\r\n", 400, "code=H26"},
		{"many headers", "GET / HTTP/1.1\r\n" + host + strings.Repeat("X: 1\r\n", 1001), 400, "code=H26"},
		{"long method", strings.Repeat("M", 128) + " / HTTP/1.1\r\n" + host, 400, "code=H26"},
		{"connect", "CONNECT app.test:443 HTTP/1.1\r\n" + host, 405, "code=H26"},
		{"connect path", "CONNECT /x HTTP/1.1\r\n" + host, 405, "code=H26"},
		{"expectation", "POST / HTTP/1.1\r\n" + host + "Expect: 100-continue, tea\r\nContent-Length: 1\r\n", 417, "code=H26"},
		{"other expectation", "POST / HTTP/1.1\r\n" + host + "Expect: tea\r\nContent-Length: 1\r\n", 417, ""},
		{"huge head", "GET / HTTP/1.1\r\n" + host + strings.Repeat("X: "+strings.Repeat("x", 8000)+"\r\n", 10), 431, ""},
		{"no host", "GET / HTTP/1.1\r\n", 400, ""},
		{"two hosts", "GET / HTTP/1.1\r\n" + host + host, 400, ""},
		{"bad host", "GET / HTTP/1.1\r\nHost: app.test/x\r\n", 400, ""},
		{"space in name", "GET / HTTP/1.1\r\n" + host + "X : 1\r\n", 400, ""},
		{"control in value", "GET / HTTP/1.1\r\n" + host + "X: a\x01b\r\n", 400, ""},
		{"no version", "GET /\r\n" + host, 400, ""},
		{"space in target", "GET /a b HTTP/1.1\r\n" + host, 400, ""},
		{"h2 preface", "PRI * HTTP/2.0\r\n" + host, 400, "code=H26"},
		{"ftp", "GET ftp://app.test/ HTTP/1.1\r\n" + host, 200, "status=200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, _ := e.dial().send("%s\r\n", tt.request).response("GET")
			if resp.StatusCode != tt.status {
				t.Errorf("got %s, want %d", resp.Status, tt.status)
			}
			if tt.logged != "" {
				e.log(tt.logged, fmt.Sprintf("status=%d ", tt.status))
			}
		})
	}
	if n := reached.Load(); n != 1 {
		t.Errorf("%d requests reached the dyno, want the last alone", n)
	}
	if len(e.logs) != 0 {
		t.Errorf("unexpected log line %s", <-e.logs)
	}
}

func TestBadResponses(t *testing.T) {
	t.Parallel()
	e := newEdge(t, Options{Limits: quick()})
	for _, tt := range []struct {
		name, raw string
		closes    bool
		status    int
		log       string
	}{
		{"closed", "", true, 503, "code=H13 "},
		{"closed within the head", "HTTP/1.1 200 OK\r\nX", true, 503, "code=H13 "},
		{"silent", "", false, 503, "code=H12 "},
		{"silent within the head", "HTTP/1.1 200 OK\r\n", false, 503, "code=H15 "},
		{"no HTTP", "220 ready\r\n\r\n", false, 503, "code=H17 "},
		{"HTTP 2", "HTTP/2.0 200 OK\r\n\r\n", false, 503, "code=H17 "},
		{"bad status", "HTTP/1.1 2x0 OK\r\n\r\n", false, 503, "code=H17 "},
		{"low status", "HTTP/1.1 099 OK\r\n\r\n", false, 503, "code=H17 "},
		{"no colon", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", false, 503, "code=H17 "},
		{"space before colon", "HTTP/1.1 200 OK\r\nX : 1\r\n\r\n", false, 503, "code=H17 "},
		{"unasked switch", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", false, 503, "code=H17 "},
		{"unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", false, 503, "code=H17 "},
		{"two codings", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", false, 503, "code=H17 "},
		{"endless interim", strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 50), false, 0, "code=H17 "},
		{"bad value", "HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n", false, 502, "code=H25 "},
		{"bare return", "HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\n\r\n", false, 502, "code=H25 "},
		{"different lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", false, 502, "code=H25 "},
		{"bad length", "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", false, 502, "code=H25 "},
		{"negative length", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", false, 502, "code=H25 "},
		{"long status line", "HTTP/1.1 200 " + strings.Repeat("x", 8192) + "\r\n\r\n", false, 502, "code=H25 "},
		{"long cookie", "HTTP/1.1 200 OK\r\nSet-Cookie: " + strings.Repeat("x", 8192) + "\r\n\r\n", false, 502, "code=H25 "},
		{"long header", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 513<<10) + "\r\n\r\n", false, 502, "code=H25 "},
		{"huge head", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 1100) + "\r\n", false, 502, "code=H25 "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e.publish(answers(t, tt.raw, tt.closes))
			resp, body := e.getFinal("/")
			if tt.status != 0 && resp.StatusCode != tt.status {
				t.Errorf("got %s\n%s", resp.Status, body)
			}
			e.log("at=error ", tt.log, "dyno=web.1 connect=", "ms service=")
			if e.r.idleConns("web.1") != 0 {
				t.Error("the connection is kept")
			}
		})
	}
}

// getFinal skips interim responses.
func (e *edge) getFinal(path string) (*http.Response, string) {
	e.t.Helper()
	c := e.dial().send("GET %s HTTP/1.1\r\nHost: app.test\r\n\r\n", path)
	for {
		resp, body := c.response("GET")
		if resp.StatusCode >= 200 {
			return resp, body
		}
	}
}

// Once the head has left, all that can be done is to break the connection, and
// the client must be able to notice.
func TestBrokenResponses(t *testing.T) {
	t.Parallel()
	e := newEdge(t, Options{Limits: quick()})
	for _, tt := range []struct {
		name, raw string
		closes    bool
		log       string
	}{
		{"short length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", true, "sock=backend at=error code=H18 "},
		{"short large", "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhello", true, "sock=backend at=error code=H18 "},
		{"short chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", true, "sock=backend at=error code=H18 "},
		{"no end of trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: 1\r\n", true, "sock=backend at=error code=H18 "},
		{"bad chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n", false, "sock=backend at=error code=H18 "},
		{"silence in length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", false, "id at=error code=H15 "},
		{"silence in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", false, "id at=error code=H15 "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e.publish(answers(t, tt.raw, tt.closes))
			c := e.dial().send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n")
			resp, err := http.ReadResponse(c.br, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err == nil || string(body) != "hello" {
				t.Errorf("the client read %q, error %v", body, err)
			}
			e.log(tt.log, "status=503 ")
		})
	}
}

func TestDialFailures(t *testing.T) {
	limits := quick()
	limits.Attempts = 3
	limits.Route = time.Minute
	limits.Quarantine = 2 * time.Millisecond
	e := newEdge(t, Options{Limits: limits})

	// A port that refuses.
	l := listen(t)
	gone := target4("web.1", l)
	l.Close()

	// With another dyno there, nobody notices.
	e.publish(gone, dyno(t, "web.2", say("two")))
	for range 20 {
		if resp, body := e.get("/"); resp.StatusCode != 200 || body != "two" {
			t.Fatalf("%s %s", resp.Status, body)
		}
		e.log("dyno=web.2 ")
	}

	// Alone, it is waited for, and found again when it is back.
	e.publish(Target{DynoID: "web.3", Name: "web.3", Addr: gone.Addr})
	got := make(chan string)
	go func() {
		_, body := e.get("/")
		got <- body
	}()
	eventually(t, "a request that waits", func() bool { return e.r.Held("id") == 1 })
	again, err := net.Listen("tcp", gone.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: say("back")}
	defer srv.Close()
	go srv.Serve(again)
	if body := <-got; body != "back" {
		t.Errorf("got %s", body)
	}
	e.log("dyno=web.3 ", "status=200 ")
}

func TestNoDialSucceeds(t *testing.T) {
	t.Parallel()
	limits := quick()
	e := newEdge(t, Options{Limits: limits})
	l := listen(t)
	gone := target4("web.1", l)
	l.Close()
	e.publish(gone)
	if resp, _ := e.get("/"); resp.StatusCode != 503 {
		t.Error(resp.Status)
	}
	e.log("at=error code=H21 ", "dyno=web.1 connect=0ms service= status=503 bytes= ")

	// A listener whose queue is full lets dials run into their time-out.
	e.publish(fullQueue(t))
	if resp, _ := e.get("/"); resp.StatusCode != 503 {
		t.Error(resp.Status)
	}
	e.log("at=error code=H19 ", "dyno=web.full ", "service= status=503 ")
}

func TestConcurrencyLimit(t *testing.T) {
	e := newEdge(t, Options{})
	release, arrived := make(chan bool), make(chan bool, 10)
	hang := func(w http.ResponseWriter, r *http.Request) {
		arrived <- true
		<-release
	}
	rt := table(Serving, dyno(t, "web.1", hang), dyno(t, "web.2", hang))
	rt.Hosts["app.test"].Concurrency = 2
	e.r.Publish(rt)
	done := make(chan int)
	for range 4 {
		go func() {
			resp, _ := e.get("/")
			done <- resp.StatusCode
		}()
	}
	for range 4 {
		<-arrived
	}
	if a, b := e.r.InFlight("web.1"), e.r.InFlight("web.2"); a != 2 || b != 2 {
		t.Errorf("%d and %d in flight", a, b)
	}
	resp, _ := e.get("/")
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("fifth request: %s", resp.Status)
	}
	e.log("code=H11 ")
	close(release)
	for range 4 {
		if s := <-done; s != 200 {
			t.Errorf("status %d", s)
		}
	}
	eventually(t, "none in flight", func() bool { return e.r.InFlight("web.1")+e.r.InFlight("web.2") == 0 })
}

// A kept connection that the dyno closed must not cost a request that can be
// repeated, and one that cannot is repeated under no circumstances.
func TestStaleConnections(t *testing.T) {
	for _, tt := range []struct {
		request string
		repeats bool
	}{
		{"GET / HTTP/1.1\r\nHost: app.test\r\n\r\n", true},
		{"PUT / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 3\r\n\r\nabc", true},
		{"POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 3\r\n\r\nabc", false},
		{"PATCH / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0\r\n\r\n", false},
		{"PUT / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", false},
	} {
		t.Run(strings.Fields(tt.request)[0], func(t *testing.T) {
			var served atomic.Int64
			e := newEdge(t, Options{})
			// Each connection answers one request, and dies on the second
			// after reading it.
			e.publish(rawDyno(t, "web.1", func(c net.Conn, br *bufio.Reader) {
				for i := range 2 {
					head, err := readHeadOf(br)
					if err != nil {
						return
					}
					if served.Add(1); strings.Contains(head, "abc") || strings.Contains(head, "Content-Length: 3") {
						io.CopyN(io.Discard, br, 3)
					}
					if i == 0 {
						io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
					}
				}
			}))
			e.get("/")
			e.log()
			eventually(t, "a kept connection", func() bool { return e.r.idleConns("web.1") == 1 })
			resp, _ := e.dial().send("%s", tt.request).response("GET")
			if tt.repeats {
				if resp.StatusCode != 200 || served.Load() != 3 {
					t.Errorf("%s after %d arrivals", resp.Status, served.Load())
				}
				e.log("status=200 ")
			} else {
				if resp.StatusCode != 503 || served.Load() != 2 {
					t.Errorf("%s after %d arrivals", resp.Status, served.Load())
				}
				e.log("code=H13 ")
			}
		})
	}
}

// A connection that the dyno closed while it was unused is not even tried.
func TestClosedConnectionIsSeen(t *testing.T) {
	e := newEdge(t, Options{})
	closed := make(chan bool, 10)
	e.publish(rawDyno(t, "web.1", func(c net.Conn, br *bufio.Reader) {
		readHeadOf(br)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		c.Close()
		closed <- true
	}))
	for range 5 {
		resp, _ := e.dial().send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0\r\n\r\n").response("POST")
		if resp.StatusCode != 200 {
			t.Fatal(resp.Status)
		}
		<-closed
		e.log("status=200 ")
	}
}

func TestKeepAliveHint(t *testing.T) {
	for hint, want := range map[string]time.Duration{
		"timeout=5":          4 * time.Second,
		"timeout=5, max=100": 4 * time.Second,
		"max=100,Timeout=7":  6 * time.Second,
		"timeout=1":          0,
		"timeout=0":          -time.Second,
		"timeout=900":        90 * time.Second,
		"timeout=x":          90 * time.Second,
		"":                   90 * time.Second,
	} {
		m := responseHead{keep: 90 * time.Second}
		m.keepFor(hint)
		if m.keep != want {
			t.Errorf("Keep-Alive: %s: %v, want %v", hint, m.keep, want)
		}
	}
}

func TestClientLeaves(t *testing.T) {
	e := newEdge(t, Options{})
	arrived, left := make(chan bool, 1), make(chan bool, 1)
	e.publish(dyno(t, "web.1", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			io.WriteString(w, "begun")
			w.(http.Flusher).Flush()
		}
		arrived <- true
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		left <- true
	}))
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: app.test\r\n\r\n",
		"GET /stream HTTP/1.1\r\nHost: app.test\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 100000\r\n\r\nonly this",
		"POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
	} {
		c := e.dial().send("%s", request)
		<-arrived
		c.Close()
		select {
		case <-left:
		case <-time.After(patience):
			t.Fatal("the dyno does not learn that the client left")
		}
		e.log("sock=client at=warning code=H27 ", "dyno=web.1 ", "status=499 ")
	}
	eventually(t, "none in flight", func() bool { return e.r.InFlight("web.1") == 0 })
}

// A client that neither reads nor writes holds nothing for long.
func TestIdleClients(t *testing.T) {
	t.Parallel()
	limits := quick()
	limits.FirstByte = time.Minute
	e := newEdge(t, Options{Limits: limits})
	e.publish(dyno(t, "web.1", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			for range 1000 {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		}
		io.Copy(io.Discard, r.Body)
	}))
	for _, request := range []string{
		"POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 100000\r\n\r\nonly this",
		"POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 100\r\n\r\nonly this",
		"POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
		"GET / HTTP/1.1\r\nHost: app.test\r\n\r\n",
	} {
		e.dial().send("%s", request)
		e.log("at=warning code=H28 ", "status=499 ")
	}
	// The same with bodies that nobody wants.
	for _, host := range []string{"nobody.test", "blank.test"} {
		e.r.Publish(&Table{Hosts: map[string]*Route{"blank.test": {State: Blank}}})
		c := e.dial()
		resp, _ := c.send("POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 100\r\n\r\nonly this", host).response("POST")
		if resp.StatusCode < 400 || !resp.Close {
			t.Errorf("%s: %s, close %v", host, resp.Status, resp.Close)
		}
		if _, err := c.br.ReadByte(); err != io.EOF {
			t.Errorf("%s: the connection ends with %v", host, err)
		}
	}
}
