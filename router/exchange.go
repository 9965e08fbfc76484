package router

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"
)

// try lets one target answer the call, and ends the claim on it. With again set nothing has reached the
// client, no dyno can have acted on the request (or it may be repeated), and
// another target may be tried.
func (c *call) try(t *target) (fault code, again bool) {
	defer t.release()
	c.rec.dyno, c.rec.connect, c.rec.service, c.rec.bytes = t.name, -1, -1, -1
	ctx := c.req.Context()
	dialed := time.Now()
	b, reused, err := t.connect(ctx, c.keptFor())
	if err != nil {
		return c.dialFailed(t, err, time.Since(dialed))
	}
	c.rec.connect = 0
	if !reused {
		c.rec.connect = time.Since(dialed)
	}
	x := exchange{call: c, t: t, b: b, reused: reused, began: time.Now()}
	fault, again = x.run(ctx)
	if !again {
		c.rec.service = time.Since(x.began)
	}
	return fault, again
}

func (c *call) dialFailed(t *target, err error, took time.Duration) (fault code, again bool) {
	switch {
	case errors.Is(err, errCut):
		return none, true
	case c.req.Context().Err() != nil:
		return h27, false
	case errors.Is(err, errLocal):
		c.r.errorLog.Printf("cannot connect to dyno %s: %v", t.id, err)
		return h99, false
	}
	c.attempts++
	c.rec.connect = took
	c.lastDial = h21
	if timedOut(err) {
		c.lastDial = h19
	}
	t.refused()
	return none, true
}

// exchange is one request sent over one connection, and its answer.
type exchange struct {
	*call
	t      *target
	b      *backend
	reused bool
	began  time.Time
	up     *upload // of a body that is streamed; nil = none
	head   responseHead
}

func (x *exchange) run(ctx context.Context) (fault code, again bool) {
	c, b := x.call, x.b
	limits := &c.r.limits
	b.SetWriteDeadline(x.began.Add(limits.Idle))
	if n, err := b.Write(c.head[:]); err != nil {
		b.Close()
		return x.notSent(ctx, n, err)
	}
	// From here on the client's leaving closes the connection, which ends every
	// wait on it.
	stop := context.AfterFunc(ctx, func() { b.Close() })
	if c.hasBody && !c.inline {
		x.up = startUpload(c, b)
	} else {
		b.SetReadDeadline(time.Now().Add(limits.FirstByte))
	}
	_, err := b.br.Peek(1)
	if err == nil {
		x.answering()
		fault = x.answer(ctx)
	} else {
		fault = x.noAnswer(ctx, err)
	}
	complete := fault == none
	if x.up != nil {
		received, sent := x.up.stop()
		c.bodyRead = received
		complete = complete && sent
	}
	alone := stop() // and the client's leaving can close it no more
	switch {
	case fault == none && c.upgrade != "" && x.head.status == http.StatusSwitchingProtocols:
		if !alone {
			return h27, false
		}
		return x.tunnel(), false
	case complete && alone && x.head.reusable && b.br.Buffered() == 0:
		x.t.keepIdle(b, x.head.keep)
	default:
		b.Close()
	}
	if err != nil && x.stale(fault) {
		c.fresh = true
		return none, true
	}
	return fault, false
}

// notSent: the request did not leave in full.
func (x *exchange) notSent(ctx context.Context, n int, err error) (fault code, again bool) {
	c := x.call
	switch {
	case ctx.Err() != nil:
		return h27, false
	case errors.Is(err, os.ErrDeadlineExceeded):
		return h15, false
	case n < c.headLen || x.reused && c.replayable():
		// Nobody can act on a part of a head.
		c.fresh = true
		if !x.reused {
			c.attempts++
			c.lastDial = h13
		}
		return none, true
	}
	return h13, false
}

// stale says that the call met a kept connection that the dyno had given up,
// and may be repeated on a new one.
func (x *exchange) stale(fault code) bool {
	return fault == h13 && x.reused && x.up == nil && x.replayable()
}

// noAnswer: not one byte came back.
func (x *exchange) noAnswer(ctx context.Context, err error) code {
	if x.rec.bytes = 0; x.up != nil {
		if fault := x.up.fault(ctx); fault != none {
			return fault
		}
	}
	switch {
	case ctx.Err() != nil:
		return h27
	case errors.Is(err, os.ErrDeadlineExceeded):
		return h12
	default:
		return h13
	}
}

// answering notes the first byte: the dyno is healthy, and from now on only
// silence is bounded.
func (x *exchange) answering() {
	now := time.Now()
	x.t.health.answered.Store(now.UnixNano())
	if x.up != nil {
		x.up.answered()
	}
	x.b.SetReadDeadline(now.Add(x.r.limits.Idle))
}

// answer passes the response on. The result is none also for a switch of
// protocols, which is left to the caller.
func (x *exchange) answer(ctx context.Context) code {
	h := x.w.Header()
	x.rec.bytes = 0
	for interim := 0; ; interim++ {
		clear(h)
		if fault := x.readHead(h); fault != none {
			clear(h)
			return x.blame(ctx, fault)
		}
		x.rec.bytes += int64(x.head.size)
		switch status := x.head.status; {
		case status == http.StatusSwitchingProtocols:
			if x.upgrade == "" {
				clear(h)
				return h17
			}
			return none
		case status >= 200:
			return x.pass(ctx, h)
		case interim >= maxInterim:
			clear(h)
			return h17
		case status != http.StatusContinue && x.req.ProtoAtLeast(1, 1) && (x.up == nil || x.up.reading()):
			// 100 is the router's own to send, and not before the client's
			// side has sent it, see upload.reading.
			x.beforeWrite()
			x.w.WriteHeader(status)
		}
		x.b.SetReadDeadline(time.Now().Add(x.r.limits.Idle))
	}
}

// maxInterim bounds the 1xx responses to one request.
const maxInterim = 32

// pass hands a final response to the client's side, head first.
func (x *exchange) pass(ctx context.Context, h http.Header) code {
	c := x.call
	h["Via"] = append(h["Via"], x.head.via())
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // or net/http would guess one
	}
	if c.hasBody && !c.bodyRead && !x.up.done() {
		// The rest of the body may never be read; the next request could not
		// be told from it.
		h.Set("Connection", "close")
	}
	c.rec.status = x.head.status
	c.committed = true
	x.beforeWrite()
	c.w.WriteHeader(x.head.status)
	if x.bodyless() {
		return none
	}
	return x.blame(ctx, x.passBody())
}

// blame finds out whether a fault met on the dyno's side began on the client's.
func (x *exchange) blame(ctx context.Context, fault code) code {
	if fault == none {
		return none
	}
	if x.up != nil {
		if f := x.up.fault(ctx); f != none {
			return f
		}
	}
	if ctx.Err() != nil && fault != h28 {
		return h27
	}
	return fault
}

// beforeWrite gives the client time to take what comes.
func (c *call) beforeWrite() {
	now := time.Now()
	if idle := c.r.limits.Idle; c.writeable.Sub(now) < idle-idle/8 {
		c.writeable = now.Add(idle)
		c.rc.SetWriteDeadline(c.writeable)
	}
}
