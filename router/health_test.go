package router

import (
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// counting counts the connections a listener accepts.
type counting struct {
	net.Listener
	n atomic.Int64
}

func (l *counting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.n.Add(1)
	}
	return c, err
}

// A dyno that stops accepting is found out by probes alone, while a request is
// still there to make it worth it, and found again.
func TestProbesFlip(t *testing.T) {
	limits := Limits{ProbeEvery: 10 * time.Millisecond, Quarantine: 20 * time.Millisecond}
	e := newEdge(t, Options{Limits: limits})
	l := listen(t)
	srv := &http.Server{Handler: say("one")}
	go srv.Serve(l)
	e.publish(target4("web.1", l))
	e.get("/")
	tg := e.r.targets["web.1"]
	srv.Close()
	eventually(t, "down", tg.health.down.Load)
	if _, full := e.r.table.Load().lookup("app.test").pick(time.Now()); full {
		t.Error("a dyno that is down is not full")
	}
	again, err := net.Listen("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	srv2 := &http.Server{Handler: say("two")}
	defer srv2.Close()
	go srv2.Serve(again)
	eventually(t, "up", func() bool { return !tg.health.down.Load() })
	if _, body := e.get("/"); body != "two" {
		t.Errorf("got %q", body)
	}
}

func TestJudge(t *testing.T) {
	r := New(Options{})
	tg := &target{r: r}
	for i, step := range []struct{ good, down bool }{
		{true, false}, {false, false}, {true, false}, {false, false}, {false, true},
		{false, true}, {true, true}, {false, true}, {true, true}, {true, false}, {true, false},
	} {
		if tg.judge(step.good); tg.health.down.Load() != step.down {
			t.Errorf("step %d: down is %v", i, !step.down)
		}
	}
	tg.refused()
	if !tg.health.down.Load() {
		t.Error("a refused dial changes nothing")
	}
	tg.health.end()
}

// Without requests nothing happens: the probes stop by themselves.
func TestRestIsQuiet(t *testing.T) {
	e := newEdge(t, Options{Limits: Limits{ProbeEvery: 5 * time.Millisecond}})
	l := &counting{Listener: listen(t)}
	srv := &http.Server{Handler: say("one")}
	defer srv.Close()
	go srv.Serve(l)
	e.publish(target4("web.1", l))
	e.get("/")
	tg := e.r.targets["web.1"]
	if !tg.health.armed.Load() {
		t.Error("a request arms no probe")
	}
	eventually(t, "a probe", func() bool { return l.n.Load() >= 3 })
	// Let the last request be long ago.
	tg.health.wanted.Store(time.Now().Add(-2 * attention).UnixNano())
	eventually(t, "rest", func() bool { return !tg.health.armed.Load() && !tg.health.busy.Load() })
	seen := l.n.Load()
	tg.health.mu.Lock()
	pending := tg.health.timer.Stop()
	tg.health.mu.Unlock()
	if pending || l.n.Load() != seen {
		t.Error("probes go on")
	}
	// And a request begins them anew.
	e.get("/")
	if !tg.health.armed.Load() {
		t.Error("a request arms no probe")
	}
}

// Unused connections are closed in time, and the timer for it ends with them.
func TestReaper(t *testing.T) {
	e := newEdge(t, Options{Limits: Limits{KeepIdle: 20 * time.Millisecond}})
	e.publish(dyno(t, "web.1", say("one")))
	e.get("/")
	tg := e.r.targets["web.1"]
	eventually(t, "no connection and no timer", func() bool {
		tg.mu.Lock()
		defer tg.mu.Unlock()
		return len(tg.idle) == 0 && tg.reaper == nil && tg.load.inside() == 0
	})
}

func TestPick(t *testing.T) {
	r := New(Options{})
	now := time.Now()
	route := func(n int) *route {
		rt := &route{limit: 10}
		for range n {
			rt.targets = append(rt.targets, &target{r: r})
		}
		return rt
	}
	t.Cleanup(func() { r.end() })

	rt := route(4)
	for range 40 {
		if tg, _ := rt.pick(now); tg == nil {
			t.Fatal("none, although there is room")
		}
	}
	for i, tg := range rt.targets {
		if n := tg.load.inside(); n != 10 {
			t.Errorf("target %d has %d", i, n)
		}
	}
	if tg, full := rt.pick(now); tg != nil || !full {
		t.Errorf("got %v, full %v", tg, full)
	}
	rt.targets[0].load.shut()
	rt.targets[1].health.down.Store(true)
	if _, full := rt.pick(now); !full {
		t.Error("the others are full")
	}
	rt.targets[2].load.shut()
	rt.targets[3].load.shut()
	if tg, full := rt.pick(now); tg != nil || full {
		t.Errorf("got %v, full %v", tg, full)
	}

	// Far from the limit, two choices keep it even.
	rt = route(10)
	rt.limit = 1 << 20
	for range 10000 {
		rt.pick(now)
	}
	for i, tg := range rt.targets {
		if n := tg.load.inside(); n < 950 || n > 1050 {
			t.Errorf("target %d has %d of 10000", i, n)
		}
	}
	for _, tg := range rt.targets {
		tg.health.end()
	}
}

func TestGate(t *testing.T) {
	var g gate
	if g.enter(2) != entered || g.enter(2) != entered || g.enter(2) != gateFull {
		t.Error("the limit is not two")
	}
	if g.leave() {
		t.Error("an open gate has no last one")
	}
	if g.shut() {
		t.Error("one is inside")
	}
	if g.enter(2) != gateShut || g.inside() != 1 || !g.isShut() {
		t.Error("it is not shut")
	}
	if !g.leave() {
		t.Error("that was the last one")
	}
	g.open()
	if g.enter(2) != entered || g.leave() || !g.shut() {
		t.Error("it does not open again")
	}
}
