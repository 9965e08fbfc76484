package classic

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func newCall(t *testing.T) (*Call, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	root := t.TempDir()
	c := &Call{
		BuildDir: filepath.Join(root, "build"), CacheDir: filepath.Join(root, "cache"), PackDir: filepath.Join(root, "pack"),
		Env: ParseEnviron([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + root}), Config: map[string]string{}, Out: NewOutput(&out, &out),
	}
	for _, dir := range []string{c.BuildDir, c.CacheDir, c.PackDir} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return c, &out
}

func TestOutput(t *testing.T) {
	var out bytes.Buffer
	o := NewOutput(&out, &out)
	o.Step("Building")
	w := o.Indented()
	for _, part := range []string{"half ", "line\n\n", "a\nb", " c"} {
		if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	o.Info("two\nlines")
	o.Fail(&Failure{Message: "It broke.", Err: errors.New("cause"), Hint: "Mend it."})
	want := "-----> Building\n" +
		"       half line\n\n       a\n       b c\n" +
		"       two\n       lines\n" +
		" !\n !     It broke.\n !     cause\n !\n !     Mend it.\n !\n"
	if out.String() != want {
		t.Errorf("got\n%q\nwant\n%q", out.String(), want)
	}
}

func TestReadEnvDir(t *testing.T) {
	dir := t.TempDir()
	for name, value := range map[string]string{"A": "one\ntwo\n", "EMPTY": "", "WITH-DASH": "x", "bad name": "x", "NUL": "a\x00b"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "DIR"), 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := ReadEnvDir(dir)
	if err != nil || len(got) != 3 || got["A"] != "one\ntwo\n" || got["WITH-DASH"] != "x" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := ReadEnvDir(filepath.Join(dir, "none")); err != nil || len(got) != 0 {
		t.Errorf("%q, %v", got, err)
	}
}

func TestUnsafeConfigStaysOut(t *testing.T) {
	env := ParseEnviron([]string{"PATH=/bin", "HOME=/app"})
	env.AddConfig(map[string]string{"PATH": "/evil", "LD_PRELOAD": "/evil.so", "HOME": "/", "BASH_ENV": "/evil", "DATABASE_URL": "x", "PATHS": "y"})
	if got := strings.Join(env.List(), " "); got != "DATABASE_URL=x HOME=/app PATH=/bin PATHS=y" {
		t.Error(got)
	}
}

func TestRun(t *testing.T) {
	c, out := newCall(t)
	ctx := context.Background()
	if err := c.Run(ctx, "sh", "-c", "echo out; echo err >&2; pwd"); err != nil {
		t.Fatal(err)
	}
	if want := "       out\n       err\n       " + c.BuildDir + "\n"; out.String() != want {
		t.Errorf("%q", out.String())
	}
	if got := Status(c.Run(ctx, "sh", "-c", "exit 3")); got != 3 {
		t.Errorf("status %d", got)
	}
	if got := Status(c.Run(ctx, "sh", "-c", "kill -9 $$")); got != 137 {
		t.Errorf("status %d", got)
	}
	if got := Status(c.Run(ctx, "no-such-program")); got != -1 {
		t.Errorf("status %d", got)
	}
	if _, err := c.Output(ctx, "sh", "-c", "echo why >&2; exit 1"); err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("%v", err)
	}
	c.Env.Set("PATH", ".:"+c.BuildDir)
	if err := Write(c.Path("sh"), 0o755, "#!/bin/sh\necho mine\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Output(ctx, "sh"); err != nil || got != "mine\n" {
		t.Errorf("PATH of the build is not used: %q, %v", got, err)
	}
}

func TestBackgroundProcessDoesNotHoldTheBuild(t *testing.T) {
	c, _ := newCall(t)
	start := time.Now()
	if err := c.Run(context.Background(), "sh", "-c", "sleep 60 & echo $! > pid"); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("took %s", d)
	}
	if pid, err := c.Output(context.Background(), "cat", "pid"); err != nil {
		t.Error(err)
	} else if _, err := c.Output(context.Background(), "kill", strings.TrimSpace(pid)); err != nil {
		t.Error(err)
	}
}

func TestCancelStopsTheWholeGroup(t *testing.T) {
	c, _ := newCall(t)
	ctx, cancel := context.WithCancel(context.Background())
	if err := syscall.Mkfifo(c.Path("ready"), 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- c.Run(ctx, "sh", "-c", "(trap 'echo gone > child; exit' TERM; echo > ready; while :; do sleep 0.05; done) & wait")
	}()
	if _, err := os.ReadFile(c.Path("ready")); err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case err := <-done:
		if err == nil {
			t.Error("no error")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("still running")
	}
	if _, err := os.Stat(c.Path("child")); err != nil {
		t.Errorf("the child was not told: %v", err)
	}
}

func TestCopyAndMove(t *testing.T) {
	c, _ := newCall(t)
	if err := Write(c.Path("a", "b", "run"), 0o755, "x"); err != nil {
		t.Fatal(err)
	}
	if err := Symlink("b/run", c.Path("a", "link")); err != nil {
		t.Fatal(err)
	}
	if err := Copy(c.Path("a"), c.Path("copy")); err != nil {
		t.Fatal(err)
	}
	if err := Copy(c.Path("a"), c.Path("copy")); err != nil { // over itself
		t.Fatal(err)
	}
	info, err := os.Stat(c.Path("copy", "link"))
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v %v", info, err)
	}
	one, _ := os.Stat(c.Path("a", "b", "run"))
	if os.SameFile(one, info) {
		t.Error("the copy is the same file")
	}
	if err := Move(c.Path("copy"), c.Cached("deep", "copy")); err != nil {
		t.Fatal(err)
	}
	if c.Exists("copy") {
		t.Error("still there")
	}
}

type fake struct {
	compile func(*Call) error
	types   map[string]string
}

func (fake) Detect(c *Call) (string, error) {
	if c.Exists("yes") {
		return "Fake", nil
	}
	return "", Failf("", "no file yes")
}
func (f fake) Compile(_ context.Context, c *Call) error { return f.compile(c) }
func (f fake) Release(*Call) (map[string]string, error) { return f.types, nil }

func TestMainVerbs(t *testing.T) {
	c, _ := newCall(t)
	envDir := t.TempDir()
	if err := os.WriteFile(filepath.Join(envDir, "KEY"), []byte("value"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := fake{types: map[string]string{"web": `run "it"`, "clock": "tick"}, compile: func(c *Call) error {
		if c.Config["KEY"] != "value" || c.Env.Get("GIT_DIR") != "" {
			return errors.New("wrong surroundings")
		}
		return c.Record(map[string]string{"k": "v"})
	}}
	run := func(verb string, args ...string) (int, string) {
		var out bytes.Buffer
		status := Main(context.Background(), p, c.PackDir, verb, args, []string{"GIT_DIR=/x"}, NewOutput(&out, &out))
		return status, out.String()
	}
	if status, out := run("detect", c.BuildDir); status != 1 || out != "no file yes\n" {
		t.Errorf("%d %q", status, out)
	}
	if err := Write(c.Path("yes"), 0o644, ""); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		verb, out string
		args      []string
		status    int
	}{
		{"detect", "Fake\n", []string{c.BuildDir}, 0},
		{"report", "{}\n", []string{c.BuildDir, c.CacheDir, envDir}, 0},
		{"compile", "", []string{c.BuildDir, c.CacheDir, envDir}, 0},
		{"report", "{\n  \"k\": \"v\"\n}\n", []string{c.BuildDir, c.CacheDir, envDir}, 0},
		{"release", "---\ndefault_process_types:\n  clock: \"tick\"\n  web: \"run \\\"it\\\"\"\n", []string{c.BuildDir}, 0},
		{"test-compile", "", []string{c.BuildDir, c.CacheDir, envDir}, 0},
	} {
		if status, out := run(step.verb, step.args...); status != step.status || out != step.out {
			t.Errorf("%s: %d %q", step.verb, status, out)
		}
	}
	if status, out := run("test", c.BuildDir, envDir); status == 0 || !strings.Contains(out, "no test command") {
		t.Errorf("test: %d %q", status, out)
	}
	for _, verb := range []string{"detect", "compile"} {
		if status, _ := run(verb); status != 2 {
			t.Errorf("%s without arguments: %d", verb, status)
		}
	}
	p.types = nil
	if _, out := run("release", c.BuildDir); out != "--- {}\n" {
		t.Errorf("%q", out)
	}
}

func TestQuote(t *testing.T) {
	c, _ := newCall(t)
	for _, s := range []string{"plain", "with space", "it's", `"$(x)"`, "new\nline"} {
		got, err := c.Output(context.Background(), "sh", "-c", "printf %s "+Quote(s))
		if err != nil || got != s {
			t.Errorf("%q: %q, %v", s, got, err)
		}
	}
}
