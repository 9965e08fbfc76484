package stack

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// isolated runs a script with bash as the first process of
// mount and process namespaces of its own. It ends, with all it has started
// and mounted, when the script does, when ctx does, or when this process dies.
// The last lines of its output become part of an error.
func isolated(ctx context.Context, env []string, text string, args ...string) error {
	var out tail
	cmd := exec.CommandContext(ctx, "bash", append([]string{"-c", text, "stack"}, args...)...)
	cmd.Env = env
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 10 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
	}
	// The signal comes when the thread ends that started the command.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Run()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("%v; the last lines:\n%s", exit.ProcessState, out.String())
	}
	return err
}

// tailLines is how much of a failed command's output is shown.
const tailLines = 25

// tail keeps the last lines written to it.
type tail struct {
	lines []string
	last  strings.Builder // the line being written
}

func (t *tail) Write(p []byte) (int, error) {
	for _, c := range p {
		switch {
		case c == '\n':
			t.lines = append(t.lines, t.last.String())
			if len(t.lines) > tailLines {
				t.lines = t.lines[1:]
			}
			t.last.Reset()
		case t.last.Len() < 500:
			t.last.WriteByte(c)
		}
	}
	return len(p), nil
}

func (t *tail) String() string {
	return strings.TrimSpace(strings.Join(append(t.lines, t.last.String()), "\n"))
}
