package router

import (
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"
)

// readInline reads a small body behind the head, so that both go out in one
// write.
func (c *call) readInline() code {
	n := int(c.req.ContentLength)
	b := append(c.head, make([]byte, n)...)
	for got := 0; got < n; {
		c.rc.SetReadDeadline(time.Now().Add(c.r.limits.Idle))
		k, err := c.req.Body.Read(b[c.headLen+got:])
		got += k
		if err != nil && got < n {
			return clientFault(err)
		}
	}
	// The end of the body starts the server's watch for the client's leaving.
	var one [1]byte
	if _, err := c.req.Body.Read(one[:]); err != nil && err != io.EOF {
		return clientFault(err)
	}
	c.rc.SetReadDeadline(time.Time{})
	c.head = b
	c.bodyRead = true
	return none
}

// clientFault is what an error in the reading of a request's body means.
func clientFault(err error) code {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return h28
	case cleanEnd(err):
		return h27
	default:
		return h26 // malformed chunks
	}
}

// upload streams a request body to a dyno, beside the reading of the answer.
//
// Either direction's progress keeps the other one's silence from counting, so
// that a long upload with an early head, or a long answer to a body held open,
// are no idle connections.
type upload struct {
	c *call
	b *backend

	mu       sync.Mutex
	first    bool // the first read of the body has returned
	replying bool // the dyno began to answer
	stopped  bool // nobody wants the rest
	received bool // the client has sent all of it
	ended    bool // and so have we
	failed   code // on the client's side, or the dyno's not taking it

	finished chan struct{}
}

func startUpload(c *call, b *backend) *upload {
	u := &upload{c: c, b: b, finished: make(chan struct{})}
	// The answer may begin before the body's end.
	c.rc.EnableFullDuplex()
	go u.run()
	return u
}

func (u *upload) run() {
	defer close(u.finished)
	buf := u.c.r.buffers.Get().(*copyBuffer)
	defer u.c.r.buffers.Put(buf)
	chunked := u.c.req.ContentLength < 0
	for u.keepClient() {
		n, err := u.c.req.Body.Read(buf[chunkHead : chunkHead+copySize])
		u.note(err == io.EOF)
		if err != nil && err != io.EOF {
			u.fail(clientFault(err))
			return
		}
		data := buf[chunkHead : chunkHead+n]
		if chunked && n > 0 {
			data = frameChunk(buf, n)
		}
		if n > 0 && !u.write(data) {
			return
		}
		if err == io.EOF {
			u.finish(chunked)
			return
		}
	}
}

// note takes down that a read has returned. The end of the body must be known
// before it is sent on: the dyno may answer before write returns.
func (u *upload) note(end bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.first = true
	if end && !u.stopped {
		u.received = true
		u.c.rc.SetReadDeadline(time.Time{})
	}
}

// frameChunk turns the n bytes in the middle of buf into a chunk in place.
func frameChunk(buf *copyBuffer, n int) []byte {
	var digits [8]byte
	size := strconv.AppendInt(digits[:0], int64(n), 16)
	start := chunkHead - len(size) - len("\r\n")
	copy(buf[start:], size)
	copy(buf[chunkHead-2:], "\r\n")
	copy(buf[chunkHead+n:], "\r\n")
	return buf[start : chunkHead+n+chunkEnd]
}

// finish sends the end of the body; the time for the first byte begins.
func (u *upload) finish(chunked bool) {
	if chunked {
		end := []byte("0\r\n")
		for name, values := range u.c.req.Trailer {
			for _, v := range values {
				if passTrailer(name, v) {
					end = appendHeader(end, name, v)
				}
			}
		}
		if !u.write(append(end, "\r\n"...)) {
			return
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ended = true
	if !u.replying {
		u.b.SetReadDeadline(time.Now().Add(u.c.r.limits.FirstByte))
	}
}

// passTrailer says that a request's trailer goes to the dyno. net/http has not
// looked at the values, and there are servers that make headers of trailers.
func passTrailer(name, value string) bool {
	return httpguts.ValidHeaderFieldName(name) && httpguts.ValidTrailerHeader(name) && httpguts.ValidHeaderFieldValue(value) && !ownHeader(name)
}

// write sends to the dyno. When the dyno does not take it, its answer, if any,
// is still to be read: only its silence is a fault of its own.
func (u *upload) write(p []byte) bool {
	idle := u.c.r.limits.Idle
	now := time.Now()
	u.mu.Lock()
	switch {
	case u.stopped && !u.received:
		u.mu.Unlock()
		return false
	case !u.stopped:
		u.b.SetWriteDeadline(now.Add(idle))
	}
	if u.replying {
		u.b.SetReadDeadline(now.Add(idle))
	}
	u.mu.Unlock()
	_, err := u.b.Write(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		u.fail(h15)
	}
	return err == nil
}

// keepClient gives the client time for its next bytes, unless nobody wants
// them.
func (u *upload) keepClient() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.stopped {
		return false
	}
	if !u.received {
		u.c.rc.SetReadDeadline(time.Now().Add(u.c.r.limits.Idle))
	}
	return true
}

// fail notes a fault and ends the exchange, unless that is over anyway.
func (u *upload) fail(fault code) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.stopped {
		u.failed = fault
		u.b.Close()
	}
}

// answered is told of the first byte of the answer.
func (u *upload) answered() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.replying = true
}

// reading says that the server has sent its 100, if one was due: net/http does
// so in the first read of the body, and another interim response written at
// that moment would be mixed up with it.
func (u *upload) reading() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.first
}

// done says that all was received: the client's connection can be used again.
func (u *upload) done() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.received
}

// fault is what went wrong on the client's side, if the exchange broke off
// because of that. net/http ends ctx before the failed read returns, so that
// is waited for.
func (u *upload) fault(ctx context.Context) code {
	if ctx.Err() != nil {
		timer := time.NewTimer(lastWrite)
		defer timer.Stop()
		select {
		case <-u.finished:
		case <-timer.C:
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.failed
}

// lastWrite is the time for the end of a body to be sent after the answer to it
// has come.
const lastWrite = 100 * time.Millisecond

// stop ends the upload and waits for that. It reports whether all was received
// and whether all was sent.
func (u *upload) stop() (received, sent bool) {
	u.mu.Lock()
	u.stopped = true
	switch {
	case u.ended:
	case u.received:
		u.b.SetWriteDeadline(time.Now().Add(lastWrite))
	default:
		u.b.SetWriteDeadline(longAgo)
		lingerOnClose(u.c.req)
		u.c.rc.SetReadDeadline(longAgo)
	}
	u.mu.Unlock()
	<-u.finished
	return u.received, u.ended
}
