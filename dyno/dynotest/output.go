package dynotest

import (
	"bytes"
	"io"
	"sync"
	"time"

	"paas/api"
	"paas/dyno"
)

// output is what a process has printed. It is kept whole, like a file, and
// handed to the sink from the offset that the sink has stored.
type output struct {
	spec dyno.Spec
	sink dyno.LogSink // nil = nobody listens

	mu     sync.Mutex
	buf    []byte
	read   int64 // handed over
	closed bool
	paused bool
	done   chan struct{} // closed once closed and all is handed over
}

var _ io.Writer = (*output)(nil)

func newOutput(s dyno.Spec, sink dyno.LogSink) *output {
	return &output{spec: s, sink: sink, done: make(chan struct{})}
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf = append(o.buf, b...)
	return len(b), o.pump()
}

func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	// The sinks of tests do not fail.
	_ = o.pump()
}

func (o *output) pause() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.paused = true
}

func (o *output) resume() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.paused = false
	if o.sink != nil {
		off, err := o.sink.Offset(o.spec.AppID, o.spec.ID)
		if err != nil {
			return err
		}
		o.read = off
	}
	return o.pump()
}

// pump hands over all complete lines, and at the end an incomplete one.
func (o *output) pump() error {
	if o.paused {
		return nil
	}
	var lines []api.LogLine
	for o.read < int64(len(o.buf)) {
		line, _, whole := bytes.Cut(o.buf[o.read:], []byte("\n"))
		if !whole && !o.closed {
			break
		}
		o.read += int64(len(line))
		if whole {
			o.read++
		}
		for len(line) > api.MaxLogLine {
			lines = append(lines, o.line(line[:api.MaxLogLine]))
			line = line[api.MaxLogLine:]
		}
		lines = append(lines, o.line(line))
	}
	if o.sink != nil && len(lines) > 0 {
		if err := o.sink.Append(o.spec.AppID, o.spec.ID, o.read, lines); err != nil {
			return err
		}
	}
	if o.closed {
		select {
		case <-o.done:
		default:
			close(o.done)
		}
	}
	return nil
}

func (o *output) line(text []byte) api.LogLine {
	return api.LogLine{Time: time.Now(), Source: api.SourceApp, Proc: o.spec.Name, Message: string(text)}
}
