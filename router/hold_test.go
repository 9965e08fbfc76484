package router

import (
	"fmt"
	"testing"
	"time"
)

func TestHold(t *testing.T) {
	e := newEdge(t, Options{})
	e.publish()
	const n = 20
	got := make(chan string, n)
	for range n - 1 {
		go func() {
			_, body := e.get("/")
			got <- body
		}()
	}
	go func() {
		// The body waits where it is, not in the router.
		_, body := e.dial().send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 3\r\n\r\nabc").response("POST")
		got <- body
	}()
	eventually(t, "all are held", func() bool { return e.r.Held("id") == n })
	e.publish() // wakes them for nothing
	e.publish(dyno(t, "web.1", say("up")))
	for range n {
		if body := <-got; body != "up" {
			t.Errorf("got %q", body)
		}
		e.log("dyno=web.1 ", "status=200 ")
	}
	if e.r.Held("id") != 0 || e.r.heldAll.Load() != 0 {
		t.Error("some still count as held")
	}
}

func TestHoldEnds(t *testing.T) {
	for _, tt := range []struct {
		name   string
		end    func(e *edge, c *client)
		answer string
		log    string
	}{
		{"time", nil, "503", "at=error code=H20 "},
		{"scaled to none", func(e *edge, _ *client) { e.r.Publish(table(NoWeb)) }, "503", "code=H14 "},
		{"crashed", func(e *edge, _ *client) { e.r.Publish(table(CrashedApp)) }, "503", "code=H10 "},
		{"maintenance", func(e *edge, _ *client) { e.r.Publish(table(InMaintenance)) }, "503", "code=H80 "},
		{"removed", func(e *edge, _ *client) { e.r.Publish(&Table{}) }, "404", ""},
		{"client left", func(_ *edge, c *client) { c.Close() }, "", "code=H27 "},
		{"shutdown", func(e *edge, _ *client) { e.stop() }, "503", "code=H24 "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			limits := Limits{}
			if tt.end == nil {
				limits.Route = 50 * time.Millisecond
			}
			e := newEdge(t, Options{Limits: limits})
			e.publish()
			c := e.dial().send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n")
			if tt.end != nil {
				eventually(t, "it is held", func() bool { return e.r.Held("id") == 1 })
				tt.end(e, c)
			}
			if tt.answer != "" {
				resp, _ := c.response("GET")
				if got := fmt.Sprint(resp.StatusCode); got != tt.answer {
					t.Errorf("got %s", got)
				}
			}
			if tt.log != "" {
				e.log(tt.log, "dyno= connect= service= ", "bytes= ")
			}
			if e.r.heldAll.Load() != 0 {
				t.Error("still counts as held")
			}
		})
	}
}

func TestHoldIsBounded(t *testing.T) {
	limits := Limits{HoldPerApp: 2, Hold: 3}
	e := newEdge(t, Options{Limits: limits})
	hosts := map[string]*Route{}
	for _, app := range []string{"a", "b"} {
		hosts[app+".test"] = &Route{AppID: app, AppName: app, State: Serving}
	}
	e.r.Publish(&Table{Hosts: hosts})
	send := func(app string) *client { return e.dial().send("GET / HTTP/1.1\r\nHost: %s.test\r\n\r\n", app) }
	held := []*client{send("a"), send("a")}
	eventually(t, "two are held", func() bool { return e.r.Held("a") == 2 })
	if resp, _ := send("a").response("GET"); resp.StatusCode != 503 {
		t.Error(resp.Status)
	}
	e.log("a at=error code=H11 ")
	held = append(held, send("b"))
	eventually(t, "one more is held", func() bool { return e.r.Held("b") == 1 })
	send("b").response("GET")
	e.log("b at=error code=H11 ")
	up := map[string]*Route{}
	for app := range map[string]bool{"a": true, "b": true} {
		up[app+".test"] = &Route{AppID: app, Targets: []Target{dyno(t, "web."+app, say(app))}}
	}
	e.r.Publish(&Table{Hosts: up})
	for _, c := range held {
		if resp, _ := c.response("GET"); resp.StatusCode != 200 {
			t.Error(resp.Status)
		}
	}
}
