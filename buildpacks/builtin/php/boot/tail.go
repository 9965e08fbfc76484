package boot

import (
	"bytes"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// tail follows one file by name, through rotation and truncation, woken by
// inotify on its directory.
type tail struct {
	path   string
	line   func([]byte)
	events *os.File
	file   *os.File
	offset int64
	rest   []byte // an unfinished line
}

func newTail(path string, line func([]byte)) (*tail, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, err
	}
	t := &tail{path: path, line: line, events: os.NewFile(uintptr(fd), "inotify")}
	if _, err := unix.InotifyAddWatch(fd, filepath.Dir(path), unix.IN_MODIFY|unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
		t.events.Close()
		return nil, err
	}
	if t.file, err = os.Open(path); err != nil {
		t.events.Close()
		return nil, err
	}
	if t.offset, err = t.file.Seek(0, io.SeekEnd); err != nil {
		t.file.Close()
		t.events.Close()
		return nil, err
	}
	return t, nil
}

// run reads until close. Which file of the directory an event is about does
// not matter: looking at ours once more is cheap.
func (t *tail) run() {
	buf := make([]byte, 4096)
	for {
		_, err := t.events.Read(buf)
		t.read()
		t.reopen()
		if err != nil {
			break
		}
	}
	if t.file != nil {
		t.file.Close()
	}
	if len(t.rest) > 0 {
		t.line(t.rest)
	}
}

// reopen goes over to the file that has our name now.
func (t *tail) reopen() {
	now, err := os.Stat(t.path)
	if err != nil {
		return
	}
	if t.file != nil {
		if was, err := t.file.Stat(); err == nil && os.SameFile(was, now) {
			return
		}
		t.file.Close()
	}
	if t.file, err = os.Open(t.path); err != nil {
		t.file = nil
		return
	}
	t.offset = 0
	t.read()
}

func (t *tail) read() {
	if t.file == nil {
		return
	}
	if info, err := t.file.Stat(); err == nil && info.Size() < t.offset {
		t.offset = 0
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := t.file.ReadAt(buf, t.offset)
		t.offset += int64(n)
		t.add(buf[:n])
		if n == 0 || err != nil {
			return
		}
	}
}

func (t *tail) add(p []byte) {
	t.rest = append(t.rest, p...)
	for {
		i := bytes.IndexByte(t.rest, '\n')
		if i < 0 && len(t.rest) < maxLine {
			return
		}
		if i < 0 {
			i = len(t.rest) - 1
		}
		t.line(t.rest[:i+1])
		t.rest = t.rest[i+1:]
	}
}

func (t *tail) close() { t.events.Close() }
