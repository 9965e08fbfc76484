package router

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"os"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// copySize is how much of a body is under way at once. More makes large bodies
// a little cheaper and slow clients more expensive.
const copySize = 32 << 10

// copyBuffer has room for a chunk's head and end around the data.
type copyBuffer [chunkHead + copySize + chunkEnd]byte

const (
	chunkHead = len("00008000\r\n")
	chunkEnd  = len("\r\n")
)

// passBody copies the body to the client as it comes, and flushes whenever the
// next byte is not there yet.
func (x *exchange) passBody() code {
	var fault code
	switch {
	case x.head.chunked:
		if fault = x.passStream(httputil.NewChunkedReader(x.b.br)); fault == none {
			fault = x.passTrailers()
		}
	case x.head.length >= 0:
		fault = x.passLength(x.head.length)
	default:
		x.head.reusable = false
		fault = x.passStream(x.b.br)
	}
	if fault != none {
		// What did come is the client's, before its connection is cut.
		x.rc.Flush()
	}
	return fault
}

// passLength copies n bytes. Small bodies go from the connection's buffer
// straight to the client's side.
func (x *exchange) passLength(n int64) code {
	br := x.b.br
	for n > 0 {
		if br.Buffered() > 0 {
			p, _ := br.Peek(int(min(int64(br.Buffered()), n)))
			if fault := x.send(p); fault != none {
				return fault
			}
			br.Discard(len(p))
			n -= int64(len(p))
			continue
		}
		if n < int64(br.Size()) {
			if fault := x.flushAndWait(); fault != none {
				return fault
			}
			if _, err := br.Peek(1); err != nil {
				return receiveFault(err)
			}
			continue
		}
		buf := x.r.buffers.Get().(*copyBuffer)
		fault := x.passLarge(&n, buf[:copySize])
		x.r.buffers.Put(buf)
		if fault != none {
			return fault
		}
	}
	return none
}

// passLarge copies with a buffer of its own until the rest is small.
func (x *exchange) passLarge(n *int64, buf []byte) code {
	for *n >= int64(x.b.br.Size()) {
		if fault := x.flushAndWait(); fault != none {
			return fault
		}
		// The connection's buffer is empty and smaller, so this goes past it.
		k, err := x.b.br.Read(buf[:min(int64(len(buf)), *n)])
		if fault := x.send(buf[:k]); fault != none {
			return fault
		}
		*n -= int64(k)
		if err != nil {
			return receiveFault(err)
		}
	}
	return none
}

// passStream copies to the end that r knows.
func (x *exchange) passStream(r io.Reader) code {
	buf := x.r.buffers.Get().(*copyBuffer)
	defer x.r.buffers.Put(buf)
	for {
		if x.mayWait() {
			if fault := x.flushAndWait(); fault != none {
				return fault
			}
		}
		n, err := r.Read(buf[:copySize])
		if n > 0 {
			if fault := x.send(buf[:n]); fault != none {
				return fault
			}
		}
		switch {
		case err == io.EOF:
			return none
		case err != nil:
			return receiveFault(err)
		}
	}
}

// mayWait says that the next read may have to wait for the dyno: there is
// nothing, or not more than a piece of a chunk's head. The end of a chunked
// body is not worth a flush of its own.
func (x *exchange) mayWait() bool {
	n := x.b.br.Buffered()
	if n > 2*chunkHead {
		return false
	}
	p, _ := x.b.br.Peek(n)
	return !bytes.HasSuffix(p, []byte("0\r\n\r\n"))
}

// send writes to the client's side.
func (x *exchange) send(p []byte) code {
	if len(p) == 0 {
		return none
	}
	x.beforeWrite()
	n, err := x.w.Write(p)
	x.rec.bytes += int64(n)
	if x.up != nil {
		x.up.keepClient()
	}
	return sendFault(err)
}

// flushAndWait comes before a read that may have to wait: the client gets what
// there is, the dyno its time.
func (x *exchange) flushAndWait() code {
	x.beforeWrite()
	if err := x.rc.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return sendFault(err)
	}
	x.b.SetReadDeadline(time.Now().Add(x.r.limits.Idle))
	return none
}

func sendFault(err error) code {
	switch {
	case err == nil:
		return none
	case errors.Is(err, os.ErrDeadlineExceeded):
		return h28
	default:
		return h27
	}
}

func receiveFault(err error) code {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return h15
	}
	return h18
}

// passTrailers takes what follows the last chunk.
func (x *exchange) passTrailers() code {
	if p, err := x.b.br.Peek(2); err == nil && p[0] == '\r' && p[1] == '\n' {
		x.b.br.Discard(2)
		return none
	}
	raw, fault := x.readBlock(maxTrailers, false)
	switch fault {
	case none:
	case h15:
		return h15
	default:
		return h18
	}
	h := x.w.Header()
	announced := make(map[string]bool, len(x.head.trailers))
	for _, name := range x.head.trailers {
		announced[name] = true
	}
	for line := range strings.SplitSeq(string(raw), "\n") {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\r"), ":")
		if !ok || !httpguts.ValidHeaderFieldName(name) {
			continue
		}
		name = http.CanonicalHeaderKey(name)
		value = strings.Trim(value, " \t")
		if !httpguts.ValidTrailerHeader(name) || !httpguts.ValidHeaderFieldValue(value) {
			continue
		}
		if !announced[name] {
			name = http.TrailerPrefix + name
		}
		h[name] = append(h[name], value)
	}
	return none
}
