package gitssh

import (
	"net"
	"sync"
	"time"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

// linkKey finds a connection's link in its context.
var linkKey = new(struct{ name string })

// link is one client's connection and what it may still do. It owns the
// connection's time limits; the deadlines that gliderlabs/ssh sets are ignored.
//
//	accepted --AuthTimeout--> closed
//	    | authenticated
//	    v                 session
//	idle --IdleTimeout--> closed    idle <-----> busy, asked for signs of life
type link struct {
	net.Conn
	server *Server

	mu       sync.Mutex
	timer    *time.Timer // closes the connection
	authed   bool
	sessions int
	closed   bool
}

// SetDeadline is of no effect; see link.
func (l *link) SetDeadline(time.Time) error { return nil }

// accept lets a connection in, if there is room.
func (s *Server) accept(ctx ssh.Context, conn net.Conn) net.Conn {
	l := &link{Conn: conn, server: s}
	if !s.admit(l) {
		s.o.Log.Warn("too many connections, one was refused", "remote", conn.RemoteAddr().String())
		return nil // closes it
	}
	l.mu.Lock()
	if !l.closed {
		l.timer = time.AfterFunc(s.o.AuthTimeout, func() { _ = l.Close() })
	}
	l.mu.Unlock()
	limitSilence(conn)
	ctx.SetValue(linkKey, l)
	return l
}

func (s *Server) admit(l *link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping || len(s.links) >= s.o.MaxConnections || s.unauthenticated >= s.o.MaxUnauthenticated {
		return false
	}
	s.links[l] = true
	s.unauthenticated++
	return true
}

// limitSilence makes the kernel give up a client that acknowledges nothing:
// without it, it tries for a quarter of an hour.
func limitSilence(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		// Best effort: keep-alives find such a client too, later.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 60_000)
	})
}

func (l *link) authenticated() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.authed || l.closed {
		return
	}
	l.authed = true
	l.timer.Reset(l.server.o.IdleTimeout)
	l.server.mu.Lock()
	l.server.unauthenticated--
	l.server.mu.Unlock()
}

// enter begins a session, unless there are too many.
func (l *link) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.sessions == l.server.o.MaxSessions {
		return false
	}
	l.sessions++
	l.timer.Stop()
	return true
}

// leave ends a session.
func (l *link) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sessions--; l.sessions == 0 && !l.closed {
		l.timer.Reset(l.server.o.IdleTimeout)
	}
}

// Close may be called more than once.
func (l *link) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	if l.timer != nil { // closeAll may come before there is one
		l.timer.Stop()
	}
	authed := l.authed
	l.mu.Unlock()
	s := l.server
	s.mu.Lock()
	delete(s.links, l)
	if !authed {
		s.unauthenticated--
	}
	s.mu.Unlock()
	return l.Conn.Close()
}

// closeAll closes every connection.
func (s *Server) closeAll() {
	s.mu.Lock()
	var all []*link
	for l := range s.links {
		all = append(all, l)
	}
	s.mu.Unlock()
	for _, l := range all {
		_ = l.Close()
	}
}

// watch asks the client for signs of life until ended is closed, and closes
// the connection when there are none.
func (l *link) watch(conn *gossh.ServerConn, ended <-chan struct{}) {
	o := l.server.o
	tick := time.NewTicker(o.KeepAlive)
	defer tick.Stop()
	answered := make(chan struct{}, 1)
	waiting, misses := false, 0
	for {
		select {
		case <-ended:
			return
		case <-answered:
			waiting, misses = false, 0
			continue
		case <-tick.C:
		}
		if waiting {
			if misses++; misses >= o.KeepAliveMisses {
				l.server.o.Log.Info("client does not answer", "remote", l.RemoteAddr().String())
				_ = l.Close()
				return
			}
			continue
		}
		waiting = true
		go func() { // ends with the connection at the latest
			if _, _, err := conn.SendRequest("keepalive@openssh.com", true, nil); err == nil {
				answered <- struct{}{}
			}
		}()
	}
}
