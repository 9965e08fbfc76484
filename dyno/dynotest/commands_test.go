package dynotest

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"paas/api"
	"paas/dyno"
)

// TestSnippetsAreBash runs what the suites and Fake understand in the real
// bash and compares.
func TestSnippetsAreBash(t *testing.T) {
	for _, script := range []string{
		"echo out; echo err >&2; exit 3",
		"exit", "true", "false", ":; exit 300",
		`printf '%s-%03d\n' a 7; printf 'no newline'`,
		LongLine, "seq 3 5", `echo "$DYNO" ${PORT}x '$DYNO' "a; b" c`,
		"sleep 0.01; exec echo last", "kill -9 $$", "read x; echo got $x; cat", "no-such-command",
	} {
		want, wantStatus := realBash(t, script)
		out := newTranscript()
		s := dyno.Spec{ID: "1", Name: "web.1", Command: script, Env: api.ConfigVars{"DYNO": "web.1", "PORT": "5000"}}
		f := NewFake(FakeOptions{})
		if _, err := f.Start(t.Context(), s, &dyno.Streams{Stdin: strings.NewReader("one\ntwo\n"), Stdout: out}); err != nil {
			t.Fatal(err)
		}
		e, err := f.Wait(t.Context(), "1")
		if err != nil || out.String() != want || e.Status != wantStatus {
			t.Errorf("%s\n fake: %q, %d, %v\n bash: %q, %d", script, out, e.Status, err, want, wantStatus)
		}
		f.Close()
	}
}

func bash(script string) *exec.Cmd {
	cmd := exec.Command("bash", "-c", script)
	cmd.Env = append(os.Environ(), "DYNO=web.1", "PORT=5000", "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

func realBash(t *testing.T, script string) (string, int) {
	t.Helper()
	cmd := bash(script)
	cmd.Stdin = strings.NewReader("one\ntwo\n")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	ws := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ws.Signaled() {
		return string(out), 128 + int(ws.Signal())
	}
	return string(out), ws.ExitStatus()
}

func TestSignalSnippetsAreBash(t *testing.T) {
	for script, want := range map[string]struct {
		lines  []string
		status int
	}{
		Polite: {[]string{"ready", "bye"}, 0},
		Deaf:   {[]string{"ready"}, 137},
	} {
		cmd := bash(script)
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdout = w
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		_ = w.Close()
		var lines []string
		for out := bufio.NewScanner(r); out.Scan(); {
			if lines = append(lines, out.Text()); out.Text() == "ready" {
				time.AfterFunc(100*time.Millisecond, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) })
				if want.status == 137 {
					time.AfterFunc(200*time.Millisecond, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
				}
			}
		}
		_ = r.Close()
		_ = cmd.Wait()
		ws := cmd.ProcessState.Sys().(syscall.WaitStatus)
		status := ws.ExitStatus()
		if ws.Signaled() {
			status = 128 + int(ws.Signal())
		}
		if !slices.Equal(lines, want.lines) || status != want.status {
			t.Errorf("%s: %q, %d", script, lines, status)
		}
	}
}

func TestListenIsBash(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	_, port, _ := net.SplitHostPort(addr)
	cmd := bash(Listen)
	cmd.Env = append(cmd.Env, "PORT="+port)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	for deadline := time.Now().Add(bound); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
			continue
		}
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\n\r\n")
		answer, _ := io.ReadAll(c)
		_ = c.Close()
		if !strings.HasSuffix(string(answer), "\r\n\r\nweb.1\n") {
			t.Errorf("it answers %q", answer)
		}
		return
	}
}
