package router

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// backend is one connection to one dyno. It is never used for another.
type backend struct {
	*net.TCPConn
	t    *target
	br   *bufio.Reader
	raw  syscall.RawConn
	peek func(fd uintptr) bool // probe, bound once
	live bool                  // what peek found

	since time.Time     // in the pool since
	keep  time.Duration // how long the dyno said it keeps it, at most Limits.KeepIdle
}

var (
	// errCut: nothing may be sent to this dyno any more; nothing was.
	errCut = errors.New("dyno left the table")
	// errLocal marks dial errors that are no fault of the dyno.
	errLocal = errors.New("no connection can be made from here")
)

// connect returns a connection: an unused one of at most maxIdle, if there is
// one, else a new one.
func (t *target) connect(ctx context.Context, maxIdle time.Duration) (b *backend, reused bool, err error) {
	b, err = t.takeIdle(maxIdle)
	if b != nil || err != nil {
		return b, true, err
	}
	b, err = t.dial(ctx)
	return b, false, err
}

func (t *target) takeIdle(maxIdle time.Duration) (*backend, error) {
	for {
		t.mu.Lock()
		if t.cut {
			t.mu.Unlock()
			return nil, errCut
		}
		n := len(t.idle)
		if n == 0 {
			t.mu.Unlock()
			return nil, nil
		}
		b := t.idle[n-1]
		age := time.Since(b.since)
		if age > maxIdle && age <= b.keep {
			t.mu.Unlock() // good for others
			return nil, nil
		}
		t.idle[n-1] = nil
		t.idle = t.idle[:n-1]
		t.mu.Unlock()
		if age <= b.keep && b.stillOpen() {
			return b, nil
		}
		b.Close()
	}
}

func (t *target) dial(ctx context.Context) (*backend, error) {
	if t.isCut() {
		return nil, errCut
	}
	conn, err := dialTCP(ctx, t.addr, t.r.limits.Connect)
	if err != nil {
		return nil, err
	}
	// The address may have changed hands while the dial was under way. What is
	// connected now was connected while t was not yet cut, hence to t.
	if t.isCut() {
		conn.Close()
		return nil, errCut
	}
	b := &backend{TCPConn: conn, t: t, br: bufio.NewReaderSize(conn, 4<<10)}
	b.peek = b.look
	if b.raw, err = conn.SyscallConn(); err != nil {
		conn.Close()
		return nil, errors.Join(errLocal, err)
	}
	return b, nil
}

func dialTCP(ctx context.Context, addr netip.AddrPort, timeout time.Duration) (*net.TCPConn, error) {
	// No TCP keep-alive: every use of a connection has a deadline of its own.
	d := net.Dialer{Timeout: timeout, KeepAlive: -1}
	conn, err := d.DialTCP(ctx, "tcp", netip.AddrPort{}, addr)
	if err == nil || ctx.Err() != nil || refused(err) || timedOut(err) {
		return conn, err
	}
	return nil, errors.Join(errLocal, err)
}

func refused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET)
}

// timedOut includes what an absent neighbour on the same network looks like.
func timedOut(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout() ||
		errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTDOWN)
}

// stillOpen looks, without waiting, whether the dyno has closed an unused
// connection or sent something unasked. It cannot see what is on its way.
func (b *backend) stillOpen() bool {
	b.live = false
	if err := b.raw.Read(b.peek); err != nil {
		return false
	}
	return b.live
}

func (b *backend) look(fd uintptr) bool {
	var one [1]byte
	for {
		_, err := syscall.Read(int(fd), one[:])
		if err == syscall.EINTR {
			continue
		}
		b.live = err == syscall.EAGAIN
		return true
	}
}

// keepIdle puts a connection whose exchange is complete back, or closes it.
func (t *target) keepIdle(b *backend, keep time.Duration) {
	limits := &t.r.limits
	b.since = time.Now()
	b.keep = min(keep, limits.KeepIdle)
	if b.keep <= 0 || b.SetDeadline(time.Time{}) != nil {
		b.Close()
		return
	}
	t.mu.Lock()
	// Whoever shuts the load closes the unused connections afterwards, under
	// this lock: none is left behind.
	if t.cut || t.load.isShut() || len(t.idle) >= limits.KeepConns {
		t.mu.Unlock()
		b.Close()
		return
	}
	t.idle = append(t.idle, b)
	if t.reaper == nil {
		t.reaper = time.AfterFunc(b.keep, t.reap)
	}
	t.mu.Unlock()
}

// reap closes connections that were not used for long, and comes back as long
// as there are any.
func (t *target) reap() {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := t.r.limits.KeepIdle
	kept := t.idle[:0]
	for _, b := range t.idle {
		if left := b.keep - time.Since(b.since); left <= 0 {
			b.Close()
		} else {
			kept = append(kept, b)
			next = min(next, left)
		}
	}
	clear(t.idle[len(kept):])
	t.idle = kept
	if len(kept) == 0 {
		t.reaper = nil
		return
	}
	t.reaper.Reset(max(next, t.r.limits.KeepIdle/16)) // a few at a time
}

func (t *target) closeIdle() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, b := range t.idle {
		b.Close()
	}
	t.idle = nil
	if t.reaper != nil {
		t.reaper.Stop()
		t.reaper = nil
	}
}

// idleConns is how many unused connections there are to a dyno.
func (r *Router) idleConns(dynoID string) int {
	r.mu.Lock()
	t := r.targets[dynoID]
	r.mu.Unlock()
	if t == nil {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.idle)
}

// cleanEnd tells EOF and reset, the ways a peer ends a connection, from other
// errors.
func cleanEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
