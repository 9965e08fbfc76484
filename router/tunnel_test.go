package router

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// switching is a dyno that switches protocols and then runs talk.
func switching(t *testing.T, talk func(c net.Conn, br *bufio.Reader)) Target {
	return rawDyno(t, "web.1", func(c net.Conn, br *bufio.Reader) {
		head, err := readHeadOf(br)
		if err != nil {
			return
		}
		h := headers(head)
		if h.Get("Connection") != "Upgrade" || h.Get("Upgrade") == "" {
			t.Errorf("the dyno got\n%s", head)
		}
		sum := sha1.Sum([]byte(h.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: "+h.Get("Upgrade")+"\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
		talk(c, br)
	})
}

func echo(c net.Conn, br *bufio.Reader) { io.Copy(c, br) }

func (e *edge) upgrade(extra string) *client {
	e.t.Helper()
	c := e.dial().send("GET /ws HTTP/1.1\r\nHost: app.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n%s", extra)
	resp, err := http.ReadResponse(c.br, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	if resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "websocket" || resp.Header.Get("Connection") != "Upgrade" ||
		resp.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		e.t.Fatalf("%s %v", resp.Status, resp.Header)
	}
	return c
}

func (c *client) expect(want string) {
	c.t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c.br, got); err != nil || string(got) != want {
		c.t.Fatalf("read %q, %v; want %q", got, err, want)
	}
}

func TestTunnel(t *testing.T) {
	e := newEdge(t, Options{})
	e.publish(switching(t, func(c net.Conn, br *bufio.Reader) {
		io.WriteString(c, "hello ")
		echo(c, br)
	}))
	c := e.upgrade("early ")
	c.expect("hello early ")
	for _, part := range []string{"a", strings.Repeat("b", 100000), "\x00\xff"} {
		c.send("%s", part)
		c.expect(part)
	}
	if n := e.r.InFlight("web.1"); n != 1 {
		t.Errorf("%d in flight", n)
	}
	// Half a connection is closed; the other half says the rest.
	c.send("bye")
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.expect("bye")
	if _, err := c.br.ReadByte(); err != io.EOF {
		t.Errorf("then %v", err)
	}
	e.log("at=info method=GET path=\"/ws\" ", "dyno=web.1 ", "status=101 ")
	eventually(t, "none in flight", func() bool { return e.r.InFlight("web.1") == 0 })
}

func TestTunnelIdle(t *testing.T) {
	t.Parallel()
	limits := Limits{Idle: 500 * time.Millisecond}
	e := newEdge(t, Options{Limits: limits})
	// Only the dyno talks, and only for a while: silence of the client alone
	// does not count.
	e.publish(switching(t, func(c net.Conn, br *bufio.Reader) {
		for range 10 {
			time.Sleep(75 * time.Millisecond) // the pace of a slow dyno
			io.WriteString(c, "x")
		}
		io.Copy(io.Discard, br)
	}))
	c := e.upgrade("")
	c.expect("xxxxxxxxxx")
	if _, err := c.br.ReadByte(); err != io.EOF {
		t.Errorf("then %v", err)
	}
	e.log("at=error code=H15 ", "status=503 ")
}

func TestTunnelDrain(t *testing.T) {
	e := newEdge(t, Options{})
	dynoSaw := make(chan error, 1)
	e.publish(switching(t, func(c net.Conn, br *bufio.Reader) {
		for {
			b, err := br.ReadByte()
			if err != nil {
				dynoSaw <- err
				return
			}
			c.Write([]byte{b})
		}
	}))
	c := e.upgrade("")
	ctx, cancel := context.WithCancel(context.Background())
	drained := make(chan error, 1)
	go func() { drained <- e.r.Drain(ctx, "web.1") }()
	eventually(t, "no new ones", func() bool {
		e.r.mu.Lock()
		defer e.r.mu.Unlock()
		return e.r.targets["web.1"].load.isShut()
	})
	e.r.Publish(table(Serving)) // and it leaves the table meanwhile
	c.send("still ")
	c.expect("still ")
	cancel()
	if err := <-drained; !errors.Is(err, context.Canceled) {
		t.Errorf("Drain: %v", err)
	}
	if _, err := c.br.ReadByte(); err == nil {
		t.Error("the client's side is open")
	}
	if err := <-dynoSaw; err == nil {
		t.Error("the dyno's side is open")
	}
	e.log("at=info ", "status=101 ")
	eventually(t, "none in flight", func() bool { return e.r.InFlight("web.1") == 0 })
}

func TestTunnelShutdown(t *testing.T) {
	e := newEdge(t, Options{})
	e.publish(switching(t, echo))
	c := e.upgrade("x")
	c.expect("x")
	e.stop()
	if _, err := c.br.ReadByte(); err == nil {
		t.Error("the connection outlives the router")
	}
	e.log("status=101 ")
}

// What asks for an upgrade and does not get one is a plain exchange.
func TestNoUpgrade(t *testing.T) {
	e := newEdge(t, Options{})
	e.publish(echoHead(t))
	for name, request := range map[string]string{
		"declined":  "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
		"h2c":       "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
		"not meant": "GET / HTTP/1.1\r\nHost: app.test\r\nUpgrade: websocket\r\n\r\n",
		"old":       "GET / HTTP/1.0\r\nHost: app.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
	} {
		resp, body := e.dial().send("%s", request).response("GET")
		if resp.StatusCode != 200 {
			t.Errorf("%s: %s", name, resp.Status)
		}
		if passed := headers(body).Get("Upgrade"); (passed != "") != (name == "declined") {
			t.Errorf("%s: the dyno was asked for %q", name, passed)
		}
	}
}
