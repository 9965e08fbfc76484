package router

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"paas/api"
)

// patience bounds every wait of a test for what must happen.
const patience = 10 * time.Second

// edge is a Router that serves a loopback port.
type edge struct {
	t    *testing.T
	r    *Router
	addr string
	logs chan string
	stop context.CancelFunc
	done chan error
}

func newEdge(t *testing.T, o Options) *edge {
	t.Helper()
	e := &edge{t: t, logs: make(chan string, 1<<16), done: make(chan error, 1)}
	if o.Log == nil {
		o.Log = func(appID string, l api.LogLine) {
			if l.Source != "heroku" || l.Proc != "router" {
				t.Errorf("log line of %s[%s]", l.Source, l.Proc)
			}
			e.logs <- appID + " " + l.Message
		}
	}
	e.r = New(o)
	l := listen(t)
	e.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	e.stop = cancel
	go func() { e.done <- e.r.Run(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-e.done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Error("Run does not end")
		}
	})
	return e
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// log waits for the next log line and checks what it holds.
func (e *edge) log(want ...string) string {
	e.t.Helper()
	select {
	case line := <-e.logs:
		for _, w := range want {
			if !strings.Contains(line, w) {
				e.t.Errorf("log line\n\t%s\nlacks %q", line, w)
			}
		}
		return line
	case <-time.After(patience):
		e.t.Fatalf("no log line; want %q", want)
		return ""
	}
}

// table is one app at app.test.
func table(state RouteState, targets ...Target) *Table {
	return &Table{Hosts: map[string]*Route{"app.test": {AppID: "id", AppName: "app", State: state, Targets: targets}}}
}

func (e *edge) publish(targets ...Target) { e.r.Publish(table(Serving, targets...)) }

// dyno serves h on a loopback port until the test ends.
func dyno(t testing.TB, id string, h http.HandlerFunc) Target {
	t.Helper()
	l := listen(t)
	srv := &http.Server{Handler: h}
	var wg sync.WaitGroup
	wg.Go(func() { srv.Serve(l) })
	t.Cleanup(func() { srv.Close(); wg.Wait() })
	return target4(id, l)
}

func target4(id string, l net.Listener) Target {
	return Target{DynoID: id, Name: id, Addr: netip.MustParseAddrPort(l.Addr().String())}
}

// rawDyno runs serve for each connection.
func rawDyno(t *testing.T, id string, serve func(c net.Conn, br *bufio.Reader)) Target {
	t.Helper()
	l := listen(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				serve(c, bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return target4(id, l)
}

// readHead reads a message's head as bytes.
func readHeadOf(br *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := br.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\r\n" || line == "\n" {
			return b.String(), err
		}
	}
}

// client is a raw connection to the edge.
type client struct {
	net.Conn
	t  *testing.T
	br *bufio.Reader
}

func (e *edge) dial() *client {
	e.t.Helper()
	c, err := net.Dial("tcp", e.addr)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return &client{c, e.t, bufio.NewReader(c)}
}

func (c *client) send(format string, args ...any) *client {
	c.t.Helper()
	if _, err := fmt.Fprintf(c, format, args...); err != nil {
		c.t.Fatal(err)
	}
	return c
}

// response reads one response with its body.
func (c *client) response(method string) (*http.Response, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.br, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("cannot read response: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("cannot read body: %v", err)
	}
	return resp, string(body)
}

// get is one GET of app.test on a connection of its own.
func (e *edge) get(path string) (*http.Response, string) {
	e.t.Helper()
	c := e.dial()
	defer c.Close()
	return c.send("GET %s HTTP/1.1\r\nHost: app.test\r\n\r\n", path).response("GET")
}

// eventually waits for a state that has no event of its own.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not seen: %s", what)
		}
	}
}

func say(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, text) }
}
