package router

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Heroku's limits for responses (H25).
const (
	maxStatusLine   = 8192
	maxResponseLine = 512 << 10
	maxSetCookie    = 8192
	maxResponseHead = 1 << 20
	maxTrailers     = 64 << 10
)

// responseHead is what of a response's head is not a header for the client.
type responseHead struct {
	status   int
	old      bool  // HTTP/1.0
	length   int64 // of the body, -1 = not told
	chunked  bool
	reusable bool          // the connection, once the body was read
	keep     time.Duration // for how long
	upgrade  string
	trailers []string // announced, in canonical form
	size     int
}

// readHead reads a head from the dyno. Headers for the client go to h.
func (x *exchange) readHead(h http.Header) code {
	raw, fault := x.readBlock(maxResponseHead, true)
	if fault != none {
		return fault
	}
	x.head = responseHead{length: -1, size: len(raw)}
	// One string for all, which lives as long as the answer.
	line, rest, _ := strings.Cut(string(raw), "\n")
	if len(line) > maxStatusLine {
		return h25
	}
	if !x.head.parseStatus(strings.TrimSuffix(line, "\r")) {
		return h17
	}
	return x.head.parseHeaders(rest, h, x.r.limits.KeepIdle)
}

// readBlock reads lines to the first empty one. What it returns is valid until
// the next call.
func (x *exchange) readBlock(limit int, head bool) ([]byte, code) {
	buf := x.respBuf[:0]
	defer func() { x.respBuf = buf[:0] }()
	start := 0 // of the present line
	for {
		part, err := x.b.br.ReadSlice('\n')
		buf = append(buf, part...)
		switch {
		case len(buf) > limit || len(buf)-start > maxResponseLine:
			return nil, h25
		case err == nil:
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, h15
		default:
			return nil, h13
		}
		line := bytes.TrimRight(buf[start:], "\r\n")
		if head && start == 0 && !bytes.HasPrefix(line, []byte("HTTP/1.")) {
			return nil, h17
		}
		if len(line) == 0 {
			return buf, none
		}
		start = len(buf)
	}
}

// parseStatus takes a status line: "HTTP/1.1 200 OK".
func (m *responseHead) parseStatus(line string) bool {
	const prefix = "HTTP/1."
	if len(line) < len(prefix+"1 200") || line[:len(prefix)] != prefix {
		return false
	}
	switch line[len(prefix)] {
	case '1':
		m.reusable = true
	case '0':
		m.old = true
	default:
		return false
	}
	number := line[len(prefix)+1:]
	if number[0] != ' ' || len(number) > 4 && number[4] != ' ' {
		return false
	}
	for _, c := range []byte(number[1:4]) {
		if c < '0' || c > '9' {
			return false
		}
		m.status = m.status*10 + int(c-'0')
	}
	return m.status >= 100
}

// via is the Via header that tells of the hop from the dyno.
func (m *responseHead) via() string {
	if m.old {
		return "1.0" + via
	}
	return "1.1" + via
}

// parseHeaders takes the lines after the status line, up to the empty one.
func (m *responseHead) parseHeaders(s string, h http.Header, keep time.Duration) code {
	m.keep = keep
	var own struct{ connection, encoding, length, trailer []string }
	values := make([]string, strings.Count(s, "\n")+1) // one allocation for all
	for {
		line, rest, _ := strings.Cut(s, "\n")
		s = rest
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			break
		}
		// Folded lines are obsolete, and a proxy replaces the fold by a space.
		for len(s) > 0 && (s[0] == ' ' || s[0] == '\t') {
			more, rest, _ := strings.Cut(s, "\n")
			s = rest
			line += " " + strings.Trim(more, " \t\r")
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !httpguts.ValidHeaderFieldName(name) {
			return h17
		}
		value = strings.Trim(value, " \t")
		if !httpguts.ValidHeaderFieldValue(value) {
			return h25
		}
		switch name = http.CanonicalHeaderKey(name); name {
		case "Connection":
			own.connection = append(own.connection, value)
		case "Transfer-Encoding":
			own.encoding = append(own.encoding, value)
		case "Content-Length":
			own.length = append(own.length, value)
		case "Trailer":
			own.trailer = append(own.trailer, value)
		case "Keep-Alive":
			m.keepFor(value)
		case "Upgrade":
			m.upgrade = value
		case "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "Te":
		case "Set-Cookie":
			if len(line) > maxSetCookie {
				return h25
			}
			fallthrough
		default:
			if old := h[name]; old != nil {
				h[name] = append(old, value)
			} else {
				values[0] = value
				h[name], values = values[:1:1], values[1:]
			}
		}
	}
	for _, name := range listedByConnection(own.connection) {
		delete(h, name)
	}
	if httpguts.HeaderValuesContainsToken(own.connection, "close") {
		m.reusable = false
	}
	for _, v := range own.trailer {
		for name := range strings.SplitSeq(v, ",") {
			name = http.CanonicalHeaderKey(strings.Trim(name, " \t"))
			if name != "" && httpguts.ValidTrailerHeader(name) {
				m.trailers = append(m.trailers, name)
			}
		}
	}
	return m.frame(own.encoding, own.length, h)
}

// frame decides how the body is delimited (RFC 9112, 6.3), and refuses what
// two readers could read in two ways.
func (m *responseHead) frame(encoding, length []string, h http.Header) code {
	if len(encoding) > 0 {
		if m.old || len(encoding) > 1 || !strings.EqualFold(encoding[0], "chunked") {
			return h17
		}
		m.chunked = true
		if len(length) > 0 {
			m.reusable = false
		}
		if len(m.trailers) > 0 {
			h["Trailer"] = m.trailers
		}
		return none
	}
	for _, list := range length {
		for v := range strings.SplitSeq(list, ",") {
			n, err := strconv.ParseUint(strings.Trim(v, " \t"), 10, 63)
			if err != nil || m.length >= 0 && m.length != int64(n) {
				return h25
			}
			m.length = int64(n)
		}
	}
	switch {
	case m.length < 0:
	case len(length) == 1 && strings.IndexByte(length[0], ',') < 0:
		h["Content-Length"] = length
	default:
		h["Content-Length"] = []string{strconv.FormatInt(m.length, 10)}
	}
	return none
}

// keepFor heeds how long the dyno says it keeps an unused connection, less the
// time in which it might be closing it.
func (m *responseHead) keepFor(value string) {
	for param := range strings.SplitSeq(value, ",") {
		name, n, _ := strings.Cut(strings.Trim(param, " \t"), "=")
		if !strings.EqualFold(name, "timeout") {
			continue
		}
		if seconds, err := strconv.ParseUint(n, 10, 31); err == nil {
			m.keep = min(m.keep, time.Duration(seconds)*time.Second-time.Second)
		}
	}
}

// bodyless says that no body follows this head whatever it says.
func (x *exchange) bodyless() bool {
	s := x.head.status
	return x.req.Method == http.MethodHead || s == http.StatusNoContent || s == http.StatusNotModified || x.head.length == 0 && !x.head.chunked
}
