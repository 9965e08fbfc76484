package classic

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Command is a program that a pack runs in the build.
type Command struct {
	Args []string
	Dir  string  // default: the build directory
	Env  Environ // default: the call's
	Out  io.Writer
	In   io.Reader
}

// waitForOutput is how long a command's background processes may keep its
// output open after it has ended.
const waitForOutput = 2 * time.Second

// Run runs a command and streams its output, indented, to the build's output.
func (c *Call) Run(ctx context.Context, args ...string) error {
	return c.Exec(ctx, Command{Args: args, Out: c.Out.Indented()})
}

// Output runs a command and returns what it wrote to stdout; stderr is part
// of the error.
func (c *Call) Output(ctx context.Context, args ...string) (string, error) {
	var out, errs bytes.Buffer
	cmd, err := c.command(ctx, Command{Args: args})
	if err != nil {
		return "", err
	}
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := wait(cmd); err != nil {
		if text := strings.TrimSpace(errs.String()); text != "" {
			err = fmt.Errorf("%w\n%s", err, text)
		}
		return "", fmt.Errorf("cannot run %s: %w", strings.Join(args, " "), err)
	}
	return out.String(), nil
}

// Exec runs a command whose stdout and stderr both go to cmd.Out.
func (c *Call) Exec(ctx context.Context, command Command) error {
	cmd, err := c.command(ctx, command)
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr, cmd.Stdin = command.Out, command.Out, command.In
	return wait(cmd)
}

// Status is the exit status behind an error of Run or Exec, or -1 when the
// command could not be run at all.
func Status(err error) int {
	if err == nil {
		return 0
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return -1
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return exit.ExitCode()
}

// TestStatus turns the outcome of an app's test command into what a Tester
// returns: a command that ran and failed is a verdict, not an error.
func TestStatus(err error) (int, error) {
	if s := Status(err); s >= 0 {
		return s, nil
	}
	return 1, err
}

func (c *Call) command(ctx context.Context, command Command) (*exec.Cmd, error) {
	env := command.Env
	if env == nil {
		env = c.Env
	}
	program, err := lookPath(env.Get("PATH"), command.Args[0])
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, command.Args[1:]...)
	cmd.Args[0] = command.Args[0]
	cmd.Dir = command.Dir
	if cmd.Dir == "" {
		cmd.Dir = c.BuildDir
	}
	env = env.Clone()
	env.Set("PWD", cmd.Dir)
	cmd.Env = env.List()
	// A package manager starts scripts that start compilers: end all of them.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = waitForOutput
	return cmd, nil
}

func wait(cmd *exec.Cmd) error {
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil // the command itself ended well and left a process behind
	}
	return err
}

// lookPath finds a program in the PATH of the build, not of this process.
func lookPath(path, name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, dir := range filepath.SplitList(path) {
		if dir == "" || !filepath.IsAbs(dir) {
			continue
		}
		if found, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("cannot run %s: it is not in PATH", name)
}
