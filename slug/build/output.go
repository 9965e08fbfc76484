package build

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// output writes what the pusher sees. What the platform says begins on a line
// of its own, whatever a buildpack printed before.
type output struct {
	mu  sync.Mutex
	w   io.Writer
	mid bool // in the middle of a line
}

// Write implements io.Writer for what comes from the sandbox.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(p) > 0 {
		o.mid = p[len(p)-1] != '\n'
	}
	return o.w.Write(p)
}

// write writes whole lines.
func (o *output) write(text string) {
	if text == "" {
		return
	}
	o.mu.Lock()
	mid := o.mid
	o.mu.Unlock()
	if mid {
		text = "\n" + text
	}
	_, _ = io.WriteString(o, text) // by contract it cannot fail
}

// notes prints " !     text" lines.
func (o *output) notes(texts ...string) {
	for _, t := range texts {
		o.write(strings.TrimRight(" !     "+t, " ") + "\n")
	}
}

// megabytes prints a size as Heroku does: "35.4M".
func megabytes(n int64) string { return fmt.Sprintf("%.1fM", float64(n)/(1<<20)) }

// limit prints a limit: "500M", "2G", "1.5G".
func limit(n int64) string {
	unit, f := "M", float64(n)/(1<<20)
	if n >= 1<<30 {
		unit, f = "G", float64(n)/(1<<30)
	}
	return strings.TrimSuffix(strings.TrimSuffix(fmt.Sprintf("%.1f", f), "0"), ".") + unit
}
