package classic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
)

// Output prints in the format of Heroku's build output: steps behind an
// arrow, details behind seven spaces, warnings behind " !     ". stdout and
// stderr of a build are one stream to the user, so everything but Stderr goes
// to one writer and keeps its order. It is safe for concurrent use.
type Output struct {
	mu  sync.Mutex
	out io.Writer
	err io.Writer
	mid bool // the last byte written by an Indented writer was no line end
}

const (
	arrow  = "-----> "
	indent = "       "
	bang   = " !     "
)

// NewOutput prints to out; err gets only what bin/detect says when it
// declines.
func NewOutput(out, err io.Writer) *Output { return &Output{out: out, err: err} }

func (o *Output) lines(prefix, text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var b bytes.Buffer
	if o.mid {
		b.WriteByte('\n')
		o.mid = false
	}
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		b.WriteString(strings.TrimRight(prefix+line, " "))
		b.WriteByte('\n')
	}
	_, _ = o.out.Write(b.Bytes()) // a reader that went away does not stop a build
}

// Step prints "-----> text".
func (o *Output) Step(format string, args ...any) { o.lines(arrow, fmt.Sprintf(format, args...)) }

// Info prints "       text".
func (o *Output) Info(format string, args ...any) { o.lines(indent, fmt.Sprintf(format, args...)) }

// Warn prints " !     text".
func (o *Output) Warn(format string, args ...any) { o.lines(bang, fmt.Sprintf(format, args...)) }

// Plain prints text without a prefix.
func (o *Output) Plain(text string) { o.lines("", text) }

// Stderr prints text to the error stream.
func (o *Output) Stderr(text string) { fmt.Fprintln(o.err, text) }

// Fail prints an error: message, cause, hint.
func (o *Output) Fail(err error) {
	o.Warn("")
	var f *Failure
	if !errors.As(err, &f) {
		o.Warn("%s", err)
		o.Warn("")
		return
	}
	o.Warn("%s", f.Message)
	if f.Err != nil {
		o.Warn("%s", f.Err)
	}
	if f.Hint != "" {
		o.Warn("")
		o.Warn("%s", f.Hint)
	}
	o.Warn("")
}

// Indented returns a writer that puts seven spaces before each line. It
// passes bytes on at once, so a slow command is seen while it runs.
func (o *Output) Indented() io.Writer { return indented{o} }

type indented struct{ o *Output }

func (w indented) Write(p []byte) (int, error) {
	w.o.mu.Lock()
	defer w.o.mu.Unlock()
	var b bytes.Buffer
	for _, line := range bytes.SplitAfter(p, []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		if !w.o.mid && len(bytes.TrimSpace(line)) > 0 {
			b.WriteString(indent)
		}
		b.Write(line)
		w.o.mid = line[len(line)-1] != '\n'
	}
	_, _ = w.o.out.Write(b.Bytes())
	return len(p), nil
}

func quoteJSON(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always marshals
	}
	return string(b)
}

// Raw returns a writer that adds nothing: tests print in their own format.
func (o *Output) Raw() io.Writer { return raw{o} }

type raw struct{ o *Output }

func (w raw) Write(p []byte) (int, error) {
	w.o.mu.Lock()
	defer w.o.mu.Unlock()
	return w.o.out.Write(p)
}
