package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// process is a running process of the host that is not our child. The kernel's
// pidfd keeps it apart from a later process with the same number, and tells of
// its end without polling.
type process struct {
	pid int
	fd  *os.File
}

func openProcess(pid int) (*process, error) {
	// Non-blocking, so that Go's poller waits for it and no thread does.
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("cannot watch process %d: %w", pid, err)
	}
	return &process{pid: pid, fd: os.NewFile(uintptr(fd), "pidfd:"+strconv.Itoa(pid))}, nil
}

func (p *process) close() {
	if p != nil {
		p.fd.Close()
	}
}

// wait returns nil when the process has ended, else ctx's error.
func (p *process) wait(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { p.fd.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	conn, err := p.fd.SyscallConn()
	if err != nil {
		return fmt.Errorf("cannot watch process %d: %v", p.pid, err)
	}
	err = conn.Read(func(fd uintptr) bool { return ended(int(fd)) })
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("cannot watch process %d: %v", p.pid, err)
	}
	return nil
}

func ended(pidfd int) bool {
	for {
		fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 0)
		if !errors.Is(err, unix.EINTR) {
			return err == nil && n > 0
		}
	}
}

func (p *process) alive() bool {
	conn, err := p.fd.SyscallConn()
	if err != nil {
		return false
	}
	gone := false
	if err := conn.Control(func(fd uintptr) { gone = ended(int(fd)) }); err != nil {
		return false
	}
	return !gone
}

// signal sends to this very process; one that has ended is no error.
func (p *process) signal(sig unix.Signal) error {
	conn, err := p.fd.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	if err := conn.Control(func(fd uintptr) { serr = unix.PidfdSendSignal(int(fd), sig, nil, 0) }); err != nil {
		return err
	}
	if errors.Is(serr, unix.ESRCH) {
		return nil
	}
	return serr
}

// procStat reads the fields of /proc/<pid>/stat that tell a process apart: its
// parent, and when it was started (clock ticks since boot).
func procStat(pid int) (parent int, started string, err error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, "", err
	}
	// The command name, in parentheses, may hold anything.
	s := string(b)
	f := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
	if len(f) < 20 {
		return 0, "", fmt.Errorf("cannot read stat of process %d: too short", pid)
	}
	parent, err = strconv.Atoi(f[1])
	return parent, f[19], err
}
