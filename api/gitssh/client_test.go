package gitssh_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"paas/api"
	"paas/api/gitssh"
	"paas/slug/source"
)

// ssh runs the real ssh client with a command line.
func (h *host) ssh(key string, command ...string) (stdout, stderr string, code int) {
	env := h.env(key)
	words := strings.Fields(strings.TrimPrefix(env[len(env)-1], "GIT_SSH_COMMAND="))
	cmd := exec.Command(words[0], append(append(words[1:], "git@127.0.0.1"), command...)...)
	cmd.Env = env
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	_ = cmd.Run()
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

func TestWhatIsRefused(t *testing.T) {
	h := newHost(t, nil)
	h.apps["otherapp"] = api.App{ID: "22222222-2222-4222-8222-222222222222", Name: "otherapp"}
	h.strangeKey("stranger")
	for _, test := range []struct {
		name, key string
		command   []string
		code      int
		want      string
	}{
		{"no shell", "alice", nil, 1, "Hello alice@example.com!"},
		{"a command", "alice", []string{"id"}, 1, " !     Only git push, git fetch and git clone"},
		{"scp", "alice", []string{"scp -t /tmp"}, 1, " !     Only git"},
		{"shell syntax", "alice", []string{"git-receive-pack 'myapp.git'; id"}, 1, " !     Only git"},
		{"archive", "alice", []string{"git-upload-archive 'myapp.git'"}, 1, " !     Only git"},
		{"unknown app", "alice", []string{"git-receive-pack 'nope.git'"}, 1, " !     No such app as nope."},
		{"forbidden app", "alice", []string{"git-receive-pack 'otherapp.git'"}, 1, " !     No such app as otherapp."},
		{"forbidden app, fetch", "alice", []string{"git-upload-pack '/otherapp.git'"}, 1, " !     No such app as otherapp."},
		{"path", "alice", []string{"git-upload-pack '/../../etc'"}, 1, " !     No such app as ../../etc."},
		{"unknown key", "stranger", []string{"git-receive-pack 'myapp.git'"}, 255, "Permission denied (publickey)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, errs, code := h.ssh(test.key, test.command...)
			if code != test.code || !strings.Contains(out+errs, test.want) {
				t.Errorf("exit %d, stdout %q, stderr %q; want %d and %q", code, out, errs, test.code, test.want)
			}
		})
	}
	// Unknown and forbidden: the same but for the name.
	_, unknown, _ := h.ssh("alice", "git-receive-pack 'nope.git'")
	_, forbidden, _ := h.ssh("alice", "git-receive-pack 'otherapp.git'")
	if strings.ReplaceAll(forbidden, "otherapp", "nope") != unknown {
		t.Errorf("%q and %q differ", unknown, forbidden)
	}
	for _, form := range []string{"git-receive-pack 'myapp.git'", "git-receive-pack '/myapp.git'", "git receive-pack myapp", "git-receive-pack \"myapp\""} {
		if out, errs, _ := h.ssh("alice", form); !strings.Contains(out, "capabilities^{}") {
			t.Errorf("%s: %q %q", form, out, errs)
		}
	}
}

func TestRemovedKey(t *testing.T) {
	h := newHost(t, nil)
	signer := h.key("bob", "bob@example.com")
	conn := dial(t, h, gossh.PublicKeys(signer))
	if out := run(t, conn, ""); !strings.Contains(out, "bob@example.com") {
		t.Fatalf("greeting: %q", out)
	}
	h.mu.Lock()
	delete(h.accounts, gossh.FingerprintSHA256(signer.PublicKey()))
	h.mu.Unlock()
	if out := run(t, conn, ""); strings.Contains(out, "bob") {
		t.Errorf("the connection outlives its key: %q", out)
	}
}

func dial(t *testing.T, h *host, auth gossh.AuthMethod) *gossh.Client {
	t.Helper()
	conn, err := gossh.Dial("tcp", h.addr, &gossh.ClientConfig{User: "git", Auth: []gossh.AuthMethod{auth}, HostKeyCallback: gossh.InsecureIgnoreHostKey()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// run starts a session and returns what it prints; no command is a shell.
func run(t *testing.T, conn *gossh.Client, command string) string {
	t.Helper()
	s, err := conn.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var out, errs bytes.Buffer
	s.Stdout, s.Stderr = &out, &errs
	if command == "" {
		err = s.Shell()
	} else {
		err = s.Start(command)
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Wait()
	return out.String() + errs.String()
}

// liar is a public key that is another one each time it is asked.
type liar struct {
	gossh.PublicKey
	mu   *sync.Mutex
	next *[]gossh.PublicKey
}

func (l liar) Marshal() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := (*l.next)[0]
	if len(*l.next) > 1 {
		*l.next = (*l.next)[1:]
	}
	return key.Marshal()
}

type lyingSigner struct {
	gossh.Signer
	public gossh.PublicKey
}

func (s lyingSigner) PublicKey() gossh.PublicKey { return s.public }

// The attack of CVE-2024-45337: a client asks whether its own key would do,
// then asks the same of another account's key, whose private half it has not
// got, and then signs with its own. A server that takes the key it was asked
// about last lets it in as the other account.
func TestOfferedKeyIsNotProved(t *testing.T) {
	h := newHost(t, nil)
	mallory := h.key("mallory", "mallory@example.com")
	alice := h.strangeKey("alice2")
	h.mu.Lock()
	h.accounts[gossh.FingerprintSHA256(alice.PublicKey())] = api.Account{ID: "alice2", Email: "alice2@example.com"}
	h.mu.Unlock()
	_, other, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	unrelated, err := gossh.NewSignerFromKey(other)
	if err != nil {
		t.Fatal(err)
	}
	lie := func(keys ...gossh.PublicKey) gossh.Signer {
		return lyingSigner{Signer: mallory, public: liar{PublicKey: mallory.PublicKey(), mu: &sync.Mutex{}, next: &keys}}
	}
	m, a, u := mallory.PublicKey(), alice.PublicKey(), unrelated.PublicKey()
	for name, signers := range map[string][]gossh.Signer{
		// Marshal is called for the question, for its answer, and for the
		// signature. The first signer asks and pretends to be refused.
		"own key asked first": {lie(m, u), lie(a, a, m)},
		"own key never asked": {lie(a, a, m)},
		"asked in circles":    {lie(m, u), lie(a, u), lie(m, u), lie(a, a, m)},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := gossh.Dial("tcp", h.addr, &gossh.ClientConfig{User: "git", Auth: []gossh.AuthMethod{gossh.PublicKeys(signers...)}, HostKeyCallback: gossh.InsecureIgnoreHostKey()})
			if err != nil {
				t.Fatalf("the attacker cannot even log in as themselves, so this proves nothing: %v", err)
			}
			defer conn.Close()
			if out := run(t, conn, ""); !strings.Contains(out, "mallory@example.com") {
				t.Errorf("mallory came in as somebody else: %q", out)
			}
		})
	}
	// And a signature by another key than the named one is none.
	forged := lyingSigner{Signer: mallory, public: a}
	if conn, err := gossh.Dial("tcp", h.addr, &gossh.ClientConfig{User: "git", Auth: []gossh.AuthMethod{gossh.PublicKeys(forged)}, HostKeyCallback: gossh.InsecureIgnoreHostKey()}); err == nil {
		conn.Close()
		t.Error("a forged signature was accepted")
	}
}

func TestNoPasswords(t *testing.T) {
	h := newHost(t, nil)
	for name, auth := range map[string]gossh.AuthMethod{
		"password":             gossh.Password(""),
		"keyboard-interactive": gossh.KeyboardInteractive(func(string, string, []string, []bool) ([]string, error) { return nil, nil }),
	} {
		if conn, err := gossh.Dial("tcp", h.addr, &gossh.ClientConfig{User: "git", Auth: []gossh.AuthMethod{auth}, HostKeyCallback: gossh.InsecureIgnoreHostKey()}); err == nil {
			conn.Close()
			t.Errorf("%s was accepted", name)
		}
	}
	if conn, err := gossh.Dial("tcp", h.addr, &gossh.ClientConfig{User: "git", HostKeyCallback: gossh.InsecureIgnoreHostKey()}); err == nil {
		conn.Close()
		t.Error("no authentication at all was accepted")
	}
}

// closes waits until the other side closes the connection.
func closes(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection stays open: %v", err)
	}
}

func TestConnectionLimits(t *testing.T) {
	h := newHost(t, func(o *gitssh.Options, _ *source.Options) {
		o.MaxConnections, o.MaxUnauthenticated, o.MaxSessions = 3, 2, 2
		o.AuthTimeout, o.IdleTimeout = time.Second, 2*time.Second
	})
	signer := h.key("bob", "bob@example.com")
	idle := func() net.Conn {
		conn, err := net.Dial("tcp", h.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	one, two, three := idle(), idle(), idle()
	closes(t, three) // refused at once
	closes(t, one)   // did not authenticate in time
	closes(t, two)
	conn := dial(t, h, gossh.PublicKeys(signer))
	for range 2 {
		s, err := conn.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Setenv("LD_PRELOAD", "x"); err == nil {
			t.Error("a variable was accepted")
		}
		if err := s.RequestPty("xterm", 1, 1, nil); err == nil {
			t.Error("a terminal was given")
		}
	}
	if _, err := conn.NewSession(); err == nil {
		t.Error("a session too many was opened")
	}
	// Sessions that ask for nothing end, then the connection does.
	ended := make(chan error, 1)
	go func() { ended <- conn.Wait() }()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("an idle connection stays open")
	}
	dial(t, h, gossh.PublicKeys(signer))
}

func TestSilentClientIsGivenUp(t *testing.T) {
	h := newHost(t, func(o *gitssh.Options, _ *source.Options) {
		o.KeepAlive, o.KeepAliveMisses = 50*time.Millisecond, 3
	})
	c := h.client(t)
	c.commit(t, "one", "a", "1")
	building := make(chan struct{})
	gone := make(chan struct{})
	h.onDeploy(func(ctx context.Context, d gitssh.Deploy) error {
		close(building)
		select {
		case <-d.Push.ClientGone:
			close(gone)
		case <-time.After(20 * time.Second):
		}
		return errors.New("cancelled")
	})
	cmd := c.command("push", "paas", "main")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }()
	<-building
	// A stopped process keeps its connection open and answers nothing.
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	select {
	case <-gone:
	case <-time.After(20 * time.Second):
		t.Error("nobody noticed that the client is gone")
	}
}

// Ctrl-C at the push: the deploy is told, its context goes on, and what it
// decides holds.
func TestClientLeavesDuringBuild(t *testing.T) {
	for _, finish := range []bool{true, false} {
		t.Run(fmt.Sprint("build goes on: ", finish), func(t *testing.T) {
			h := newHost(t, nil)
			c := h.client(t)
			first := c.commit(t, "one", "a", "1")
			building, done := make(chan struct{}), make(chan struct{})
			h.onDeploy(func(ctx context.Context, d gitssh.Deploy) error {
				defer close(done)
				close(building)
				<-d.Push.ClientGone
				if ctx.Err() != nil {
					t.Error("the context has ended with the client")
				}
				for range 1000 { // nobody reads this
					fmt.Fprintln(d.Output, strings.Repeat("x", 10_000))
				}
				if !finish {
					return errors.New("cancelled")
				}
				return h.export(ctx, d)
			})
			cmd := c.command("push", "paas", "main")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			<-building
			if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			select {
			case <-done:
			case <-time.After(20 * time.Second):
				t.Fatal("the deploy does not end")
			}
			h.stop() // waits for the session
			want := ""
			if finish {
				want = first
			}
			if got := h.server(t, "for-each-ref", "--format=%(objectname)"); got != want {
				t.Errorf("refs: %q, want %q", got, want)
			}
			h.clean(t)
		})
	}
}

// A client that dies while it sends leaves nothing, and does not block others.
func TestClientLeavesDuringUpload(t *testing.T) {
	h := newHost(t, nil)
	c := h.client(t)
	conn := dial(t, h, gossh.PublicKeys(h.key("bob", "bob@example.com")))
	s, err := conn.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	in, err := s.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("git-receive-pack 'myapp.git'"); err != nil {
		t.Fatal(err)
	}
	line := strings.Repeat("0", 40) + " " + strings.Repeat("1", 40) + " refs/heads/main\x00report-status side-band-64k"
	fmt.Fprintf(in, "%04x%s0000PACK\x00\x00\x00\x02\x00\x00\x00\x05", len(line)+4, line)
	// The push has the lock once another one is told so.
	c.commit(t, "one", "a", "1")
	for deadline := time.Now().Add(20 * time.Second); ; {
		if time.Now().After(deadline) {
			t.Fatal("the half push never had the lock")
		}
		out, err := c.try("push", "paas", "main:side")
		if err != nil && strings.Contains(out, "Another push is in progress") {
			break
		}
		if err != nil {
			t.Fatalf("push: %v\n%s", err, out)
		}
		c.git(t, "push", "paas", "--delete", "side")
	}
	conn.Close()
	_, _ = io.Copy(io.Discard, out)
	for deadline := time.Now().Add(20 * time.Second); ; {
		if out, err := c.try("push", "paas", "main"); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the repository stays locked: %s", out)
		}
	}
	h.stop()
	h.clean(t)
}

// A client that promises a pack and sends nothing does not keep the lock.
func TestSilentUploadIsGivenUp(t *testing.T) {
	h := newHost(t, func(_ *gitssh.Options, o *source.Options) { o.Idle = 100 * time.Millisecond })
	conn := dial(t, h, gossh.PublicKeys(h.key("bob", "bob@example.com")))
	line := strings.Repeat("0", 40) + " " + strings.Repeat("1", 40) + " refs/heads/main\x00report-status side-band-64k"
	for _, sent := range []string{"", "PACK\x00\x00\x00\x02\x00\x00\x00\x05"} {
		s, err := conn.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		in, err := s.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start("git-receive-pack 'myapp.git'"); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(in, "%04x%s0000%s", len(line)+4, line, sent)
		answer, err := io.ReadAll(out) // while in stays open
		if err != nil || !strings.Contains(string(answer), "ng refs/heads/main the client sent nothing for too long") {
			t.Errorf("after %q: %v, %q", sent, err, answer)
		}
	}
	h.stop()
	h.clean(t)
}

// Output reaches the client while the build runs, not at its end.
func TestOutputIsLive(t *testing.T) {
	h := newHost(t, nil)
	c := h.client(t)
	c.commit(t, "one", "a", "1")
	seen := make(chan struct{})
	h.onDeploy(func(_ context.Context, d gitssh.Deploy) error {
		fmt.Fprint(d.Output, "-----> Step one\n")
		select {
		case <-seen:
			return nil
		case <-time.After(20 * time.Second):
			return errors.New("the client has seen nothing")
		}
	})
	cmd := c.command("push", "paas", "main")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	buf := make([]byte, 1024)
	told := false
	for {
		n, err := stderr.Read(buf)
		all.Write(buf[:n])
		if !told && strings.Contains(all.String(), "remote: -----> Step one") {
			told = true
			close(seen)
		}
		if err != nil {
			break
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("push: %v\n%s", err, all.String())
	}
}

func TestStopEndsSessions(t *testing.T) {
	h := newHost(t, nil)
	c := h.client(t)
	c.commit(t, "one", "a", "1")
	building := make(chan struct{})
	h.onDeploy(func(ctx context.Context, d gitssh.Deploy) error {
		close(building)
		<-ctx.Done()
		fmt.Fprint(d.Output, " !     The platform is being restarted.\n")
		return ctx.Err()
	})
	var out string
	ended := make(chan struct{})
	go func() { out, _ = c.try("push", "paas", "main"); close(ended) }()
	<-building
	h.stop()
	<-ended
	contains(t, out, "The platform is being restarted", "pre-receive hook declined")
	h.clean(t)
}
