package boot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	statusCrashed    = 70  // a process ended that should not have
	statusTerminated = 143 // SIGTERM, as of a shell
	pidWait          = 2500 * time.Millisecond
	stopWait         = 28 * time.Second // the platform kills after 30
)

// Run is a boot script: it returns the exit status. ctx ends when the dyno is
// told to stop.
func Run(ctx context.Context, web Server, args []string, log io.Writer) int {
	status, err := run(ctx, web, args, log)
	if err == nil {
		return status
	}
	var usage *UsageError
	var f *failure
	switch {
	case errors.As(err, &usage):
		fmt.Fprintf(log, "%s: %s\n", web.Command, usage.Message)
		return 2
	case errors.As(err, &f):
		fmt.Fprintf(log, "%s\n", f.message)
		return f.status
	}
	fmt.Fprintf(log, "%s: %v\n", web.Command, err)
	return 1
}

func run(ctx context.Context, web Server, args []string, log io.Writer) (int, error) {
	o, err := ParseOptions(args)
	if err != nil {
		return 2, err
	}
	if o.Help {
		fmt.Fprint(log, help(web))
		return 0, nil
	}
	self, err := os.Executable() // links are resolved: conf lies beside the program itself
	if err != nil {
		return 1, err
	}
	app, err := os.Getwd()
	if err != nil {
		return 1, err
	}
	s, err := newSettings(ctx, web, o, filepath.Dir(filepath.Dir(self)), app, os.Environ(), log)
	if err != nil {
		return 1, err
	}
	// Before any program opens its log: what one left behind that was killed
	// may be a pipe that nobody reads.
	l, err := s.startLogs()
	if err != nil {
		return 1, err
	}
	defer l.close()
	if err := s.setConcurrency(ctx); err != nil {
		return 1, err
	}
	if o.Test > 0 {
		return s.testConfig()
	}
	return s.serve(ctx)
}

func (s *settings) fpmCommand(config string, more ...string) []string {
	argv := []string{s.fpm, "--nodaemonize", "--pid", s.fpmPid(), "-y", config}
	if s.phpIni != "" {
		argv = append(argv, "-c", s.phpIni)
	}
	return append(argv, more...)
}

func (s *settings) fpmPid() string { return filepath.Join(s.tmp, "heroku.php-fpm."+s.port+".pid") }

// testConfig is -t.
func (s *settings) testConfig() (int, error) {
	fpmFlag := "-t"
	if s.Test == 2 || s.Test >= 4 {
		fpmFlag = "-tt"
	}
	config, err := s.noticing()
	if err != nil {
		return 1, err
	}
	defer os.Remove(config)
	for _, argv := range [][]string{s.fpmCommand(config, fpmFlag), s.web.test(s, s.Test >= 3)} {
		s.say("\n%s: Config testing using %s:", s.web.Command, strings.Join(argv, " "))
		cmd := s.command(argv...)
		cmd.Stdout, cmd.Stderr = s.log, s.log
		if err := cmd.Run(); err != nil {
			return 1, failf(1, "%s: the configuration has errors: %v", s.web.Command, err)
		}
	}
	s.say("\n%s: All configs okay.", s.web.Command)
	return 0, nil
}

// process is one of the two programs. ended is closed when it has.
type process struct {
	name  string
	cmd   *exec.Cmd
	ended chan struct{}
}

func (s *settings) start(name string, argv []string) (*process, error) {
	p := &process{name: name, cmd: s.command(argv...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = os.Stdout, os.Stderr
	// A group of its own: what a terminal sends to the group reaches us alone,
	// and we stop the programs in order.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // how it ended is in ProcessState
	}()
	return p, nil
}

// stop asks a program to end with a signal, and waits until it has or ctx
// ends; then it is killed.
func (p *process) stop(ctx context.Context, signal syscall.Signal) {
	_ = p.cmd.Process.Signal(signal) // it may have ended already
	select {
	case <-p.ended:
		return
	case <-ctx.Done():
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.ended
}

func (s *settings) startLogs() (*logs, error) {
	l := &logs{out: s.log}
	names := append([]string{"heroku.php-fpm.%s.log", "heroku.php-fpm.www.%s.log", "heroku.php-fpm.%s.www.slowlog"}, s.web.Logs...)
	for _, name := range names {
		if err := l.pipe(filepath.Join(s.tmp, fmt.Sprintf(name, s.port))); err != nil {
			l.close()
			return nil, err
		}
	}
	for _, file := range s.extraLogs {
		if err := l.follow(file); err != nil {
			l.close()
			return nil, err
		}
	}
	return l, nil
}

func (s *settings) serve(ctx context.Context) (int, error) {
	if err := os.Remove(s.fpmPid()); err != nil && !os.IsNotExist(err) {
		return 1, err
	}
	if s.Verbose {
		s.say("Starting php-fpm with %s workers...", s.env["WEB_CONCURRENCY"])
	}
	fpm, err := s.start("php-fpm", s.fpmCommand(s.fpmConfig))
	if err != nil {
		return 1, err
	}
	running := []*process{fpm}
	defer func() { s.stopAll(running) }()
	if err := s.waitFPM(ctx, fpm); err != nil {
		return statusCrashed, err
	}
	if s.Verbose {
		s.say("Starting %s...", s.web.Name)
	}
	web, err := s.start(s.web.program, s.web.argv(s))
	if err != nil {
		return 1, err
	}
	running = append(running, web)
	s.say("Application ready for connections on port %s.", s.port)
	select {
	case <-ctx.Done():
		s.say("SIGTERM received, attempting graceful shutdown...")
		return statusTerminated, nil
	case <-fpm.ended:
		return statusCrashed, failf(statusCrashed, "Process exited unexpectedly: php-fpm (%s), shutting down...", fpm.cmd.ProcessState)
	case <-web.ended:
		return statusCrashed, failf(statusCrashed, "Process exited unexpectedly: %s (%s), shutting down...", s.web.program, web.cmd.ProcessState)
	}
}

// waitFPM waits for PHP-FPM's pid file, which it writes when it listens.
func (s *settings) waitFPM(ctx context.Context, fpm *process) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(pidWait)
	for {
		if _, err := os.Stat(s.fpmPid()); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return failf(statusTerminated, "SIGTERM received during startup")
		case <-fpm.ended:
			return failf(statusCrashed, "php-fpm ended during startup (%s)", fpm.cmd.ProcessState)
		case <-late:
			s.say("php-fpm has not written its pid file after %s; going on without", pidWait)
			return nil
		case <-tick.C:
		}
	}
}

// stopAll stops the web server and then PHP-FPM: requests in flight need both.
func (s *settings) stopAll(running []*process) {
	ctx, cancel := context.WithTimeout(context.Background(), stopWait)
	defer cancel()
	for i := len(running) - 1; i >= 0; i-- {
		signal := syscall.SIGQUIT
		if i > 0 {
			signal = s.web.Graceful
		}
		running[i].stop(ctx, signal)
	}
	_ = os.Remove(s.fpmPid())
	s.say("Shutdown complete.")
}
