package boot

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestParseOptions(t *testing.T) {
	for _, c := range []struct {
		args string
		want Options
	}{
		{"", Options{}},
		{"web/", Options{Root: "web/"}},
		{"-C inc.conf -c http.conf -F fpm.inc -f fpm.conf -i php.ini -p 80 -v public", Options{ServerInclude: "inc.conf", ServerConfig: "http.conf", FPMInclude: "fpm.inc", FPMConfig: "fpm.conf", PHPConfig: "php.ini", Port: "80", Verbose: true, Root: "public"}},
		{"-l a.log -lb.log -vttt", Options{Logs: []string{"a.log", "b.log"}, Verbose: true, Test: 3}},
		{"--test --verbose --help", Options{Test: 1, Verbose: true, Help: true}},
		{"-vC inc.conf -- -odd", Options{Verbose: true, ServerInclude: "inc.conf", Root: "-odd"}},
		{"-", Options{Root: "-"}},
	} {
		got, err := ParseOptions(strings.Fields(c.args))
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %+v, %v", c.args, got, err)
		}
	}
	for _, bad := range []string{"a b", "-x", "--what", "-C", "-vp"} {
		if o, err := ParseOptions(strings.Fields(bad)); err == nil {
			t.Errorf("%q: %+v", bad, o)
		}
	}
}

func TestWorkers(t *testing.T) {
	const g = 1024 * mib
	for _, c := range []struct {
		ram, limit int64
		cores      int
		want       int
	}{
		{512 * mib, 128 * mib, 8, 4}, // as many as fit
		{512 * mib, 128 * mib, 1, 4},
		{g, 128 * mib, 8, 8},
		{g, 128 * mib, 1, 6},
		{2560 * mib, 128 * mib, 2, 20},
		{14 * g, 128 * mib, 8, 112},
		{14 * g, 256 * mib, 8, 56},
		{512 * mib, 64 * mib, 1, 8},
		{512 * mib, 512 * mib, 4, 1},
		{512 * mib, 2 * g, 4, 1},
		{512 * mib, -1, 4, 1},
		{64 * mib, 32 * mib, 4, 1},
	} {
		if got := workers(c.ram, c.limit, c.cores); got != c.want {
			t.Errorf("workers(%dM, %dM, %d) = %d, want %d", c.ram/mib, c.limit/mib, c.cores, got, c.want)
		}
	}
}

func TestMemory(t *testing.T) {
	const v2, v1 = "/sys/fs/cgroup/memory.", "/sys/fs/cgroup/memory/memory.limit_in_bytes"
	for _, c := range []struct {
		files map[string]string
		want  int64
	}{
		{nil, 512 * mib},
		{map[string]string{v1: "1073741824\n"}, 1024 * mib},
		{map[string]string{v1: "9223372036854771712\n"}, 512 * mib},
		{map[string]string{v2 + "high": "max\n", v2 + "max": "268435456\n", v1: "1\n"}, 256 * mib},
		{map[string]string{v2 + "max": "max\n", v2 + "low": "0\n", v1: "1073741824"}, 1024 * mib},
	} {
		got := memory(func(name string) ([]byte, error) {
			if text, ok := c.files[name]; ok {
				return []byte(text), nil
			}
			return nil, os.ErrNotExist
		})
		if got != c.want {
			t.Errorf("%v: %d", c.files, got)
		}
	}
}

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]int64{"128M": 128 * mib, "1g": 1024 * mib, " 64k ": 64 << 10, "-1": -1, "134217728": 128 * mib} {
		if got, ok := parseBytes(text); !ok || got != want {
			t.Errorf("%q: %d %v", text, got, ok)
		}
	}
	for _, bad := range []string{"", "M", "many", "99999999999G"} {
		if got, ok := parseBytes(bad); ok {
			t.Errorf("%q: %d", bad, got)
		}
	}
	if got := iniLimit("; memory_limit = 1M\nmemory_limit=64M\n  memory_limit = \"96M\" ; x\n"); got != "96M" {
		t.Error(got)
	}
}

func TestUnwrap(t *testing.T) {
	for line, want := range map[string]string{
		`plain`: `plain`,
		`[21-Nov-2026 06:38:18] WARNING: [pool www] child 9 said into stderr: "hello "world""`: `hello "world"`,
		`[21-Nov-2026 06:38:18] WARNING: [pool www] child 9 said into stdout: "too long...`:    `too long...`,
	} {
		if got := string(unwrap([]byte(line))); got != want {
			t.Errorf("%q: %q", line, got)
		}
	}
}

// syncBuffer collects a log and lets a test wait for a line.
type syncBuffer struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	wake chan struct{}
}

func newLog() *syncBuffer { return &syncBuffer{wake: make(chan struct{}, 1)} }

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *syncBuffer) await(t *testing.T, text string) {
	t.Helper()
	late := time.After(20 * time.Second)
	for !strings.Contains(b.String(), text) {
		select {
		case <-b.wake:
		case <-late:
			t.Fatalf("no %q in %q", text, b.String())
		}
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func TestLogs(t *testing.T) {
	dir, out := t.TempDir(), newLog()
	l := &logs{out: out}
	pipe, file := filepath.Join(dir, "pipe.log"), filepath.Join(dir, "app.log")
	appendTo(t, pipe, "left by another\n")
	appendTo(t, file, "old\n")
	if err := l.pipe(pipe); err != nil {
		t.Fatal(err)
	}
	if err := l.follow(file); err != nil {
		t.Fatal(err)
	}
	appendTo(t, pipe, "one\ntwo\n") // opens and closes it
	appendTo(t, pipe, "three\n")
	out.await(t, "three\n")
	appendTo(t, file, "new\n")
	out.await(t, "new\n")
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	appendTo(t, file, "rotated\n")
	out.await(t, "rotated\n")
	if err := os.Truncate(file, 0); err != nil {
		t.Fatal(err)
	}
	appendTo(t, file, "cut\n")
	out.await(t, "cut\n")
	appendTo(t, pipe, "last words\n")
	appendTo(t, file, "unfinished")
	l.close()
	got := out.String()
	for _, want := range []string{"one\n", "two\n", "last words\n", "unfinished\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q lacks %q", got, want)
		}
	}
	if strings.Contains(got, "old") || strings.Contains(got, "left by") {
		t.Errorf("%q shows what was there before", got)
	}
	if _, err := os.Lstat(pipe); !os.IsNotExist(err) {
		t.Error("the pipe was left behind")
	}
}

// bench is an app with stand-ins for PHP, PHP-FPM and the web server, which
// write down what happens to them.
type bench struct {
	app, base string
	events    string
	log       *syncBuffer
}

const (
	fakePHP = `#!/bin/sh
case "$*" in
*ini_get*) printf 128M ;;
*) printf 'made for %s in %s' "$PORT" "$DOCUMENT_ROOT" ;;
esac
`
	// It writes its pid file when it is ready, and ends on QUIT.
	fakeFPM = `#!/bin/sh
case "$*" in *-tt*) echo "NOTICE:  php_value[memory_limit] = 256M"; exit 0;; esac
pid=; while [ $# -gt 0 ]; do [ "$1" = --pid ] && pid=$2; shift; done
trap 'echo "fpm stopped" >> "$EVENTS"; exit 0' QUIT
echo "[x] WARNING: [pool www] child 9 said into stderr: \"from a worker\"" > /tmp/heroku.php-fpm.$PORT.log
echo "fpm started with $WEB_CONCURRENCY" >> "$EVENTS"
echo $$ > "$pid"
while :; do sleep 0.05; done
`
	fakeServer = `#!/bin/sh
trap 'echo "server stopped" >> "$EVENTS"; exit 0' WINCH
echo "server started: $HEROKU_PHP_HTTPD_CONFIG_INCLUDE $COMPOSER_VENDOR_DIR $COMPOSER_BIN_DIR" >> "$EVENTS"
[ -z "$CRASH" ] || exit 9
while :; do sleep 0.05; done
`
)

func newBench(t *testing.T) *bench {
	t.Helper()
	root := t.TempDir()
	b := &bench{app: filepath.Join(root, "app"), base: filepath.Join(root, "base"), events: filepath.Join(root, "events"), log: newLog()}
	for name, content := range map[string]string{
		"bin/php": fakePHP, "bin/php-fpm": fakeFPM, "bin/apache2": fakeServer,
		"app/web/index.php": "", "app/inc.conf.php": "", "app/composer.json": `{"config":{"vendor-dir":"deps"}}`,
		"base/conf/apache2/httpd.conf": "", "base/conf/apache2/heroku.conf": "", "base/conf/apache2/default_include.conf": "",
		"base/conf/php/php-fpm.conf": "", "base/conf/php/default_include.conf": "",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", filepath.Join(root, "bin")+":"+os.Getenv("PATH"))
	return b
}

func (b *bench) settings(t *testing.T, env []string, args ...string) (*settings, error) {
	t.Helper()
	o, err := ParseOptions(args)
	if err != nil {
		t.Fatal(err)
	}
	env = append(env, "PATH="+os.Getenv("PATH"), "EVENTS="+b.events)
	return newSettings(context.Background(), Apache(), o, b.base, b.app, env, b.log)
}

func (b *bench) read(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(b.events)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// serve runs the whole of a boot script but for the command line.
func (s *settings) serveAll(ctx context.Context) (int, error) {
	l, err := s.startLogs()
	if err != nil {
		return 1, err
	}
	defer l.close()
	if err := s.setConcurrency(ctx); err != nil {
		return 1, err
	}
	return s.serve(ctx)
}

func TestBootAndStop(t *testing.T) {
	b := newBench(t)
	port := fmt.Sprint(20000 + os.Getpid()%10000)
	s, err := b.settings(t, []string{"PORT=" + port}, "-C", "inc.conf.php", "-l", "log/app.log", "web/")
	if err != nil {
		t.Fatal(err)
	}
	made, err := os.ReadFile(filepath.Join(b.app, "inc.conf"))
	if err != nil || string(made) != "made for "+port+" in "+filepath.Join(b.app, "web") {
		t.Errorf("the template gave %q, %v", made, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	type outcome struct {
		status int
		err    error
	}
	ended := make(chan outcome, 1)
	go func() {
		status, err := s.serveAll(ctx)
		ended <- outcome{status, err}
	}()
	b.log.await(t, "Application ready")
	b.log.await(t, "from a worker\n")
	appendTo(t, filepath.Join(b.app, "log/app.log"), "from the app\n")
	b.log.await(t, "from the app\n")
	waitFor(t, b.events, "server started")
	cancel()
	if o := <-ended; o.status != statusTerminated || o.err != nil {
		t.Errorf("%+v", o)
	}
	lines := strings.Split(strings.TrimSpace(b.read(t)), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[0], "fpm started with ") ||
		lines[1] != "server started: "+filepath.Join(b.app, "inc.conf")+" deps deps/bin" ||
		lines[2] != "server stopped" || lines[3] != "fpm stopped" {
		t.Errorf("%q", lines)
	}
	if strings.Contains(b.log.String(), "said into") {
		t.Error("PHP-FPM's wrapping is shown")
	}
}

// waitFor polls a file that another process writes.
func waitFor(t *testing.T, path, text string) {
	t.Helper()
	late := time.After(20 * time.Second)
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		if data, err := os.ReadFile(path); err == nil && strings.Contains(string(data), text) {
			tick.Stop()
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("no %q", text)
		}
	}
}

func TestCrashTearsDown(t *testing.T) {
	b := newBench(t)
	s, err := b.settings(t, []string{"CRASH=1", "WEB_CONCURRENCY=3"}, "-p", fmt.Sprint(30000+os.Getpid()%10000))
	if err != nil {
		t.Fatal(err)
	}
	status, err := s.serveAll(context.Background())
	if status != statusCrashed || err == nil || !strings.Contains(err.Error(), "apache2 (exit status 9)") {
		t.Errorf("%d %v", status, err)
	}
	if got := b.read(t); !strings.Contains(got, "fpm started with 3\n") || !strings.Contains(got, "fpm stopped") {
		t.Error(got)
	}
}

func TestSettingsRefuse(t *testing.T) {
	b := newBench(t)
	if err := os.Mkdir(filepath.Join(b.app, `odd"dir`), 0o755); err != nil {
		t.Fatal(err)
	}
	for args, says := range map[string]string{
		"nowhere":      "DOCUMENT_ROOT 'nowhere' does not exist",
		`odd"dir`:      "a character",
		"-C none.conf": "Cannot read -C 'none.conf'",
		"-F none.conf": "Cannot read -F",
		"-p http":      "no port",
		"-p 70000":     "no port",
		"-l nope-*":    "matched no files",
		"-l web":       "is a directory",
	} {
		if _, err := b.settings(t, nil, strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func TestConcurrencyIsTheApps(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct{ env, want string }{
		{"WEB_CONCURRENCY=7", "7"},
		{"WEB_CONCURRENCY=0", "1"},
		{"WEB_CONCURRENCY=many", "1"},
	} {
		s, err := b.settings(t, []string{c.env})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.setConcurrency(context.Background()); err != nil || s.env["WEB_CONCURRENCY"] != c.want {
			t.Errorf("%s: %s, %v", c.env, s.env["WEB_CONCURRENCY"], err)
		}
	}
	s, err := b.settings(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.memoryLimit(context.Background()); err != nil || n != 256*mib { // of the pool
		t.Errorf("%d %v", n, err)
	}
	if err := os.WriteFile(filepath.Join(b.app, ".user.ini"), []byte("memory_limit = 64M\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if n, err := s.memoryLimit(context.Background()); err != nil || n != 64*mib {
		t.Errorf("%d %v", n, err)
	}
}
