package buildpacks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The runner waits for every child of its process, so each test runs it in a
// process of its own: this test program, called again.
func TestMain(m *testing.M) {
	if plan := os.Getenv("TEST_RUN_PLAN"); plan != "" {
		ctx, cancel := context.WithCancel(context.Background())
		if os.Getenv("TEST_RUN_CANCEL") != "" {
			go func() { // cancelled as soon as a compile says that it runs
				for {
					if _, err := os.Stat(os.Getenv("TEST_RUN_CANCEL")); err == nil {
						cancel()
						return
					}
					time.Sleep(5 * time.Millisecond)
				}
			}()
		}
		os.Exit(RunMain(ctx, plan))
	}
	os.Exit(m.Run())
}

// bench is a place to run plans in.
type bench struct {
	t    *testing.T
	dir  string
	plan Plan
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, dir: t.TempDir()}
	in := func(name string) string {
		d := filepath.Join(b.dir, name)
		must(t, os.MkdirAll(d, 0o755))
		return d
	}
	b.plan = Plan{
		RequestID: "req-1", Stack: "heroku-22", Commit: "c0ffee", Home: in("app"), BuildDir: in("build"),
		CacheDir: in("cache"), EnvDir: in("env"), Result: filepath.Join(in("out"), "result.json"),
	}
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pack adds a buildpack whose programs are bash scripts. detect and compile
// succeed unless given.
func (b *bench) pack(name string, scripts map[string]string) *bench {
	b.t.Helper()
	dir := filepath.Join(b.dir, "packs", name)
	all := map[string]string{"bin/detect": "echo " + name, "bin/compile": ""}
	for k, v := range scripts {
		all[k] = v
	}
	for path, script := range all {
		must(b.t, os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755))
		must(b.t, os.WriteFile(filepath.Join(dir, path), []byte("#!/bin/bash\n"+script+"\n"), 0o755))
	}
	b.plan.Packs = append(b.plan.Packs, Pack{Name: "acme/" + name, Dir: dir})
	return b
}

// run returns the result, nil if there is none, and the output.
func (b *bench) run(env ...string) (*Result, string) {
	b.t.Helper()
	plan := filepath.Join(b.dir, "plan.json")
	must(b.t, b.plan.Write(plan))
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	// Much of this must not reach the buildpacks.
	cmd.Env = append([]string{"GORACE=atexit_sleep_ms=0", "TEST_RUN_PLAN=" + plan, "SECRET=of the platform", "GIT_DIR=/x", "PATH=" + os.Getenv("PATH")}, env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	text, rerr := os.ReadFile(b.plan.Result)
	if errors.Is(rerr, fs.ErrNotExist) {
		if err == nil {
			b.t.Fatalf("exit status 0 without a result; output:\n%s", &out)
		}
		return nil, out.String()
	}
	must(b.t, rerr)
	if err != nil {
		b.t.Fatalf("there is a result, but: %v; output:\n%s", err, &out)
	}
	r, err := ParseResult(text, len(b.plan.Packs))
	if err != nil {
		b.t.Fatalf("%v: %s", err, text)
	}
	return &r, out.String()
}

func (b *bench) read(name string) string {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, name))
	must(b.t, err)
	return string(text)
}

func (b *bench) source(name, text string) *bench {
	b.t.Helper()
	must(b.t, os.WriteFile(filepath.Join(b.plan.BuildDir, name), []byte(text), 0o644))
	return b
}

func TestOnePack(t *testing.T) {
	b := newBench(t).source("Procfile", "worker: w\nweb: from procfile\n").pack("node", map[string]string{
		"bin/detect":  `[ "$1" = "$(readlink -f "$1")" ] && [ -d "$1" ] && echo "Node.js"; echo noise >&2`,
		"bin/compile": `echo "-----> Installing"; echo "to stderr" >&2; echo "$1 $2 $3" > "$1/args"; pwd > "$1/cwd"; umask > "$1/umask"; echo kept > "$2/c"`,
		"bin/release": "cat <<E\n---\naddons:\n  - heroku-postgresql\ndefault_process_types:\n  web: from release\n  console: |\n    irb\n  rake: bundle exec rake\nE",
		"bin/report":  `echo '{"version": "1"}'`,
	})
	r, out := b.run()
	want := `-----> Node.js app detected
-----> Installing
to stderr
-----> Discovering process types
       Procfile declares types     -> worker, web
       Default types for buildpack -> console, rake

`
	if !strings.HasSuffix(out, want) || !strings.HasPrefix(out, "noise\n") {
		t.Errorf("output:\n%s\nwant:\n%s", out, want)
	}
	if r.Failure != nil || len(r.Used) != 1 || r.Used[0].Detected != "Node.js" || r.Used[0].Report != "{\"version\": \"1\"}\n" {
		t.Errorf("result = %+v", r)
	}
	if want := []Process{{"worker", "w"}, {"web", "from procfile"}, {"console", "irb"}, {"rake", "bundle exec rake"}}; !slices.Equal(r.Processes, want) {
		t.Errorf("processes = %q, want %q", r.Processes, want)
	}
	if !slices.Equal(r.Addons, []string{"heroku-postgresql"}) {
		t.Errorf("addons = %v", r.Addons)
	}
	for file, want := range map[string]string{
		"build/args": fmt.Sprintf("%s %s %s\n", b.plan.BuildDir, b.plan.CacheDir, b.plan.EnvDir), "build/cwd": b.plan.Packs[0].Dir + "\n",
		"build/umask": "0022\n", "cache/c": "kept\n",
	} {
		if got := b.read(file); got != want {
			t.Errorf("%s = %q, want %q", file, got, want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	b := newBench(t).pack("a", map[string]string{"bin/compile": `env -0 | sort -z | tr '\0' '\n' > "$1/env"`})
	b.plan.Env = map[string]string{"GOPROXY": "http://proxy.example", "GIT_DIR": "/no", "CURL_TIMEOUT": "60"}
	b.run()
	got := slices.DeleteFunc(strings.Split(strings.TrimSpace(b.read("build/env")), "\n"), func(l string) bool {
		name, _, _ := strings.Cut(l, "=")
		return slices.Contains(shellOwn, name)
	})
	want := []string{
		"BUILDPACK_LOG_FILE=/dev/null", "CURL_CONNECT_TIMEOUT=5", "CURL_TIMEOUT=60", "GOPROXY=http://proxy.example", "HOME=" + b.plan.Home, "LANG=C.UTF-8",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "REQUEST_ID=req-1", "SOURCE_VERSION=c0ffee", "STACK=heroku-22",
	}
	if !slices.Equal(got, want) {
		t.Errorf("environment = %q\nwant %q", got, want)
	}
}

// Each pack's export reaches those after it, and not its own release and
// report; the last one's release alone gives process types.
func TestSeveralPacks(t *testing.T) {
	say := func(who string) string {
		return fmt.Sprintf(`echo "%s X=$X Y=${Y-unset} Z=${Z-unset}" >> %q/log`, who, "LOGDIR")
	}
	b := newBench(t)
	script := func(who, rest string) string {
		return strings.ReplaceAll(say(who), `"LOGDIR"`, `"`+b.dir+`"`) + "\n" + rest
	}
	first := map[string]string{
		"bin/detect": script("a.detect", "echo A"), "bin/compile": script("a.compile", `cat > export <<'E'
export X="one
two" PATH="/opt/a:$PATH"
export Y=y; Z=not-exported
echo "said by export"; echo forged=1 >&3 2>/dev/null
unset STACK
[ -e /does/not/exist ] && export Z=z
E`),
		"bin/release": script("a.release", "echo 'addons: [pg, redis]'; echo 'default_process_types: {web: a, worker: a}'; echo 'config_vars: {A: 1}'"), "bin/report": script("a.report", "echo {}"),
	}
	second := map[string]string{
		"bin/detect": script("b.detect", "echo B; [ -z \"${STACK+x}\" ]"), "bin/compile": script("b.compile", `echo "$PATH" > "$1/path"; env | grep -c forged > "$1/forged"; true`),
		"bin/release": script("b.release", "echo 'addons: [redis, mail]'; echo 'default_process_types: {rake: b}'"), "bin/report": script("b.report", "exit 3"),
	}
	r, out := b.pack("a", first).pack("b", second).run()
	if r == nil || r.Failure != nil {
		t.Fatalf("result = %+v, output:\n%s", r, out)
	}
	log := strings.Split(strings.TrimSpace(b.read("log")), "\n")
	want := []string{
		"a.detect X= Y=unset Z=unset", "a.compile X= Y=unset Z=unset", "a.release X= Y=unset Z=unset", "a.report X= Y=unset Z=unset",
		"b.detect X=one", "two Y=y Z=unset", "b.compile X=one", "two Y=y Z=unset", "b.release X=one", "two Y=y Z=unset", "b.report X=one", "two Y=y Z=unset",
	}
	if !slices.Equal(log, want) {
		t.Errorf("log = %q\nwant  %q", log, want)
	}
	if got := b.read("build/path"); !strings.HasPrefix(got, "/opt/a:/usr/local/sbin") {
		t.Errorf("PATH of the second = %q", got)
	}
	if got := b.read("build/forged"); got != "0\n" {
		t.Error("an export script wrote into the captured environment")
	}
	if want := []Process{{"rake", "b"}}; !slices.Equal(r.Processes, want) {
		t.Errorf("processes = %q", r.Processes)
	}
	if want := []string{"pg", "redis", "mail"}; !slices.Equal(r.Addons, want) || r.Config["A"] != "1" {
		t.Errorf("addons %v, config %v", r.Addons, r.Config)
	}
	for _, line := range []string{"-----> A app detected\n", "-----> B app detected\n", "said by export\n", "Procfile declares types     -> (none)\n", "Default types for buildpack -> rake\n"} {
		if !strings.Contains(out, line) {
			t.Errorf("no %q in output:\n%s", line, out)
		}
	}
}

func TestDetection(t *testing.T) {
	no := map[string]string{"bin/detect": "echo secret; echo secret >&2; exit 1"}
	b := newBench(t).pack("ruby", no).pack("node", nil).pack("php", nil)
	b.plan.Detect = true
	r, out := b.run()
	if len(r.Used) != 1 || r.Used[0].Index != 1 || r.Failure != nil {
		t.Errorf("result = %+v", r)
	}
	if !strings.HasPrefix(out, "-----> node app detected\n") || strings.Contains(out, "secret") {
		t.Errorf("output:\n%s", out)
	}
	b = newBench(t).pack("ruby", no)
	b.plan.Detect = true
	if r, _ := b.run(); r.Failure == nil || r.Failure.Phase != PhaseDetect || r.Failure.Index != -1 {
		t.Errorf("nothing detects: %+v", r.Failure)
	}
}

func TestDetectionStopsForLayers(t *testing.T) {
	b := newBench(t).pack("php", map[string]string{"bin/detect": `echo x >> "$1/asked"; echo PHP`, "bin/compile": `echo compiled`})
	b.plan.Detect = true
	b.plan.Packs[0].Layers = []string{"php", "apt"}
	b.plan.Layers = []string{"apt"}
	r, out := b.run()
	if !slices.Equal(r.NeedsLayers, []string{"php"}) || len(r.Used) != 1 || r.Used[0].Detected != "PHP" || out != "-----> PHP app detected\n" {
		t.Fatalf("result = %+v, output:\n%s", r, out)
	}
	must(t, os.Remove(b.plan.Result))
	b.plan.Layers, b.plan.Detect, b.plan.Detected = []string{"php", "apt"}, false, "PHP"
	r, out = b.run()
	if r.Failure != nil || len(r.Used) != 1 || r.Used[0].Detected != "PHP" || !strings.HasPrefix(out, "compiled\n") {
		t.Fatalf("second run: %+v, output:\n%s", r, out)
	}
	if got := b.read("build/asked"); got != "x\n" {
		t.Errorf("bin/detect was asked more than once: %q", got)
	}
}

func TestFailures(t *testing.T) {
	reports := map[string]string{"bin/report": "echo reported"}
	with := func(name, script string) map[string]string {
		return map[string]string{name: script, "bin/report": reports["bin/report"]}
	}
	for name, c := range map[string]struct {
		scripts map[string]string
		want    Failure
		report  string
		output  string
	}{
		"detect":          {with("bin/detect", "echo not for me >&2; exit 1"), Failure{Phase: PhaseDetect, Status: 1}, "", "not for me\n"},
		"compile":         {with("bin/compile", "echo half; exit 3"), Failure{Phase: PhaseCompile, Status: 3}, "reported\n", "-----> bad app detected\nhalf\n"},
		"compile killed":  {with("bin/compile", "kill -9 $$"), Failure{Phase: PhaseCompile, Status: 137}, "reported\n", ""},
		"release":         {with("bin/release", "echo why >&2; exit 4"), Failure{Phase: PhaseRelease, Status: 4}, "reported\n", "why\n"},
		"release no yaml": {with("bin/release", "echo '{{'"), Failure{Phase: PhaseRelease, Reason: "its output is not YAML"}, "reported\n", ""},
		"release a list":  {with("bin/release", "echo 'default_process_types: [web]'"), Failure{Phase: PhaseRelease, Reason: "default_process_types: line 1: not a mapping"}, "reported\n", ""},
		"export exits":    {with("export", "exit 5"), Failure{Phase: PhaseExport, Status: 1, Reason: "sourcing it ended with status 5"}, "reported\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t).pack("good", nil).pack("bad", c.scripts).pack("after", map[string]string{"bin/detect": "echo REACHED; exit 1"})
			r, out := b.run()
			if r == nil || r.Failure == nil {
				t.Fatalf("no failure; output:\n%s", out)
			}
			got := *r.Failure
			if got.Index != 1 || got.Phase != c.want.Phase || got.Status != c.want.Status || !strings.HasPrefix(got.Reason, c.want.Reason) {
				t.Errorf("failure = %+v, want %+v", got, c.want)
			}
			if !strings.Contains(out, c.output) || strings.Contains(out, "REACHED") || strings.Contains(out, "Discovering") {
				t.Errorf("output:\n%s", out)
			}
			if c.report != "" && (len(r.Used) != 2 || r.Used[1].Report != c.report) {
				t.Errorf("used = %+v", r.Used)
			}
		})
	}
}

func TestMissingPrograms(t *testing.T) {
	b := newBench(t).pack("bare", nil)
	must(t, os.Remove(filepath.Join(b.plan.Packs[0].Dir, "bin/compile")))
	r, _ := b.run()
	if r.Failure == nil || r.Failure.Phase != PhaseCompile || !strings.Contains(r.Failure.Reason, "no such file") {
		t.Errorf("no compile: %+v", r.Failure)
	}
	b = newBench(t).pack("bare", nil)
	must(t, os.Remove(filepath.Join(b.plan.Packs[0].Dir, "bin/detect")))
	r, out := b.run()
	if r.Failure == nil || r.Failure.Phase != PhaseDetect || !strings.Contains(out, "no such file") {
		t.Errorf("no detect: %+v, output:\n%s", r.Failure, out)
	}
}

func TestBadProcfiles(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"directory": func(p string) error { return os.Mkdir(p, 0o755) },
		"fifo":      func(p string) error { return exec.Command("mkfifo", p).Run() },
		"huge":      func(p string) error { return os.WriteFile(p, bytes.Repeat([]byte("#"), maxProcfile+1), 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t).pack("a", nil)
			must(t, make(filepath.Join(b.plan.BuildDir, "Procfile")))
			if r, out := b.run(); r == nil || r.Failure == nil || r.Failure.Phase != PhaseProcesses {
				t.Errorf("result = %+v, output:\n%s", r, out)
			}
		})
	}
}

// What a buildpack leaves running is gone when there is a result, and holds up
// nothing while it runs.
func TestStragglers(t *testing.T) {
	b := newBench(t).pack("a", map[string]string{
		"bin/detect":  `setsid sleep 300 & echo A`, // holds the captured stdout open
		"bin/compile": `(setsid bash -c 'trap "" TERM HUP; while :; do sleep 300; done' & echo $! > "$1/pid"); for i in 1 2 3; do (exit 1) & done`,
		"bin/release": `(setsid sleep 300 &) ; echo 'default_process_types: {web: x}'`,
	})
	start := time.Now()
	r, out := b.run()
	if r == nil || r.Failure != nil || len(r.Processes) != 1 {
		t.Fatalf("result = %+v, output:\n%s", r, out)
	}
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("the stragglers held the build up for %s", d)
	}
	pid := strings.TrimSpace(b.read("build/pid"))
	if _, err := os.Stat("/proc/" + pid); err == nil {
		t.Errorf("process %s still runs", pid)
	}
}

func TestCancel(t *testing.T) {
	b := newBench(t)
	b.pack("a", map[string]string{"bin/compile": `touch ` + b.dir + `/running; sleep 300 & wait`})
	start := time.Now()
	r, out := b.run("TEST_RUN_CANCEL=" + filepath.Join(b.dir, "running"))
	if r != nil || !strings.Contains(out, "context canceled") {
		t.Errorf("result = %+v, output:\n%s", r, out)
	}
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("cancelling took %s", d)
	}
}

func TestUnreadablePlans(t *testing.T) {
	for name, p := range map[string]Plan{"relative": {Packs: []Pack{{}}}, "no packs": {Home: "/app", BuildDir: "/b", CacheDir: "/c", EnvDir: "/e", Result: "/r"}} {
		path := filepath.Join(t.TempDir(), "plan")
		must(t, p.Write(path))
		if _, err := readPlan(path); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestParseList(t *testing.T) {
	got := ParseList("# ours\r\nheroku/nodejs\r\n\r\n  https://example.com/a#v1  \n#x\n")
	if want := []string{"heroku/nodejs", "https://example.com/a#v1"}; !slices.Equal(got, want) {
		t.Errorf("ParseList = %q, want %q", got, want)
	}
}

func TestParseRelease(t *testing.T) {
	for _, empty := range []string{"", "---", "--- {}", "---\n", "{}", "addons:\ndefault_process_types:\n", "# nothing\n", "--- {}\n--- {default_process_types: {web: no}}"} {
		if r, err := parseRelease([]byte(empty)); err != nil || len(r.processes)+len(r.addons)+len(r.config) != 0 {
			t.Errorf("parseRelease(%q) = %+v, %v", empty, r, err)
		}
	}
	r, err := parseRelease([]byte("default_process_types:\n  z: &c cmd\n  a: *c\n  n: 5\n  'bad name': x\n  none:\n  z: again\nconfig_vars:\n  PORT: 80\n  EMPTY: ''\n"))
	if want := []Process{{"z", "again"}, {"a", "cmd"}, {"n", "5"}}; err != nil || !slices.Equal(r.processes, want) {
		t.Errorf("processes = %q, %v, want %q", r.processes, err, want)
	}
	if len(r.config) != 2 || r.config["PORT"] != "80" {
		t.Errorf("config = %q", r.config)
	}
	for _, bad := range []string{"a: b: c", "default_process_types: web", "default_process_types:\n  web: {command: x}", "config_vars: [A]", "[1, 2"} {
		if _, err := parseRelease([]byte(bad)); err == nil {
			t.Errorf("parseRelease(%q): no error", bad)
		}
	}
}

func FuzzParseRelease(f *testing.F) {
	f.Add([]byte("addons: [a]\ndefault_process_types: {web: x}\nconfig_vars: {A: b}"))
	f.Add([]byte("default_process_types: &a {b: *a}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRelease(b)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, p := range r.processes {
			if seen[p.Name] || p.Command == "" || !processName.MatchString(p.Name) {
				t.Fatalf("%q", p)
			}
			seen[p.Name] = true
		}
	})
}

func TestParseResultRefuses(t *testing.T) {
	many := `{"used":[{"index":0}],"processes":[` + strings.Repeat(`{"name":"a","command":"b"},`, maxProcesses) + `{"name":"a","command":"b"}]}`
	for name, text := range map[string]string{
		"nothing": ``, "not json": `x`, "unknown field": `{"uzed":[]}`, "no pack": `{}`, "pack out of range": `{"used":[{"index":2}]}`, "negative pack": `{"used":[{"index":-1}]}`,
		"failure out of range": `{"failure":{"phase":"compile","index":2}}`, "bad process name": `{"used":[{"index":0}],"processes":[{"name":"a b","command":"c"}]}`,
		"process twice": `{"used":[{"index":0}],"processes":[{"name":"a","command":"c"},{"name":"a","command":"d"}]}`,
		"no command":    `{"used":[{"index":0}],"processes":[{"name":"a"}]}`, "nul": `{"used":[{"index":0}],"processes":[{"name":"a","command":"\u0000"}]}`,
		"too many": many, "bad layer": `{"used":[{"index":0}],"needs_layers":["../x"]}`, "bad config": `{"used":[{"index":0}],"config":{"A=B":"c"}}`,
		"too large": `{"used":[{"index":0}]}` + strings.Repeat(" ", MaxResult),
	} {
		if r, err := ParseResult([]byte(text), 2); err == nil {
			t.Errorf("%s: accepted as %+v", name, r)
		}
	}
	r, err := ParseResult([]byte(`{"used":[{"index":1,"detected":"\u001b[31mA\n\u0000  B\ufffd"}],"failure":{"phase":"compile","index":-1,"reason":"a\rb"}}`), 2)
	if err != nil || r.Used[0].Detected != "[31mA B" || r.Failure.Reason != "a b" {
		t.Errorf("control characters: %+v, %v", r, err)
	}
}

func FuzzParseResult(f *testing.F) {
	good, err := json.Marshal(Result{Used: []Used{{Index: 1, Detected: "Go", Report: "{}"}}, Processes: []Process{{"web", "x"}}, Config: map[string]string{"A": "b"}, Addons: []string{"pg"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"failure":{"phase":"compile","index":0,"status":1}}`))
	f.Add([]byte(`{"used":[{"index":0}],"needs_layers":["php"]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseResult(b, 2)
		if err != nil {
			return
		}
		for _, p := range r.Processes {
			if !processName.MatchString(p.Name) || p.Command == "" || strings.ContainsRune(p.Command, 0) {
				t.Fatalf("%q", p)
			}
		}
		for _, u := range r.Used {
			if u.Index < 0 || u.Index > 1 || strings.ContainsAny(u.Detected, "\x00\n\r\x1b") || len(u.Report) > maxReport {
				t.Fatalf("%+v", u)
			}
		}
	})
}
