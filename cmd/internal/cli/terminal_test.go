package cli_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/term"

	"paas/api"
	"paas/dyno/dynotest"
)

// session is a running CLI that a test talks to.
type session struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser

	mu   sync.Mutex
	out  strings.Builder
	grew chan struct{} // closed and replaced with each output; nil = it ended
	seen int           // how much of out was expected already
}

func newSession(t *testing.T, w *world, args ...string) *session {
	s := &session{t: t, cmd: exec.Command("paas", args...), grew: make(chan struct{})}
	s.cmd.Env = append(os.Environ(), "PAAS_API_URL="+w.http.URL, "PAAS_API_KEY="+w.token, "PAAS_APP=shop", "TERM=xterm", "XDG_CONFIG_HOME="+t.TempDir())
	t.Cleanup(func() {
		if s.cmd.ProcessState == nil && s.cmd.Process != nil {
			s.cmd.Process.Kill()
			s.cmd.Wait()
		}
	})
	return s
}

// piped starts the CLI without a terminal.
func piped(t *testing.T, w *world, args ...string) *session {
	t.Helper()
	s := newSession(t, w, args...)
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stdout, s.cmd.Stderr = in, in
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	go s.read(out)
	return s
}

// onTerminal starts the CLI on a terminal of 24 by 80.
func onTerminal(t *testing.T, w *world, args ...string) (*session, *os.File) {
	t.Helper()
	s := newSession(t, w, args...)
	terminal, err := pty.StartWithSize(s.cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	s.in = terminal
	t.Cleanup(func() { terminal.Close() })
	go s.read(terminal)
	return s, terminal
}

func (s *session) read(from io.Reader) {
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		s.mu.Lock()
		s.out.Write(buf[:n])
		close(s.grew)
		s.grew = make(chan struct{})
		if err != nil { // a terminal ends with EIO
			s.grew = nil
		}
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// expect waits for text behind what was expected before.
func (s *session) expect(text string) {
	s.t.Helper()
	late := time.After(30 * time.Second)
	for {
		s.mu.Lock()
		all, grew := s.out.String(), s.grew
		i := strings.Index(all[s.seen:], text)
		if i >= 0 {
			s.seen += i + len(text)
		}
		s.mu.Unlock()
		switch {
		case i >= 0:
			return
		case grew == nil:
			s.t.Fatalf("it ended without %q:\n%s", text, all)
		}
		select {
		case <-grew:
		case <-late:
			s.t.Fatalf("waited in vain for %q:\n%s", text, all)
		}
	}
}

func (s *session) send(text string) {
	s.t.Helper()
	if _, err := io.WriteString(s.in, text); err != nil {
		s.t.Fatal(err)
	}
}

// ends waits for the CLI's end and returns its exit status.
func (s *session) ends() int {
	s.t.Helper()
	done := make(chan error, 1)
	go func() { done <- s.cmd.Wait() }()
	select {
	case err := <-done:
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			s.t.Fatal(err)
		}
		return s.cmd.ProcessState.ExitCode()
	case <-time.After(30 * time.Second):
		s.t.Fatalf("it does not end:\n%s", s.text())
	}
	return -1
}

func (s *session) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String()
}

func deployed(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, t.TempDir())
	if _, err := w.CreateApp(w.ctx, w.who, appRequest); err != nil {
		t.Fatal(err)
	}
	if err := w.deploy("shop", "1111aaaa", "web: "+dynotest.Listen); err != nil {
		t.Fatal(err)
	}
	return w
}

func terminalState(t *testing.T, f *os.File) *term.State {
	t.Helper()
	state, err := term.GetState(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// On a terminal every key goes to the dyno, Ctrl-C too, and the dyno's
// terminal has the size of ours.
func TestRunOnATerminal(t *testing.T) {
	w := deployed(t)
	const asks = 500
	s, terminal := onTerminal(t, w, "run", strings.Repeat("read A; stty size; echo .; ", asks)+"read B; echo got $B; exit 5")
	before := terminalState(t, terminal)
	s.expect("on shop... run.")
	asked := 0
	// Sizes are not answered, and overtake keys: ask until it is there.
	until := func(size string) {
		for s.last() != size {
			if asked++; asked > asks {
				t.Fatalf("the size is never %s:\n%s", size, s.text())
			}
			s.send("\n")
			s.expect("\n.\n")
		}
	}
	until("24 80")
	if err := pty.Setsize(terminal, &pty.Winsize{Rows: 50, Cols: 132}); err != nil {
		t.Fatal(err)
	}
	until("50 132")
	s.send(strings.Repeat("\n", asks-asked) + "\x03abc\n")
	s.expect("got \x03abc")
	if status := s.ends(); status != 5 {
		t.Errorf("exit status %d", status)
	}
	if after := terminalState(t, terminal); !reflect.DeepEqual(before, after) {
		t.Errorf("the terminal is left as %+v, was %+v", after, before)
	}
}

// last is the last line before the "." that was expected.
func (s *session) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := strings.Split(strings.TrimSuffix(s.out.String()[:s.seen], "\n.\n"), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// Without a terminal Ctrl-C ends the CLI, and the dyno with it.
func TestRunInterrupted(t *testing.T) {
	w := deployed(t)
	s := piped(t, w, "run", "echo ready; sleep infinity")
	s.expect("ready\n")
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if status := s.ends(); status != 130 {
		t.Errorf("exit status %d", status)
	}
	w.untilUp("shop", "run", 0)
	if text := s.text(); text != "ready\n" {
		t.Errorf("it said %q", text)
	}
}

// A dyno that takes its time to read is no broken connection, and its output
// comes while its input is open.
func TestRunStreams(t *testing.T) {
	w := deployed(t)
	s := piped(t, w, "run", "cat")
	s.send("one\n")
	s.expect("one\n")
	s.send("two\n")
	s.expect("two\n")
	s.in.Close()
	if status := s.ends(); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// A tail goes on behind its last line when the connection breaks.
func TestTailIsResumed(t *testing.T) {
	w := deployed(t)
	shop := w.app("shop").ID
	line := func(text string) {
		w.logs.Write(shop, api.LogLine{Time: time.Now(), Source: api.SourceApp, Proc: "web.1", Message: text})
	}
	line("before")
	s := piped(t, w, "logs", "--tail", "-n", "1", "-d", "web.1", "-s", "app")
	s.expect("app[web.1]: before\n")
	line("first")
	s.expect("app[web.1]: first\n")
	for i := range 3 {
		w.http.CloseClientConnections()
		line(fmt.Sprint("break ", i))
		s.expect(fmt.Sprintf("app[web.1]: break %d\n", i))
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if status := s.ends(); status != 130 {
		t.Errorf("exit status %d", status)
	}
	if n := strings.Count(s.text(), "\n"); n != 5 {
		t.Errorf("%d lines, want each of 5 once:\n%s", n, s.text())
	}
}

// A password is not shown, and Ctrl-C at the question gives the terminal back
// as it was.
func TestPasswordPrompt(t *testing.T) {
	w := deployed(t)
	s, terminal := onTerminal(t, w, "login", "--api-url", w.http.URL)
	before := terminalState(t, terminal)
	s.expect("Email: ")
	s.send("ada@example.com\n")
	s.expect("Password: ")
	// The echo is turned off just after the question was put.
	for reflect.DeepEqual(before, terminalState(t, terminal)) {
		time.Sleep(time.Millisecond)
	}
	s.send("a secret\n")
	s.expect("▸")
	if status := s.ends(); status != 1 {
		t.Errorf("exit status %d", status)
	}
	if strings.Contains(s.text(), "secret") {
		t.Errorf("the password is shown:\n%s", s.text())
	}

	s, terminal = onTerminal(t, w, "login", "--api-url", w.http.URL)
	before = terminalState(t, terminal)
	s.expect("Email: ")
	s.send("ada@example.com\n")
	s.expect("Password: ")
	for reflect.DeepEqual(before, terminalState(t, terminal)) {
		time.Sleep(time.Millisecond)
	}
	s.send("half\x03")
	if status := s.ends(); status != 130 {
		t.Errorf("exit status %d after Ctrl-C", status)
	}
	if after := terminalState(t, terminal); !reflect.DeepEqual(before, after) {
		t.Errorf("the terminal is left as %+v, was %+v", after, before)
	}
}
