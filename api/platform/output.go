package platform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/google/uuid"

	"paas/api"
)

// MaxOutput bounds what is kept of one build's or release's output, in bytes.
const MaxOutput = 10 << 20

// Outputs keeps what builds and release phases printed, a file each, and lets
// any number of readers follow one that is still being written. All methods
// may be called concurrently.
type Outputs struct {
	dir string

	mu   sync.Mutex
	open map[string]*Output
}

// OpenOutputs uses dir, which is made if it is missing.
func OpenOutputs(dir string) (*Outputs, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot open outputs: %w", err)
	}
	return &Outputs{dir: dir, open: map[string]*Output{}}, nil
}

func (o *Outputs) path(id string) string { return filepath.Join(o.dir, id+".log") }

// Create begins the output with that id, a new uuid. The caller closes it.
func (o *Outputs) Create(id string) (*Output, error) {
	f, err := os.OpenFile(o.path(id), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot create output: %w", err)
	}
	out := &Output{outputs: o, id: id, file: f, grown: make(chan struct{})}
	o.mu.Lock()
	o.open[id] = out
	o.mu.Unlock()
	return out, nil
}

// Delete drops an output.
func (o *Outputs) Delete(id string) error {
	if err := os.Remove(o.path(id)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot delete output: %w", err)
	}
	return nil
}

// Copy writes an output to w: all that is there, then what comes, until it is
// complete or ctx ends. NotFound says that it has not begun.
func (o *Outputs) Copy(ctx context.Context, id string, w io.Writer) error {
	if _, err := uuid.Parse(id); err != nil {
		return api.Missing("output stream")
	}
	o.mu.Lock()
	live := o.open[id]
	o.mu.Unlock()
	f, err := os.Open(o.path(id))
	if errors.Is(err, os.ErrNotExist) {
		return api.Missing("output stream")
	}
	if err != nil {
		return fmt.Errorf("cannot open output: %w", err)
	}
	defer f.Close()
	for {
		var grown <-chan struct{}
		if live != nil {
			grown = live.watch() // before reading, so that nothing is missed
		}
		if _, err := io.Copy(w, f); err != nil {
			return err
		}
		if grown == nil {
			return nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Output is one output being written. It is safe for concurrent use.
type Output struct {
	outputs *Outputs
	id      string

	mu    sync.Mutex
	file  *os.File
	size  int64
	grown chan struct{} // closed and replaced at each write; nil once complete
}

// watch returns a channel that is closed at the next write or at the end; nil
// when the output is complete.
func (o *Output) watch() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.grown == nil {
		return nil
	}
	return o.grown
}

// Write never fails: an output that cannot be kept must not fail a build.
func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.grown == nil {
		return len(b), nil
	}
	if room := MaxOutput - o.size; room > 0 {
		part := b
		if int64(len(part)) > room {
			part = append(part[:room:room], "\n !     Output is too long, the rest is not kept.\n"...)
		}
		n, _ := o.file.Write(part)
		o.size += int64(n)
	}
	close(o.grown)
	o.grown = make(chan struct{})
	return len(b), nil
}

// Close completes the output; readers get its end.
func (o *Output) Close() error {
	o.outputs.mu.Lock()
	delete(o.outputs.open, o.id)
	o.outputs.mu.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.grown == nil {
		return nil
	}
	close(o.grown)
	o.grown = nil
	return o.file.Close()
}
