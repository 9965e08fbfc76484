package buildpacks

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// grace is what a cancelled command gets between SIGTERM and SIGKILL.
	grace = 2 * time.Second
	// maxCapture bounds what is kept of a command's stdout.
	maxCapture = 1 << 20
	// drain is how long background processes may hold a captured stdout open
	// after the command itself ended.
	drain = time.Second
)

// command is one program of a buildpack. Commands run one at a time: waiting
// for one reaps every orphan on the way.
type command struct {
	argv   []string
	dir    string
	env    []string
	stdout *os.File
	stderr *os.File
	extra  *os.File // file descriptor 3, if not nil
}

// run returns the status as a shell reports it. When ctx ends the command's
// process group is killed and the cause returned.
func (c command) run(ctx context.Context) (int, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	files := []uintptr{null.Fd(), c.stdout.Fd(), c.stderr.Fd()}
	if c.extra != nil {
		files = append(files, c.extra.Fd())
	}
	pid, err := syscall.ForkExec(c.argv[0], c.argv, &syscall.ProcAttr{
		Dir: c.dir, Env: c.env, Files: files, Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		return 0, fmt.Errorf("cannot run %s: %w", c.argv[0], err)
	}
	stop := context.AfterFunc(ctx, func() { killGroup(pid) })
	defer stop()
	for {
		var ws syscall.WaitStatus
		got, err := syscall.Wait4(-1, &ws, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return 0, fmt.Errorf("cannot wait for %s: %w", c.argv[0], err)
		case got == pid && (ws.Exited() || ws.Signaled()):
			if ctx.Err() != nil {
				return 0, context.Cause(ctx)
			}
			if ws.Signaled() {
				return 128 + int(ws.Signal()), nil
			}
			return ws.ExitStatus(), nil
		}
	}
}

// killGroup is not told whether the group is gone: a wrong guess does no harm
// in a container that has nothing else in it.
func killGroup(pid int) {
	_ = syscall.Kill(-pid, syscall.SIGTERM)
	time.AfterFunc(grace, func() { _ = syscall.Kill(-pid, syscall.SIGKILL) })
}

// capture runs c and returns the first maxCapture bytes of what it wrote to
// to: its stdout, or with on3 its file descriptor 3.
func (c command) capture(ctx context.Context, on3 bool) ([]byte, int, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, 0, err
	}
	defer r.Close()
	if on3 {
		c.extra = w
	} else {
		c.stdout = w
	}
	type text struct {
		b   []byte
		err error
	}
	read := make(chan text, 1)
	go func() {
		var kept bytes.Buffer
		_, err := io.Copy(&kept, io.LimitReader(r, maxCapture))
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		read <- text{kept.Bytes(), err}
	}()
	status, err := c.run(ctx)
	w.Close()
	_ = r.SetReadDeadline(time.Now().Add(drain)) // pipes made by os.Pipe can
	t := <-read
	return t.b, status, err
}

// becomeReaper makes orphans of the build children of this process.
func becomeReaper() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot become the build's reaper: %w", err)
	}
	return nil
}

// killStragglers ends every process below this one. It tries for a while: a
// process may be forking all the time.
func killStragglers() {
	for range 1000 {
		pids := descendants(os.Getpid())
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		for {
			var ws syscall.WaitStatus
			pid, err := syscall.Wait4(-1, &ws, syscall.WNOHANG, nil)
			if err == syscall.ECHILD {
				return
			}
			if pid <= 0 && err != syscall.EINTR {
				break
			}
		}
		time.Sleep(time.Millisecond) // the kernel needs a moment to end them
	}
}

// descendants lists the processes below pid.
func descendants(pid int) []int {
	dirs, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	children := map[int][]int{}
	for _, stat := range dirs {
		b, err := os.ReadFile(stat)
		if err != nil {
			continue // ended meanwhile
		}
		// "pid (name) state ppid": the name may hold anything, ")" too.
		fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
		if err != nil || len(fields) < 2 {
			continue
		}
		if parent, err := strconv.Atoi(string(fields[1])); err == nil {
			children[parent] = append(children[parent], child)
		}
	}
	var all []int
	for queue := []int{pid}; len(queue) > 0; queue = queue[1:] {
		all = append(all, children[queue[0]]...)
		queue = append(queue, children[queue[0]]...)
	}
	return all
}
