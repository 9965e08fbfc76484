package boot

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"sync"
	"syscall"
	"time"
)

// logs passes what programs write into named pipes on to one writer, line by
// line.
type logs struct {
	out   io.Writer
	mu    sync.Mutex
	pipes []*os.File
	paths []string
	tails []*tail

	readers, followers sync.WaitGroup
}

// maxLine is where a longer line is broken.
const maxLine = 64 << 10

// said is how PHP-FPM wraps what its workers write, when it is not told to
// leave that.
var said = regexp.MustCompile(`^\[[^]]+\] WARNING: \[pool [^]]+\] child \d+ said into std(?:err|out): "(.*?)("|\.\.\.)$`)

func unwrap(line []byte) []byte {
	m := said.FindSubmatch(line)
	if m == nil {
		return line
	}
	if string(m[2]) == "..." {
		return append(m[1], m[2]...)
	}
	return m[1]
}

// pipe makes a named pipe in the place of a log file and starts to read it.
// It is opened for writing here too, so that programs may open and close it
// as they like.
func (l *logs) pipe(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot replace %s: %w", path, err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		return fmt.Errorf("cannot make %s: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("cannot open %s: %w", path, err)
	}
	l.pipes = append(l.pipes, f)
	l.paths = append(l.paths, path)
	l.readers.Add(1)
	go func() {
		defer l.readers.Done()
		l.copy(f)
	}()
	return nil
}

func (l *logs) copy(r io.Reader) {
	lines := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := lines.ReadSlice('\n')
		if len(line) > 0 {
			l.line(line)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

func (l *logs) line(line []byte) {
	if n := len(line); line[n-1] == '\n' {
		line = line[:n-1]
	}
	line = append(append([]byte(nil), unwrap(line)...), '\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.out.Write(line)
}

// follow shows what is added to a file from now on.
func (l *logs) follow(path string) error {
	t, err := newTail(path, l.line)
	if err != nil {
		return fmt.Errorf("cannot follow %s: %w", path, err)
	}
	l.tails = append(l.tails, t)
	l.followers.Add(1)
	go func() {
		defer l.followers.Done()
		t.run()
	}()
	return nil
}

// close ends the passing on. The writers are gone by now; what they wrote
// last is still in the pipes.
func (l *logs) close() {
	for _, f := range l.pipes {
		_ = f.SetReadDeadline(time.Unix(1, 0)) // ends the reader where it is
	}
	l.readers.Wait()
	for i, f := range l.pipes {
		l.drain(f)
		f.Close()
		_ = os.Remove(l.paths[i])
	}
	for _, t := range l.tails {
		t.close()
	}
	l.followers.Wait()
}

// drain reads what is left in a pipe that nobody writes to any more.
func (l *logs) drain(f *os.File) {
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	var data []byte
	_ = raw.Control(func(fd uintptr) {
		buf := make([]byte, maxLine)
		for {
			n, err := syscall.Read(int(fd), buf) // does not wait: the pipe is non-blocking
			if n <= 0 || err != nil {
				return
			}
			data = append(data, buf[:n]...)
		}
	})
	for _, line := range bytes.SplitAfter(data, []byte("\n")) {
		if len(line) > 0 {
			l.line(line)
		}
	}
}
