package gitssh_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"paas/api"
	"paas/api/gitssh"
	"paas/slug/source"
)

// TestMain serves when a test has started this program again as a server: to
// measure a process there must be one that does nothing else.
func TestMain(m *testing.M) {
	if dir := os.Getenv("GITSSH_TEST_SERVE"); dir != "" {
		if err := serve(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// everybody lets every key use every app, whose id is its name.
type everybody struct {
	dir    string
	export bool
}

func (everybody) AccountByKey(context.Context, string) (api.Account, error) {
	return api.Account{Email: "a@example.com"}, nil
}

func (everybody) Authorize(_ context.Context, _ api.Account, name string, _ bool) (api.App, error) {
	return api.App{ID: name, Name: name}, nil
}

func (e everybody) Deploy(ctx context.Context, d gitssh.Deploy) error {
	if !e.export {
		return nil
	}
	dir, err := os.MkdirTemp(e.dir, "export-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return d.Source.Export(ctx, dir)
}

func serve(dir string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	repos, err := source.Open(filepath.Join(dir, "repos"), source.Options{Log: log})
	if err != nil {
		return err
	}
	all := everybody{dir: dir, export: os.Getenv("GITSSH_TEST_EXPORT") != ""}
	server, err := gitssh.New(gitssh.Options{Accounts: all, Apps: all, Deployer: all, Repos: repos, Log: log, HostKeys: dir})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { _ = repos.Run(ctx) })
	return server.Serve(ctx, l)
}

// process is a server in a process of its own.
type process struct {
	cmd  *exec.Cmd
	addr string
}

func startServer(t testing.TB, export bool) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "GITSSH_TEST_SERVE="+t.TempDir())
	if export {
		cmd.Env = append(cmd.Env, "GITSSH_TEST_EXPORT=1")
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return &process{cmd: cmd, addr: strings.TrimSpace(addr)}
}

// The kinds of memory of a process: all that is resident, or what is its own
// and not a file's pages, which the kernel can drop at will.
const (
	residentMemory = "VmRSS:"
	ownMemory      = "RssAnon:"
)

// peak samples the memory of a process and all below it until stop is called,
// which returns the greatest sum in bytes.
func peak(pid int, kind string) (stop func() int64) {
	quit, result := make(chan struct{}), make(chan int64)
	go func() {
		var most int64
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			most = max(most, memory(pid, kind))
			select {
			case <-quit:
				result <- most
				return
			case <-tick.C:
			}
		}
	}()
	return func() int64 { close(quit); return <-result }
}

func memory(pid int, kind string) int64 {
	var sum int64
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if _, rest, ok := strings.Cut(string(status), "\n"+kind); ok {
		kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		sum = kib << 10
	}
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, l := range lists {
		b, _ := os.ReadFile(l)
		for child := range strings.FieldsSeq(string(b)) {
			n, _ := strconv.Atoi(child)
			sum += memory(n, kind)
		}
	}
	return sum
}

// git runs a client's git against the server; the key is any.
func gitTo(t testing.TB, dir, key string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Dir(key), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com",
		"GIT_SSH_COMMAND=ssh -F /dev/null -i " + key + " -o IdentitiesOnly=yes -o IdentityAgent=none -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR",
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// newKey makes a client's key with the real tool.
func newKey(t testing.TB) string {
	t.Helper()
	key := filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	return key
}

// history makes a repository with a commit per change and its own blob, tree
// and commit in each, by git fast-import.
func history(t testing.TB, dir string, commits, files, fileSize int) {
	t.Helper()
	gitTo(t, dir, "/nonexistent/key", "init", "-q", "-b", "main")
	cmd := exec.Command("git", "fast-import", "--quiet")
	cmd.Dir = dir
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(in, 1<<20)
	line := "if err := %s(ctx, %d); err != nil { return fmt.Errorf(\"cannot do step %d: %%w\", err) }\n"
	seed := uint64(1)
	for i := range commits {
		var body strings.Builder
		for body.Len() < fileSize {
			seed = seed*6364136223846793005 + 1442695040888963407
			fmt.Fprintf(&body, line, strconv.FormatUint(seed>>40, 36), i, seed>>56)
		}
		fmt.Fprintf(&body, "// revision %d\n", i)
		fmt.Fprintf(w, "commit refs/heads/main\ncommitter A <a@example.com> %d +0000\ndata 6\nchange\n", 1_700_000_000+i)
		fmt.Fprintf(w, "M 100644 inline d%d/f%d.go\ndata %d\n%s\n", i%files%10, i%files, body.Len(), body.String())
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	gitTo(t, dir, "/nonexistent/key", "reset", "-q", "--hard")
}
