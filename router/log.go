package router

import (
	"strconv"
	"time"
	"unicode/utf8"

	"paas/api"
)

// record is what a request's log line tells. Negative durations and bytes
// print as empty.
type record struct {
	code     code
	method   string
	path     string
	host     string
	id       string
	fwd      string
	dyno     string
	connect  time.Duration
	service  time.Duration
	status   int
	bytes    int64
	protocol string
}

// Bounds of what clients choose, escapes included, so that a line stays below
// api.MaxLogLine. (A host has at most maxHost bytes, an id at most 200.)
const (
	maxLogPath   = 6000
	maxLogFwd    = 1500
	maxLogMethod = 127
)

// appendTo appends the line in Heroku's format: fixed keys in fixed order.
func (r *record) appendTo(b []byte) []byte {
	if r.code != none {
		n := r.code.notice()
		if n.sock != "" {
			b = append(append(append(b, "sock="...), n.sock...), ' ')
		}
		b = append(append(b, "at="...), n.at...)
		b = append(append(b, " code="...), n.name...)
		b = append(append(append(b, ` desc="`...), n.desc...), '"')
	} else {
		b = append(b, "at=info"...)
	}
	b = append(append(b, " method="...), r.method[:min(len(r.method), maxLogMethod)]...)
	b = appendQuoted(append(b, " path="...), r.path, maxLogPath)
	b = append(b, " host="...)
	if plain(r.host) {
		b = append(b, r.host...)
	} else {
		b = appendQuoted(b, r.host, 4*maxHost)
	}
	b = append(append(b, " request_id="...), r.id...)
	b = appendQuoted(append(b, " fwd="...), r.fwd, maxLogFwd)
	b = append(append(b, " dyno="...), r.dyno...)
	b = appendMillis(append(b, " connect="...), r.connect)
	b = appendMillis(append(b, " service="...), r.service)
	b = strconv.AppendInt(append(b, " status="...), int64(r.status), 10)
	b = append(b, " bytes="...)
	if r.bytes >= 0 {
		b = strconv.AppendInt(b, r.bytes, 10)
	}
	return append(append(b, " protocol="...), r.protocol...)
}

// plain says that a value needs no quotes: what a host name is made of.
func plain(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

func appendMillis(b []byte, d time.Duration) []byte {
	if d < 0 {
		return b
	}
	return append(strconv.AppendInt(b, d.Milliseconds(), 10), "ms"...)
}

// appendQuoted appends s between quotes such that a reader finds the end and
// a terminal is not steered: quotes and backslashes escaped, control bytes and
// what is no UTF-8 as \xNN. It ends early, with "...", after about limit bytes.
func appendQuoted(b []byte, s string, limit int) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	end := len(b) + limit
	for i := 0; i < len(s); {
		if len(b) >= end {
			b = append(b, "..."...)
			break
		}
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			// U+0080 to U+009F are control characters as well.
			if r != utf8.RuneError && r >= 0xa0 {
				b = append(b, s[i:i+n]...)
				i += n
				continue
			}
		}
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c >= 0x7f:
			b = append(b, '\\', 'x', digits[c>>4], digits[c&15])
		default:
			b = append(b, c)
		}
		i++
	}
	return append(b, '"')
}

func (c *call) log() {
	r := c.r
	if r.logLine == nil {
		return
	}
	rt := c.rt
	c.rec.path = c.req.RequestURI
	c.rec.method = c.req.Method
	c.line = c.rec.appendTo(c.line[:0])
	r.logLine(rt.appID, api.LogLine{
		Time:    r.now(),
		Source:  api.SourcePlatform,
		Proc:    "router",
		Message: string(c.line),
	})
}
