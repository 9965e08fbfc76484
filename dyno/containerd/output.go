package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"paas/api"
	"paas/dyno"
)

// tail reads what a dyno prints from the file its shim appends to, and hands it
// to the LogSink together with the position reached. The file keeps what paasd
// has not read yet while paasd is down; what was read is punched out of it, so
// its logical size grows and its size on disk does not.
type tail struct {
	spec dyno.Spec
	sink dyno.LogSink
	log  *slog.Logger
	f    *os.File
	poke chan struct{} // capacity 1: there may be more to read

	buf     []byte
	n       int   // bytes in buf
	off     int64 // of buf[0] in the file
	punched int64 // everything before is a hole
	backlog int64 // where what was written before we came ends
	checked int64 // where the lag was looked at last
	midline bool  // the rest of a line that was skipped comes first
	flood   flood
}

const (
	tailBuffer = 32 << 10
	// Output that waited for us is not a flood, up to a limit.
	maxBacklog = 256 << 20
	// A flood that we cannot even read fast enough is skipped: this is what the
	// file may take of the disk.
	maxLag = 64 << 20
	// Holes are made of whole blocks, not for every line.
	punchEvery = 1 << 20
	block      = 4096
)

// openTail begins where the sink says that reading had come to.
func openTail(path string, spec dyno.Spec, sink dyno.LogSink, log *slog.Logger) (*tail, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open output of %s: %w", spec.Name, err)
	}
	off, err := sink.Offset(spec.AppID, spec.ID)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot tell how far output of %s was read: %w", spec.Name, err)
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot open output of %s: %w", spec.Name, err)
	}
	t := &tail{
		spec: spec, sink: sink, log: log, f: f, poke: make(chan struct{}, 1),
		buf: make([]byte, tailBuffer), off: off,
		backlog: min(st.Size(), off+maxBacklog), flood: newFlood(),
	}
	// Under a flood reading runs ahead of what is stored, and so does punching.
	if data, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA); err == nil && data > off {
		t.off = data
		t.flood.drop(1)
	}
	return t, nil
}

// wake says that the file has grown.
func (t *tail) wake() {
	select {
	case t.poke <- struct{}{}:
	default:
	}
}

// run reads until ctx ends (everything not stored is read again next time), or,
// after final was closed, the end of the file. It closes the file.
func (t *tail) run(ctx context.Context, final <-chan struct{}) error {
	defer t.f.Close()
	for last := false; ; {
		if err := t.drain(ctx, last); err != nil {
			return err
		}
		if last {
			return nil
		}
		var notice <-chan time.Time
		if wait, pending := t.flood.pending(time.Now()); pending {
			timer := time.NewTimer(wait)
			defer timer.Stop()
			notice = timer.C
		}
		select {
		case <-t.poke:
		case <-notice:
		case <-final:
			last = true
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// drain reads to the end of the file; last says that no more will come.
func (t *tail) drain(ctx context.Context, last bool) error {
	for {
		if err := t.skip(); err != nil {
			return err
		}
		n, err := t.f.ReadAt(t.buf[t.n:], t.off+int64(t.n))
		t.n += n
		end := errors.Is(err, io.EOF)
		if err != nil && !end {
			return fmt.Errorf("cannot read output of %s: %w", t.spec.Name, err)
		}
		lines, used := t.lines(last && end)
		if used > 0 || len(lines) > 0 {
			if err := t.store(ctx, t.off+int64(used), lines); err != nil {
				return err
			}
			copy(t.buf, t.buf[used:t.n])
			t.n -= used
			t.off += int64(used)
			t.punch(end)
		}
		if end {
			return nil
		}
	}
}

// skip jumps ahead when too much waits to be read.
func (t *tail) skip() error {
	if t.off-t.checked < punchEvery || t.off < t.backlog {
		return nil
	}
	t.checked = t.off
	st, err := t.f.Stat()
	if err != nil {
		return fmt.Errorf("cannot read output of %s: %w", t.spec.Name, err)
	}
	lag := st.Size() - t.off
	if lag <= maxLag {
		return nil
	}
	t.flood.skip(lag - maxLag/2)
	t.off += lag - maxLag/2
	t.n, t.midline = 0, true
	t.punch(true)
	return nil
}

// lines cuts what is in the buffer. A line that is not complete stays there,
// unless it is too long or nothing will follow.
func (t *tail) lines(last bool) (lines []api.LogLine, used int) {
	now := t.now()
	if t.midline {
		end := bytes.IndexByte(t.buf[:t.n], '\n')
		if end < 0 {
			t.flood.skip(int64(t.n))
			return nil, t.n
		}
		t.flood.skip(int64(end + 1))
		used, t.midline = end+1, false
	}
	for used < t.n {
		rest := t.buf[used:t.n]
		if t.off >= t.backlog && t.flood.paused(now) { // fast, since there is much to come
			if end := bytes.LastIndexByte(rest, '\n'); end >= 0 {
				t.flood.drop(int64(bytes.Count(rest, []byte{'\n'})))
				used += end + 1
				continue
			}
		}
		size, skip := bytes.IndexByte(rest, '\n'), 1
		switch {
		case size >= 0 && size <= api.MaxLogLine:
		case len(rest) > api.MaxLogLine:
			size, skip = split(rest), 0
		case last:
			size, skip = len(rest), 0
		default:
			return t.report(now, lines, false), used
		}
		used += size + skip
		text := bytes.TrimSuffix(rest[:size], []byte{'\r'})
		if t.off >= t.backlog && !t.flood.admit(time.Now(), len(text)) {
			continue
		}
		lines = t.report(now, lines, false)
		lines = append(lines, api.LogLine{Time: now, Source: api.SourceApp, Proc: t.spec.Name, Message: string(text)})
	}
	return t.report(now, lines, last), used
}

// report adds the notice of dropped lines when it is due.
func (t *tail) report(now time.Time, lines []api.LogLine, last bool) []api.LogLine {
	text, due := t.flood.notice(time.Now(), last)
	if !due {
		return lines
	}
	return append(lines, api.LogLine{Time: now, Source: api.SourcePlatform, Proc: t.spec.Name, Message: text})
}

// split finds where to cut a line that is too long, not within a character.
func split(b []byte) int {
	for n := api.MaxLogLine; n > api.MaxLogLine-utf8.UTFMax; n-- {
		if utf8.RuneStart(b[n]) {
			return n
		}
	}
	return api.MaxLogLine
}

// now is the time of the lines being read; for those found at Recover it is the
// time the file was written last.
func (t *tail) now() time.Time {
	now := time.Now()
	if t.off < t.backlog {
		if st, err := t.f.Stat(); err == nil && st.ModTime().Before(now) {
			return st.ModTime()
		}
	}
	return now
}

// store does not give up before ctx ends: the lines are nowhere else.
func (t *tail) store(ctx context.Context, off int64, lines []api.LogLine) error {
	if len(lines) == 0 && t.flood.dropping() {
		return nil // stored with the next line that is kept
	}
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := t.sink.Append(t.spec.AppID, t.spec.ID, off, lines)
		if err == nil {
			return nil
		}
		t.log.Error("cannot store output, trying again", "dyno", t.spec.ID, "err", err, "in", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// punch gives the disk space of what was read back.
func (t *tail) punch(end bool) {
	to := t.off / block * block
	if d := to - t.punched; d < 16*block || (d < punchEvery && !end) {
		return
	}
	if err := unix.Fallocate(int(t.f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, t.punched, to-t.punched); err != nil {
		t.log.Warn("cannot free read output", "dyno", t.spec.ID, "err", err)
	}
	t.punched = to
}
