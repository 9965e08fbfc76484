package router

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Run serves the listeners until ctx ends, then stops gracefully: it accepts
// nothing more, lets requests in flight finish for Limits.Grace at most, closes
// upgraded connections and returns. Requests that wait for a dyno are answered
// with H24. It returns an error if a listener fails. A Router runs once.
func (r *Router) Run(ctx context.Context, listeners ...net.Listener) error {
	srv := r.newServer()
	slots := make(chan struct{}, r.limits.Connections)
	served := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() {
			err := srv.Serve(&listener{Listener: l, slots: slots, ending: r.stopping})
			select {
			case <-r.stopping:
				served <- nil
			default:
				served <- fmt.Errorf("cannot serve %s: %w", l.Addr(), err)
			}
		}()
	}
	var failed error
	running := len(listeners)
	select {
	case <-ctx.Done():
	case failed = <-served:
		running--
	}
	close(r.stopping)
	r.newcomers.close()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.limits.Grace)
	defer cancel()
	if srv.Shutdown(grace) != nil {
		srv.Close()
	}
	for ; running > 0; running-- {
		failed = errors.Join(failed, <-served)
	}
	r.shutdown()
	return failed
}

// shutdown ends what outlives single requests, and waits for it.
func (r *Router) shutdown() {
	r.tunnels.closeAll()
	r.end()
	if r.background.shut() {
		close(r.quiet)
	}
	r.mu.Lock()
	for _, t := range r.targets {
		t.setCut(true)
		t.health.end()
		t.closeIdle()
	}
	r.mu.Unlock()
	<-r.quiet
}

// newServer is the one place that knows how clients are served.
func (r *Router) newServer() *http.Server {
	return &http.Server{
		Handler:           r,
		ReadHeaderTimeout: r.limits.HeaderTime,
		IdleTimeout:       r.limits.ClientIdle,
		MaxHeaderBytes:    r.limits.HeaderBytes,
		ErrorLog:          r.errorLog,
		// "OPTIONS *" is for the app.
		DisableGeneralOptionsHandler: true,
		ConnState: func(c net.Conn, s http.ConnState) {
			if c, ok := c.(*clientConn); ok {
				r.newcomers.note(c, s)
			}
		},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, clientConnKey{}, c)
		},
	}
}

// newcomers are the connections on which no request has begun. net/http's
// Shutdown waits seconds for them, and browsers like to open some ahead.
type newcomers struct {
	mu     sync.Mutex
	conns  map[*clientConn]struct{}
	closed bool
}

func (n *newcomers) note(c *clientConn, s http.ConnState) {
	if s != http.StateNew && c.known {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case s != http.StateNew:
		c.known = true
		delete(n.conns, c)
	case n.closed:
		c.Close()
	default:
		if n.conns == nil {
			n.conns = make(map[*clientConn]struct{})
		}
		n.conns[c] = struct{}{}
	}
}

func (n *newcomers) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	for c := range n.conns {
		c.Close()
	}
}

// listener bounds the connections that are open at once: at the bound, further
// ones wait in the kernel's queue.
type listener struct {
	net.Listener
	slots  chan struct{}
	ending <-chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.ending:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &clientConn{Conn: conn, slots: l.slots}, nil
}

// clientConn is a connection of a client.
type clientConn struct {
	net.Conn
	slots  chan struct{}
	once   sync.Once
	known  bool // a request has begun on it; for newcomers alone
	linger atomic.Bool
}

type clientConnKey struct{}

// lingerOnClose has the client's connection closed such that the client can
// read the answer to a request whose body was not read: with unread bytes, a
// plain close is a reset, which may overtake the answer.
func lingerOnClose(req *http.Request) {
	if c, ok := req.Context().Value(clientConnKey{}).(*clientConn); ok {
		c.linger.Store(true)
	}
}

// Bounds of a lingering close.
const (
	lingerTime  = time.Second
	lingerBytes = 1 << 20
)

func (c *clientConn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		if c.linger.Load() && c.CloseWrite() == nil {
			c.Conn.SetReadDeadline(time.Now().Add(lingerTime))
			io.CopyN(io.Discard, c.Conn, lingerBytes)
		}
		err = c.Conn.Close()
		<-c.slots
	})
	return err
}

// CloseWrite ends what is sent to the client.
func (c *clientConn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}
