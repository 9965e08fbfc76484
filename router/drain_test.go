package router

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestDrainWaitsForRequests(t *testing.T) {
	e := newEdge(t, Options{})
	arrived, release := make(chan bool), make(chan bool)
	one := dyno(t, "web.1", func(w http.ResponseWriter, r *http.Request) {
		arrived <- true
		<-release
		io.WriteString(w, "one")
	})
	e.publish(one)
	got := make(chan string, 1)
	go func() {
		_, body := e.get("/")
		got <- body
	}()
	<-arrived
	drained := make(chan error, 1)
	go func() { drained <- e.r.Drain(soon(t), "web.1") }()
	eventually(t, "the gate is shut", func() bool {
		e.r.mu.Lock()
		defer e.r.mu.Unlock()
		return e.r.targets["web.1"].load.isShut()
	})
	// The table still lists it: a new request waits for another dyno, also
	// after the same was published again.
	go func() {
		_, body := e.get("/")
		got <- body
	}()
	eventually(t, "the new request is held", func() bool { return e.r.Held("id") == 1 })
	e.publish(one)
	select {
	case <-drained:
		t.Fatal("Drain returned with a request in flight")
	case <-arrived:
		t.Fatal("a drained dyno got a request")
	default:
	}
	// And the request in flight survives the dyno's leaving the table.
	e.publish(dyno(t, "web.2", say("two")))
	if body := <-got; body != "two" {
		t.Errorf("the held request got %q", body)
	}
	if n := e.r.InFlight("web.1"); n != 1 {
		t.Errorf("%d in flight", n)
	}
	close(release)
	if body := <-got; body != "one" {
		t.Errorf("the request in flight got %q", body)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	e.r.mu.Lock()
	defer e.r.mu.Unlock()
	if len(e.r.targets) != 1 {
		t.Errorf("%d targets are known", len(e.r.targets))
	}
}

func TestDrainDeadline(t *testing.T) {
	e := newEdge(t, Options{})
	arrived, release := make(chan bool), make(chan bool)
	e.publish(dyno(t, "web.1", func(w http.ResponseWriter, r *http.Request) {
		arrived <- true
		<-release
		io.WriteString(w, "late")
	}))
	got := make(chan string, 1)
	go func() {
		_, body := e.get("/")
		got <- body
	}()
	<-arrived
	if err := e.r.Drain(ended(), "web.1"); !errors.Is(err, context.Canceled) {
		t.Errorf("Drain: %v", err)
	}
	close(release)
	if body := <-got; body != "late" {
		t.Errorf("got %q: an ordinary request runs on for as long as its dyno does", body)
	}
}

func TestDrainForgets(t *testing.T) {
	e := newEdge(t, Options{})
	one, two := dyno(t, "web.1", say("one")), dyno(t, "web.2", say("two"))
	known := func() int {
		e.r.mu.Lock()
		defer e.r.mu.Unlock()
		return len(e.r.targets)
	}
	// Drained before any table had it: the first table does not bring it in.
	if err := e.r.Drain(ended(), "web.1"); err != nil {
		t.Error(err)
	}
	e.publish(one, two)
	for range 20 {
		if _, body := e.get("/"); body != "two" {
			t.Fatalf("got %q", body)
		}
	}
	e.publish(two)
	if n := known(); n != 1 {
		t.Errorf("%d targets are known", n)
	}
	if err := e.r.Drain(ended(), "web.9"); err != nil {
		t.Error(err)
	}
	e.publish(two)
	e.r.Publish(&Table{})
	if n := known(); n != 0 {
		t.Errorf("%d targets are known", n)
	}
	e.publish(two)
	if _, body := e.get("/"); body != "two" {
		t.Errorf("got %q", body)
	}
}

// A connection kept to a dyno that went is closed at once, and one in use is
// closed after its request.
func TestIdleConnectionsEnd(t *testing.T) {
	for name, takeOut := range map[string]func(*edge){
		"drain":   func(e *edge) { e.r.Drain(ended(), "web.1") },
		"publish": func(e *edge) { e.r.Publish(table(Serving)) },
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, Options{})
			open, closed := make(chan bool, 2), make(chan bool, 2)
			slow := make(chan bool)
			e.publish(rawDyno(t, "web.1", func(c net.Conn, br *bufio.Reader) {
				for first := true; ; first = false {
					head, err := readHeadOf(br)
					if err != nil {
						closed <- err == io.EOF && !first
						return
					}
					if open <- true; len(head) > 4 && head[:6] == "GET /s" {
						<-slow
					}
					io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
			}))
			busy := e.dial().send("GET /slow HTTP/1.1\r\nHost: app.test\r\n\r\n")
			<-open
			e.get("/")
			<-open
			eventually(t, "a kept connection", func() bool { return e.r.idleConns("web.1") == 1 })
			takeOut(e)
			if !<-closed {
				t.Error("the unused connection was not closed properly")
			}
			close(slow)
			busy.response("GET")
			if !<-closed {
				t.Error("the used connection was not closed properly")
			}
		})
	}
}

// Two apps, one address after the other: no request of the first may reach the
// second, whatever the router still holds.
func TestAddressReuse(t *testing.T) {
	e := newEdge(t, Options{Limits: quick()})
	l := listen(t)
	addr := l.Addr().String()
	first := &http.Server{Handler: say("first")}
	go first.Serve(l)
	one := target4("dyno-1", l)
	tableOf := func(a, b []Target) *Table {
		return &Table{Hosts: map[string]*Route{
			"a.test": {AppID: "a", AppName: "a", Targets: a},
			"b.test": {AppID: "b", AppName: "b", Targets: b},
		}}
	}
	e.r.Publish(tableOf([]Target{one}, nil))
	ask := func(app string) *client { return e.dial().send("GET / HTTP/1.1\r\nHost: %s.test\r\n\r\n", app) }
	if _, body := ask("a").response("GET"); body != "first" {
		t.Fatalf("got %q", body)
	}
	eventually(t, "a kept connection", func() bool { return e.r.idleConns("dyno-1") == 1 })

	// A request that was claimed for the old dyno and did not dial yet.
	old := e.r.targets["dyno-1"]
	if old.claim(10, time.Now()) != entered {
		t.Fatal("no claim")
	}
	if err := e.r.Drain(ended(), "dyno-1"); err == nil {
		t.Error("Drain overlooks the claim")
	}
	first.Close()
	l2, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	second := &http.Server{Handler: say("second")}
	defer second.Close()
	go second.Serve(l2)
	two := target4("dyno-2", l2)

	if b, _, err := old.connect(context.Background(), time.Minute); err != errCut {
		t.Errorf("a late claim got a connection: %v, %v", b, err)
	}
	old.release()
	// The table that still has the old dyno, and both, and the new one alone.
	e.r.Publish(tableOf([]Target{one}, nil))
	e.noAnswerFrom(ask("a"), "second")
	e.r.Publish(tableOf([]Target{{DynoID: "dyno-1b", Name: "web.1", Addr: one.Addr}}, []Target{two}))
	e.noAnswerFrom(ask("a"), "second") // disputed: neither gets it
	e.noAnswerFrom(ask("b"), "first")
	e.r.Publish(tableOf(nil, []Target{two}))
	e.noAnswerFrom(ask("a"), "second")
	if _, body := ask("b").response("GET"); body != "second" {
		t.Errorf("got %q", body)
	}
}

func (e *edge) noAnswerFrom(c *client, app string) {
	e.t.Helper()
	if resp, body := c.response("GET"); body == app || resp.StatusCode != 503 {
		e.t.Errorf("got %s %q", resp.Status, body)
	}
}

// A dial that is under way while its dyno is taken out must not be used.
func TestCutDuringDial(t *testing.T) {
	e := newEdge(t, Options{})
	target := dyno(t, "web.1", say("one"))
	e.publish(target)
	tg := e.r.targets["web.1"]
	if tg.claim(10, time.Now()) != entered {
		t.Fatal("no claim")
	}
	e.publish()
	if _, err := tg.dial(context.Background()); err != errCut {
		t.Errorf("dial: %v", err)
	}
	// The same dyno again: what was claimed may go on.
	e.publish(target)
	b, err := tg.dial(context.Background())
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	b.Close()
	if e.r.targets["web.1"] != tg || e.r.InFlight("web.1") != 1 {
		t.Error("the dyno is not the same any more")
	}
	tg.release()
}
