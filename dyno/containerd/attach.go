package containerd

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"

	"paas/dyno"
)

// attachment connects an attached dyno, or a sandbox, with its streams through
// named pipes. What it prints waits in the pipes while the other side is slow. A
// Stdin that blocks is read until its owner closes it.
type attachment struct {
	s       dyno.Streams
	fifoDir string

	mu    sync.Mutex
	io    cio.IO
	ended chan struct{} // closed when no more is read or written
	once  sync.Once
	eof   chan struct{} // closed when Stdin has ended
}

func newAttachment(s dyno.Streams, fifoDir string) *attachment {
	return &attachment{s: s, fifoDir: fifoDir, ended: make(chan struct{}), eof: make(chan struct{})}
}

// endOfTransmission is what a terminal sends for ctrl-D.
const endOfTransmission = 4

// creator is called by the containerd client when it makes the task.
func (a *attachment) creator(id string) (cio.IO, error) {
	var stdin io.Reader
	if a.s.Stdin != nil {
		stdin = &stdinReader{r: a.s.Stdin, eof: a.eof, tty: a.s.TTY}
	}
	stdout, stderr := a.s.Stdout, a.s.Stderr
	if stdout == nil {
		stdout = io.Discard
	}
	switch {
	case a.s.TTY:
		stderr = nil // there is none
	case stderr == nil:
		// The command has joined them already; what PID 1 says of itself has not.
		stdout = &sharedWriter{w: stdout}
		stderr = stdout
	}
	opts := []cio.Opt{cio.WithStreams(stdin, stdout, stderr), cio.WithFIFODir(a.fifoDir)}
	if a.s.TTY {
		opts = append(opts, cio.WithTerminal)
	}
	i, err := cio.NewCreator(opts...)(id)
	a.mu.Lock()
	a.io = i
	a.mu.Unlock()
	return i, err
}

// sharedWriter lets two streams end in one.
type sharedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *sharedWriter) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

// stdinReader tells when its source has ended.
type stdinReader struct {
	r    io.Reader
	eof  chan struct{}
	tty  bool
	once sync.Once
	sent bool
}

func (s *stdinReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err == nil || n > 0 {
		return n, nil
	}
	if s.tty && !s.sent && len(p) > 0 {
		// A terminal cannot be half closed: say it as a person would.
		s.sent = true
		p[0] = endOfTransmission
		return 1, nil
	}
	s.once.Do(func() { close(s.eof) })
	return 0, io.EOF
}

// resizeFirst sets the size the client has, if it said so already.
func (a *attachment) resizeFirst(ctx context.Context, task client.Task) {
	if !a.s.TTY {
		return
	}
	select {
	case w, ok := <-a.s.Resize:
		if ok {
			task.Resize(ctx, uint32(w.Cols), uint32(w.Rows))
		}
	default:
	}
}

// serve passes sizes and the end of input on until the dyno ends.
func (a *attachment) serve(r *Runtime, c *container, task client.Task) {
	if a.s.TTY && a.s.Resize != nil {
		r.spawn(func(ctx context.Context) {
			for {
				select {
				case w, ok := <-a.s.Resize:
					if !ok {
						return
					}
					if err := task.Resize(ctx, uint32(w.Cols), uint32(w.Rows)); err != nil {
						r.o.Log.Debug("cannot resize a terminal", "dyno", c.id(), "err", err)
					}
				case <-c.final:
					return
				case <-ctx.Done():
					return
				}
			}
		})
	}
	if a.s.Stdin != nil && !a.s.TTY {
		r.spawn(func(ctx context.Context) {
			select {
			case <-a.eof:
				// The shim holds the pipe open on its side, too.
				if err := task.CloseIO(ctx, client.WithStdinCloser); err != nil {
					r.o.Log.Debug("cannot close stdin", "dyno", c.id(), "err", err)
				}
			case <-c.final:
			case <-ctx.Done():
			}
		})
	}
}

// finish waits until everything printed was written to the streams, or cancel
// was called because nobody wants it any more.
func (a *attachment) finish(ctx context.Context) {
	a.mu.Lock()
	i := a.io
	a.mu.Unlock()
	if i == nil {
		return
	}
	copied := make(chan struct{})
	go func() { // ends with the copying, which Cancel ends
		defer close(copied)
		i.Wait()
	}()
	select {
	case <-copied:
	case <-a.ended:
	case <-ctx.Done():
	}
	i.Cancel()
	select {
	case <-copied:
	case <-time.After(time.Second): // a Write that does not return
	}
	i.Close()
}

// cancel gives up what was not written yet.
func (a *attachment) cancel() { a.once.Do(func() { close(a.ended) }) }
