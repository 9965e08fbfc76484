package source

import (
	"bytes"
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

	"golang.org/x/sys/unix"
)

// git runs the git program.
type git struct {
	path   string
	env    []string // of every process
	memory uint64   // bytes of private memory one process may have
	file   uint64   // bytes one file that it writes may have
}

// gitConfig is the only configuration that git sees: repositories have none
// of their own worth mentioning, so a new version of this program changes all
// of them at once.
//
// bigFileThreshold makes big files stream instead of being held in memory, and
// packs are mapped in pieces; the pack settings bound what a fetch or a repack
// may take.
const gitConfig = `# Written by paasd at every start.
[safe]
	directory = *
[core]
	bigFileThreshold = 16m
	packedGitWindowSize = 16m
	packedGitLimit = 64m
	attributesFile = /dev/null
	excludesFile = /dev/null
	hooksPath = /dev/null
	fsmonitor = false
[gc]
	auto = 0
[maintenance]
	auto = false
[pack]
	threads = 2
	windowMemory = 64m
	deltaCacheSize = 32m
[repack]
	writeBitmaps = false
[checkout]
	workers = 2
[init]
	defaultBranch = main
[fetch]
	fsckObjects = true
[http]
	lowSpeedLimit = 1000
	lowSpeedTime = 60
[uploadpack]
	allowFilter = true
`

// openGit finds git and fixes its surroundings. home is a directory of ours.
func openGit(home string, o Options) (*git, error) {
	path, err := exec.LookPath("git")
	if err != nil {
		return nil, fmt.Errorf("cannot find git: %w", err)
	}
	config := filepath.Join(home, "gitconfig")
	if err := writeFile(config, []byte(gitConfig)); err != nil {
		return nil, fmt.Errorf("cannot write git's configuration: %w", err)
	}
	g := &git{
		path: path,
		env: append([]string{
			"PATH=" + os.Getenv("PATH"),
			"HOME=" + home,
			"LC_ALL=C",
			"GIT_CONFIG_NOSYSTEM=1",
			"GIT_CONFIG_GLOBAL=" + config,
			"GIT_ATTR_NOSYSTEM=1",
			"GIT_TERMINAL_PROMPT=0",
			"GIT_ASKPASS=true",
		}, o.Env...),
		memory: uint64(o.MaxMemory),
		file:   uint64(o.MaxPack + o.MaxTree), // a repository is more than one push
	}
	return g, g.checkVersion()
}

// checkVersion refuses a git that lacks what is used here; the youngest is
// repack --geometric.
func (g *git) checkVersion() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := g.output(ctx, g.command(ctx, "/", "version"), 1<<10)
	if err != nil {
		return err
	}
	var major, minor int
	if _, err := fmt.Sscanf(string(out), "git version %d.%d", &major, &minor); err != nil {
		return fmt.Errorf("cannot read git's version from %q", out)
	}
	if major < 2 || major == 2 && minor < 32 {
		return fmt.Errorf("git %d.%d is too old, at least 2.32 is needed", major, minor)
	}
	return nil
}

// command prepares one git process in the repository gitDir. It is killed with
// all its children when ctx ends.
func (g *git) command(ctx context.Context, gitDir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, g.path, args...)
	cmd.Dir = gitDir
	cmd.Env = append(g.env[:len(g.env):len(g.env)], "GIT_DIR="+gitDir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// gitError is a failed git process.
type gitError struct {
	command string
	stderr  string // its last lines
	err     error
}

func (e *gitError) Error() string {
	if e.stderr == "" {
		return fmt.Sprintf("cannot run git %s: %v", e.command, e.err)
	}
	return fmt.Sprintf("cannot run git %s: %v: %s", e.command, e.err, strings.ReplaceAll(e.stderr, "\n", "; "))
}

func (e *gitError) Unwrap() error { return e.err }

// running is a started git process whose errors are being collected.
type running struct {
	cmd    *exec.Cmd
	ctx    context.Context
	stderr tail
}

// start starts cmd, which command made with the same ctx, under the limits.
func (g *git) start(ctx context.Context, cmd *exec.Cmd) (*running, error) {
	r := &running{cmd: cmd, ctx: ctx}
	if cmd.Stderr == nil {
		cmd.Stderr = &r.stderr
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start git: %w", err)
	}
	// The process has barely begun; what it starts itself inherits the limits.
	for resource, limit := range map[int]uint64{unix.RLIMIT_DATA: g.memory, unix.RLIMIT_FSIZE: g.file, unix.RLIMIT_CORE: 0} {
		err := unix.Prlimit(cmd.Process.Pid, resource, &unix.Rlimit{Cur: limit, Max: limit}, nil)
		if err != nil && !errors.Is(err, unix.ESRCH) {
			_ = cmd.Cancel()
			_ = cmd.Wait()
			return nil, fmt.Errorf("cannot limit git: %w", err)
		}
	}
	return r, nil
}

// wait returns nil or a *gitError, or the cause of the context's end.
func (r *running) wait() error {
	err := r.cmd.Wait()
	if err == nil {
		return nil
	}
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	command := "?"
	for _, a := range r.cmd.Args[1:] {
		if !strings.HasPrefix(a, "-") {
			command = a
			break
		}
	}
	return &gitError{command: command, stderr: r.stderr.String(), err: err}
}

// run starts cmd and waits for it.
func (g *git) run(ctx context.Context, cmd *exec.Cmd) error {
	r, err := g.start(ctx, cmd)
	if err != nil {
		return err
	}
	return r.wait()
}

// output runs cmd and returns what it wrote, at most limit bytes.
func (g *git) output(ctx context.Context, cmd *exec.Cmd, limit int) ([]byte, error) {
	out := &bounded{limit: limit}
	cmd.Stdout = out
	if err := g.run(ctx, cmd); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// bounded is a buffer that refuses to grow beyond a limit.
type bounded struct {
	bytes.Buffer
	limit int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.limit {
		return 0, errors.New("output is too long")
	}
	return b.Buffer.Write(p)
}

// tail keeps the last bytes written to it.
type tail struct{ b []byte }

const tailSize = 2 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > 2*tailSize {
		t.b = append(t.b[:0], t.b[len(t.b)-tailSize:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	return strings.TrimSpace(strings.ToValidUTF8(string(t.b[max(0, len(t.b)-tailSize):]), "?"))
}

// writeFile writes a file so that after a crash it has either its old content
// or the new one.
func writeFile(name string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

// syncDir makes renames in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// lines makes the standard input of git commands that read one item a line.
func lines(items []string) io.Reader { return strings.NewReader(strings.Join(items, "\n") + "\n") }
