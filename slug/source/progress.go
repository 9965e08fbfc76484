package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
)

// progress is the way back to a pushing client. What is written to it reaches
// the client at once, on side-band 2, but a client that does not read cannot
// hold up the writer for long: see Options.Stall.
//
//	Write -> buf (bounded) -> pump (one goroutine) -> side-band 2 -> client
type progress struct {
	w     io.Writer
	band  bool // the client knows side-band-64k; without it only the report goes out
	quiet time.Duration
	stall time.Duration

	mu      sync.Mutex
	alive   bool // the client waits for us: see waiting
	buf     []byte
	dropped int           // bytes since the last that got through
	full    bool          // the client has stalled: drop without waiting
	closing bool          // no more writes
	failed  error         // of the client's connection
	wake    chan struct{} // capacity 1: there is something to pump
	room    chan struct{} // capacity 1: buf was taken
	done    chan struct{} // pump has ended
}

// progressBuffer is how much output may wait for the client.
const progressBuffer = 1 << 20

func newProgress(w io.Writer, band bool, quiet, stall time.Duration) *progress {
	p := &progress{
		w: w, band: band, quiet: quiet, stall: stall,
		wake: make(chan struct{}, 1), room: make(chan struct{}, 1), done: make(chan struct{}),
	}
	go p.pump()
	return p
}

// waiting says that the client has sent everything, so that from now on it is
// shown signs of life while there is no output.
func (p *progress) waiting() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.alive = true
}

// Write never fails and waits p.stall at most. It may be called concurrently.
func (p *progress) Write(b []byte) (int, error) {
	n := len(b)
	if !p.band {
		return n, nil
	}
	var timeout <-chan time.Time
	for len(b) > 0 {
		if p.offer(&b) {
			continue
		}
		if timeout == nil {
			t := time.NewTimer(p.stall)
			defer t.Stop()
			timeout = t.C
		}
		select {
		case <-p.room:
		case <-p.done:
			return n, nil
		case <-timeout:
			p.mu.Lock()
			p.full = true
			p.mu.Unlock()
		}
	}
	return n, nil
}

// offer takes what it can of b and reports whether it took or dropped
// anything; if not, the caller waits for room.
func (p *progress) offer(b *[]byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	room := progressBuffer - len(p.buf)
	switch {
	case p.closing || p.failed != nil:
		*b = nil
	case p.full && room < len(*b):
		p.dropped += len(*b)
		*b = nil
	case room == 0:
		return false
	default:
		if p.dropped > 0 {
			p.buf = fmt.Appendf(p.buf, "\n !     %d bytes of output were dropped here, the client did not read them in time.\n", p.dropped)
			p.dropped = 0
		}
		p.full = false
		n := min(len(*b), room)
		p.buf = append(p.buf, (*b)[:n]...)
		*b = (*b)[n:]
		poke(p.wake)
	}
	return true
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pump is the only one to write to the client until it ends.
func (p *progress) pump() {
	defer close(p.done)
	tick := time.NewTicker(p.quiet)
	defer tick.Stop()
	var out []byte
	for {
		p.mu.Lock()
		out, p.buf = p.buf, out[:0]
		closing, alive := p.closing, p.alive
		p.mu.Unlock()
		poke(p.room)
		switch {
		case len(out) > 0:
			if err := p.packets(sideband.ProgressMessage, out); err != nil {
				p.fail(err)
				return
			}
			tick.Reset(p.quiet)
			continue // there may be more by now
		case closing:
			return
		}
		select {
		case <-p.wake:
		case <-tick.C:
			// An empty message, as git's own receive-pack sends, keeps
			// middle-boxes and impatient clients from giving up.
			if p.band && alive {
				if _, err := p.w.Write([]byte{'0', '0', '0', '5', byte(sideband.ProgressMessage)}); err != nil {
					p.fail(err)
					return
				}
			}
		}
	}
}

func (p *progress) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed, p.buf = err, nil
}

// maxBand is how many bytes of a band fit into one packet. go-git's muxer
// takes four more, which its encoder then refuses.
const maxBand = pktline.MaxPayloadSize - 1

// packets writes b on a side-band in one write.
func (p *progress) packets(c sideband.Channel, b []byte) error {
	var out bytes.Buffer
	e := pktline.NewEncoder(&out)
	for part := range slices.Chunk(b, maxBand) {
		if err := e.Encode(c.WithPayload(part)); err != nil {
			return err
		}
	}
	_, err := p.w.Write(out.Bytes())
	return err
}

// errStalled says that the client did not read the end of its push.
var errStalled = errors.New("the client does not read")

// finish waits until the client has got all output, p.stall at most, and sends
// the report as the last thing. After an error the transport MUST be closed:
// that is what ends a write that hangs.
func (p *progress) finish(report []byte) error {
	p.mu.Lock()
	p.closing = true
	p.mu.Unlock()
	poke(p.wake)
	sent := make(chan error, 1)
	go func() {
		<-p.done
		p.mu.Lock()
		err := p.failed
		p.mu.Unlock()
		if err != nil {
			sent <- err
			return
		}
		if !p.band {
			_, err = p.w.Write(report)
			sent <- err
			return
		}
		if err = p.packets(sideband.PackData, report); err == nil {
			_, err = p.w.Write(pktline.FlushPkt)
		}
		sent <- err
	}()
	timeout := time.NewTimer(p.stall)
	defer timeout.Stop()
	select {
	case err := <-sent:
		return err
	case <-timeout.C:
		return errStalled
	}
}
