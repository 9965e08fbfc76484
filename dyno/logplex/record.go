package logplex

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
	"time"

	"paas/api"
)

// A record on disk:
//
//	length of the payload  uint32, little endian
//	CRC-32C of the payload uint32, little endian
//	payload:
//	  number of offsets    uvarint
//	    dyno id            string (uvarint length, bytes)
//	    offset             varint; -1 = forgotten
//	  id of the first line uvarint (of the next one if there are none)
//	  number of lines      uvarint
//	  time of the first    varint, nanoseconds since 1970
//	    time               varint, difference to the line before
//	    source, proc, message strings
const recordHeader = 8

// maxRecord is far more than any caller writes at once; a length above it is
// damage.
const maxRecord = 64 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errDamaged says that no record begins here, or not all of one is there.
var errDamaged = errors.New("damaged record")

// offset is how far the output of a dyno has been read.
type offset struct {
	dyno string
	at   int64 // forgotten = drop it
}

const forgotten = -1

// line is a decoded line; it points into the buffer it was decoded from.
type line struct {
	id                    int64
	time                  int64
	source, proc, message []byte
}

func (l line) copy() entry {
	return entry{l.id, api.LogLine{
		Time: time.Unix(0, l.time).UTC(), Source: string(l.source), Proc: string(l.proc), Message: string(l.message),
	}}
}

// appendRecord encodes a record at the end of b.
func appendRecord(b []byte, offsets []offset, first int64, lines []api.LogLine) []byte {
	start := len(b)
	b = append(b, make([]byte, recordHeader)...)
	b = binary.AppendUvarint(b, uint64(len(offsets)))
	for _, o := range offsets {
		b = appendString(b, o.dyno)
		b = binary.AppendVarint(b, o.at)
	}
	b = binary.AppendUvarint(b, uint64(first))
	b = binary.AppendUvarint(b, uint64(len(lines)))
	last := int64(0)
	for _, l := range lines {
		t := l.Time.UnixNano()
		b = binary.AppendVarint(b, t-last)
		last = t
		b = appendString(b, l.Source)
		b = appendString(b, l.Proc)
		b = appendString(b, l.Message)
	}
	sealRecord(b[start:])
	return b
}

// sealRecord writes the header of a record.
func sealRecord(b []byte) {
	payload := b[recordHeader:]
	binary.LittleEndian.PutUint32(b, uint32(len(payload)))
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(payload, castagnoli))
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// record is a decoded record.
type record struct {
	size    int // on disk, header included
	offsets []offset
	first   int64
	count   int64
	lines   []byte // still encoded
}

// readRecord decodes what b begins with. short is how many bytes are missing
// in b to say more, when the error is errDamaged only for that.
func readRecord(b []byte) (r record, short int, err error) {
	if len(b) < recordHeader {
		return r, recordHeader - len(b), errDamaged
	}
	n := binary.LittleEndian.Uint32(b)
	if n > maxRecord {
		return r, 0, errDamaged
	}
	r.size = recordHeader + int(n)
	if len(b) < r.size {
		return r, r.size - len(b), errDamaged
	}
	payload := b[recordHeader:r.size]
	if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return r, 0, errDamaged
	}
	d := decoder{b: payload}
	for range d.count() {
		r.offsets = append(r.offsets, offset{string(d.string()), d.varint()})
	}
	r.first, r.count = int64(d.uvarint()), int64(d.count())
	r.lines = d.b
	if d.bad {
		return r, 0, errDamaged
	}
	return r, 0, nil
}

// each calls visit for the lines of a record, until it returns false.
func (r *record) each(visit func(line) bool) error {
	d := decoder{b: r.lines}
	last := int64(0)
	for i := range r.count {
		last += d.varint()
		l := line{id: r.first + i, time: last, source: d.string(), proc: d.string(), message: d.string()}
		if d.bad {
			return errDamaged
		}
		if !visit(l) {
			break
		}
	}
	return nil
}

// decoder takes values off the front of b; bad says that there was none.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	return v &^ d.took(n)
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	return v &^ int64(d.took(n))
}

// took moves on by n bytes. It returns a mask of ones if that cannot be.
func (d *decoder) took(n int) uint64 {
	if n <= 0 || d.bad {
		d.b, d.bad = nil, true
		return ^uint64(0)
	}
	d.b = d.b[n:]
	return 0
}

// count is a uvarint that cannot be more than there are bytes.
func (d *decoder) count() uint64 {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.b, d.bad = nil, true
		return 0
	}
	return n
}

func (d *decoder) string() []byte {
	n := d.count()
	if d.bad {
		return nil
	}
	s := d.b[:n:n]
	d.b = d.b[n:]
	return s
}

// tidy makes lines fit for the stream: a time, one line each, not too long.
func tidy(lines []api.LogLine, now time.Time) []api.LogLine {
	fine := func(l api.LogLine) bool {
		return len(l.Message) <= api.MaxLogLine && !strings.ContainsAny(l.Message, "\r\n") && !l.Time.IsZero()
	}
	n := 0
	for n < len(lines) && fine(lines[n]) {
		n++
	}
	if n == len(lines) {
		return lines
	}
	out := append(make([]api.LogLine, 0, len(lines)+1), lines[:n]...)
	for _, l := range lines[n:] {
		if l.Time.IsZero() {
			l.Time = now
		}
		rest := strings.TrimRight(l.Message, "\r\n")
		rest = strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ").Replace(rest)
		for {
			l.Message = rest[:min(len(rest), api.MaxLogLine)]
			rest = rest[len(l.Message):]
			out = append(out, l)
			if rest == "" {
				break
			}
		}
	}
	return out
}
