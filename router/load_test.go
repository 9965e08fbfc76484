package router

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"paas/api"
)

// platform plays the part of the platform around a router: apps whose dynos
// come and go, with addresses that go from one app to the other.
type platform struct {
	t      *testing.T
	e      *edge
	serial int
	apps   map[string][]*loadDyno
	free   []string // addresses that were in use
	late   atomic.Int64
	stops  sync.WaitGroup
	mu     sync.Mutex // guards free
}

// loadDyno tells its app in every answer.
type loadDyno struct {
	Target
	srv     *http.Server
	drained atomic.Bool
}

func (p *platform) start(app string) *loadDyno {
	p.serial++
	d := &loadDyno{}
	d.srv = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.drained.Load() {
			p.late.Add(1)
		}
		n, _ := io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/chunked" {
			w.(http.Flusher).Flush()
		}
		fmt.Fprintf(w, "%s %d", app, n)
	})}
	var l net.Listener
	p.mu.Lock()
	addr := "127.0.0.1:0"
	if len(p.free) > 0 {
		addr, p.free = p.free[0], p.free[1:]
	}
	p.mu.Unlock()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		l = listen(p.t)
	}
	go d.srv.Serve(l)
	d.Target = target4(fmt.Sprintf("%s-%d", app, p.serial), l)
	return d
}

func (p *platform) publish() {
	hosts := map[string]*Route{}
	for app, dynos := range p.apps {
		rt := &Route{AppID: app, AppName: app, State: Serving}
		for _, d := range dynos {
			rt.Targets = append(rt.Targets, d.Target)
		}
		hosts[app+".test"] = rt
	}
	p.e.r.Publish(&Table{Hosts: hosts})
}

// stop drains a dyno and ends it, beside all else.
func (p *platform) stop(d *loadDyno) {
	p.stops.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := p.e.r.Drain(ctx, d.DynoID); err != nil {
			p.t.Errorf("cannot drain %s: %v", d.DynoID, err)
		}
		d.drained.Store(true)
		d.srv.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.free = append(p.free, d.Addr.String())
	})
}

func (p *platform) change(app string, kind int) {
	old := p.apps[app]
	switch kind {
	case 0: // a release: new ones beside the old, switch, drain
		p.apps[app] = nil
		for range len(old) {
			p.apps[app] = append(p.apps[app], p.start(app))
		}
		p.publish()
		for _, d := range old {
			p.stop(d)
		}
	case 1: // the drain is asked for before the table changes
		d := p.start(app)
		p.publish()
		for _, d := range old {
			p.stop(d)
		}
		p.publish()
		p.apps[app] = []*loadDyno{d}
		p.publish()
	case 2: // up
		if len(old) < 4 {
			p.apps[app] = append(old[:len(old):len(old)], p.start(app))
			p.publish()
		}
	case 3: // down
		if len(old) > 1 {
			p.apps[app] = old[:len(old)-1]
			p.publish()
			p.stop(old[len(old)-1])
		}
	case 4: // stop everything first: requests wait
		p.apps[app] = nil
		p.publish()
		for _, d := range old {
			p.stop(d)
		}
		p.apps[app] = []*loadDyno{p.start(app)}
		p.publish()
	case 5: // the same again
		p.publish()
	}
}

// TestLoad: under steady load, while dynos of two apps are replaced, added,
// removed and their addresses handed to the other app, not one request fails,
// and none is answered by the other app or by a dyno after its drain.
func TestLoad(t *testing.T) {
	const duration, rate, workers = 3 * time.Second, 600, 12
	var lines atomic.Int64
	bad := make(chan string, 100)
	e := newEdge(t, Options{Log: loadLog(&lines, bad)})
	p := &platform{t: t, e: e, apps: map[string][]*loadDyno{}}
	for _, app := range []string{"a", "b"} {
		p.apps[app] = []*loadDyno{p.start(app), p.start(app)}
	}
	p.publish()

	end := time.Now().Add(duration)
	var done atomic.Int64
	var load sync.WaitGroup
	for i := range workers {
		load.Go(func() {
			transport := &http.Transport{DisableKeepAlives: i%3 == 0}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport, Timeout: patience}
			tick := time.NewTicker(time.Second * workers / rate)
			defer tick.Stop()
			for n := i; time.Now().Before(end); n++ {
				<-tick.C
				if fault := ask(client, e.addr, n); fault != "" {
					t.Error(fault)
					return
				}
				done.Add(1)
			}
		})
	}
	changes := 0
	tick := time.NewTicker(15 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(end) {
		<-tick.C
		p.change(string("ab"[rand.IntN(2)]), changes%6)
		changes++
	}
	load.Wait()
	p.stops.Wait()
	for _, dynos := range p.apps {
		for _, d := range dynos {
			d.srv.Close()
		}
	}
	if n := p.late.Load(); n > 0 {
		t.Errorf("%d requests reached a dyno after its drain", n)
	}
	close(bad)
	for line := range bad {
		t.Error(line)
	}
	t.Logf("%d requests, %d changes, %d dynos", done.Load(), changes, p.serial)
	if done.Load() < rate/4 || changes < 20 {
		t.Error("too little happened to prove anything")
	}
	eventually(t, "a line for each request", func() bool { return lines.Load() == done.Load() })
}

// ask sends one of several kinds of requests and says what is wrong with the
// answer.
func ask(client *http.Client, addr string, n int) string {
	app := string("ab"[n%2])
	method, path, size := "GET", "/", 0
	switch n / 2 % 5 {
	case 1:
		path = "/chunked"
	case 2:
		method, size = "POST", 100
	case 3:
		method, size = "POST", 20000
	case 4:
		method, size = "PUT", 10
	}
	req, err := http.NewRequest(method, "http://"+addr+path, strings.NewReader(strings.Repeat("x", size)))
	if err != nil {
		return err.Error()
	}
	req.Host = app + ".test"
	if size == 100 {
		req.ContentLength = -1
	}
	resp, err := client.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if want := fmt.Sprintf("%s %d", app, size); err != nil || resp.StatusCode != 200 || string(body) != want {
		return fmt.Sprintf("%s %s of %s: %s %.100q, %v", method, path, app, resp.Status, body, err)
	}
	return ""
}

// loadLog counts lines, and picks out those that tell of a fault or of a dyno
// of another app.
func loadLog(lines *atomic.Int64, bad chan<- string) func(string, api.LogLine) {
	return func(app string, l api.LogLine) {
		lines.Add(1)
		if !strings.HasPrefix(l.Message, "at=info ") || !strings.Contains(l.Message, " dyno="+app+"-") || !strings.Contains(l.Message, " host="+app+".test ") {
			select {
			case bad <- app + " " + l.Message:
			default:
			}
		}
	}
}
