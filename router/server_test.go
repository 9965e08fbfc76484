package router

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestGracefulStop(t *testing.T) {
	e := newEdge(t, Options{})
	arrived, release := make(chan bool), make(chan bool)
	e.publish(dyno(t, "web.1", func(w http.ResponseWriter, r *http.Request) {
		arrived <- true
		<-release
		io.WriteString(w, "done")
	}))
	idle := e.dial()
	c := e.dial().send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n")
	<-arrived
	e.stop()
	eventually(t, "no new connections", func() bool {
		c, err := net.Dial("tcp", e.addr)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	if _, err := idle.br.ReadByte(); err != io.EOF {
		t.Errorf("an unused connection ends with %v", err)
	}
	close(release)
	if _, body := c.response("GET"); body != "done" {
		t.Errorf("got %q", body)
	}
	if err := <-e.done; err != nil {
		t.Error(err)
	}
	e.done <- nil
	if n := e.r.idleConns("web.1"); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

func TestStopAfterGrace(t *testing.T) {
	e := newEdge(t, Options{Limits: Limits{Grace: 20 * time.Millisecond}})
	arrived, left := make(chan bool), make(chan bool)
	e.publish(dyno(t, "web.1", func(w http.ResponseWriter, r *http.Request) {
		arrived <- true
		<-r.Context().Done()
		close(left)
	}))
	e.dial().send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n")
	<-arrived
	e.stop()
	if err := <-e.done; err != nil {
		t.Error(err)
	}
	e.done <- nil
	<-left
	e.log("code=H27 ")
}

func TestListenerFails(t *testing.T) {
	r := New(Options{})
	good, bad := listen(t), listen(t)
	bad.Close()
	err := r.Run(context.Background(), good, bad)
	if err == nil || !strings.Contains(err.Error(), "cannot serve "+bad.Addr().String()) {
		t.Errorf("Run: %v", err)
	}
	if _, err := net.Dial("tcp", good.Addr().String()); err == nil {
		t.Error("the other listener is open")
	}
}

func TestSlowHeads(t *testing.T) {
	t.Parallel()
	e := newEdge(t, Options{Limits: Limits{HeaderTime: 30 * time.Millisecond, ClientIdle: 30 * time.Millisecond}})
	e.publish(dyno(t, "web.1", say("ok")))
	for name, start := range map[string]string{"nothing": "", "some": "GET / HTTP/1.1\r\nHost: ", "after one": "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n"} {
		c := e.dial().send("%s", start)
		if name == "after one" {
			c.response("GET")
		}
		if b, err := io.ReadAll(c.br); err != nil || len(b) > 0 && !strings.HasPrefix(string(b), "HTTP/1.1 4") {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}

func TestConnectionLimit(t *testing.T) {
	e := newEdge(t, Options{Limits: Limits{Connections: 2}})
	e.publish(dyno(t, "web.1", say("ok")))
	const request = "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n"
	first, second := e.dial().send(request), e.dial().send(request)
	first.response("GET")
	second.response("GET")
	third := e.dial().send(request) // waits in the kernel
	third.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
	if _, err := third.br.Peek(1); err == nil {
		t.Error("a third connection is served")
	}
	first.Close()
	third.SetReadDeadline(time.Now().Add(patience))
	if _, body := third.response("GET"); body != "ok" {
		t.Errorf("got %q", body)
	}
}
