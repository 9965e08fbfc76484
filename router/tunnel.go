package router

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// tunnelBuffer is small: most upgraded connections are WebSockets that say
// little, and each holds two.
const tunnelBuffer = 4 << 10

// tunnel is an upgraded connection: bytes both ways until one side ends it,
// both are silent for Limits.Idle, or the dyno's drain ends.
type tunnel struct {
	r      *Router
	t      *target
	client net.Conn
	dyno   *backend
	idle   atomic.Bool // ended by silence
}

// tunnel answers 101 and carries bytes until the end.
func (x *exchange) tunnel() code {
	c := x.call
	hijacker, ok := c.w.(http.Hijacker)
	if !ok {
		x.b.Close()
		clear(c.w.Header())
		return h99
	}
	h := c.w.Header()
	head := append(c.respBuf[:0], "HTTP/1.1 101 Switching Protocols\r\n"...)
	for name, values := range h {
		for _, v := range values {
			head = appendHeader(head, name, v)
		}
	}
	if x.head.upgrade == "" {
		x.head.upgrade = c.upgrade
	}
	head = appendHeader(append(head, "Connection: Upgrade\r\n"...), "Upgrade", x.head.upgrade)
	head = append(appendHeader(head, "Via", x.head.via()), "\r\n"...)
	c.respBuf = head

	conn, rw, err := hijacker.Hijack()
	if err != nil {
		x.b.Close()
		return h27
	}
	c.rec.status = http.StatusSwitchingProtocols
	c.hijacked = true
	tn := &tunnel{r: c.r, t: x.t, client: conn, dyno: x.b}
	defer tn.close()
	if !c.r.tunnels.add(tn) {
		return none
	}
	defer c.r.tunnels.remove(tn)
	conn.SetWriteDeadline(time.Now().Add(c.r.limits.Idle))
	if _, err := conn.Write(head); err != nil {
		return none
	}
	// What either side sent ahead sits in the buffers.
	sent := make([]byte, rw.Reader.Buffered())
	io.ReadFull(rw.Reader, sent)
	said := make([]byte, x.b.br.Buffered())
	io.ReadFull(x.b.br, said)

	done := make(chan struct{})
	go func() {
		defer close(done)
		tn.carry(tn.dyno.TCPConn, tn.client, sent)
	}()
	c.rec.bytes += tn.carry(tn.client, tn.dyno.TCPConn, said)
	<-done
	if tn.idle.Load() {
		return h15
	}
	return none
}

// carry copies one direction to its end, and returns how much went through.
func (tn *tunnel) carry(dst, src net.Conn, ahead []byte) (n int64) {
	buf := make([]byte, tunnelBuffer)
	data := ahead
	for {
		// Either direction's bytes keep both alive.
		deadline := time.Now().Add(tn.r.limits.Idle)
		src.SetReadDeadline(deadline)
		if len(data) > 0 {
			dst.SetReadDeadline(deadline)
			dst.SetWriteDeadline(deadline)
			w, err := dst.Write(data)
			n += int64(w)
			if err != nil {
				tn.close()
				return n
			}
		}
		k, err := src.Read(buf)
		data = buf[:k]
		if k > 0 || err == nil {
			continue // the error, if any, comes again
		}
		if half, ok := dst.(interface{ CloseWrite() error }); ok && err == io.EOF && half.CloseWrite() == nil {
			return n // the other direction may still have something to say
		}
		tn.idle.CompareAndSwap(false, errors.Is(err, os.ErrDeadlineExceeded))
		tn.close()
		return n
	}
}

func (tn *tunnel) close() {
	tn.client.Close()
	tn.dyno.Close()
}

// tunnels are all that are open.
type tunnels struct {
	mu     sync.Mutex
	open   map[*tunnel]struct{}
	closed bool
}

// add takes a tunnel in, unless its dyno is past its drain, or the router is
// ending.
func (s *tunnels) add(tn *tunnel) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || tn.t.ended.Load() {
		return false
	}
	if s.open == nil {
		s.open = make(map[*tunnel]struct{})
	}
	s.open[tn] = struct{}{}
	return true
}

func (s *tunnels) remove(tn *tunnel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, tn)
}

// closeOf closes those of one target.
func (s *tunnels) closeOf(t *target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for tn := range s.open {
		if tn.t == t {
			tn.close()
		}
	}
}

// closeAll closes all, and lets no new ones in.
func (s *tunnels) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for tn := range s.open {
		tn.close()
	}
}
