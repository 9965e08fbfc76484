package main

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSpread(t *testing.T) {
	tests := []struct {
		values             []int64
		least, median, top int64
	}{
		{[]int64{7}, 7, 7, 7},
		{[]int64{3, 1}, 1, 2, 3},
		{[]int64{9, 1, 5}, 1, 5, 9},
		{[]int64{4, 2, 8, 6}, 2, 5, 8},
		{[]int64{-4, 0}, -4, -2, 0},
	}
	for _, tt := range tests {
		before := append([]int64{}, tt.values...)
		if l, m, h := spread(tt.values); l != tt.least || m != tt.median || h != tt.top {
			t.Errorf("%v: %d, %d, %d", tt.values, l, m, h)
		}
		for i := range before {
			if before[i] != tt.values[i] {
				t.Errorf("%v was sorted in place", before)
			}
		}
	}
}

func TestReport(t *testing.T) {
	var r report
	s := r.add("push", "≤ 1.5 s")
	for _, ms := range []time.Duration{1500, 500, 700} {
		s.took(ms * time.Millisecond)
	}
	r.add("never measured", "")
	r.add("memory", "").holds(60 << 20)
	r.failed = []string{"dyno: it broke\nat length"}
	var b strings.Builder
	if err := r.print(&b); err != nil {
		t.Fatal(err)
	}
	const want = `
| figure | n | median | min | max | target |
|---|---:|---:|---:|---:|---|
| push | 3 | 700 ms | 500 ms | 1.50 s | ≤ 1.5 s |
| memory | 1 | 60.0 MB | 60.0 MB | 60.0 MB |  |

Not measured: dyno: it broke
`
	if b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
}

// stamped gives each line of a build's output a time: "<ms> <line>".
func stamped(t *testing.T, text string) []line {
	t.Helper()
	var lines []line
	for l := range strings.Lines(text) {
		ms, rest, _ := strings.Cut(strings.TrimSuffix(l, "\n"), " ")
		d, err := time.ParseDuration(ms + "ms")
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line{time.Unix(0, 0).Add(d), rest})
	}
	return lines
}

func TestBuildpackTime(t *testing.T) {
	tests := []struct {
		name, output string
		want         time.Duration // 0 = it cannot be seen
	}{
		{"one", "0 -----> Building on the Heroku-22 stack\n100 -----> Go app detected\n150 -----> Installing go\n900 -----> Discovering process types\n950 -----> Compressing...", 800 * time.Millisecond},
		{"two buildpacks", "100 -----> Node.js app detected\n300 -----> Go app detected\n900 -----> Discovering process types", 800 * time.Millisecond},
		{"reused", "0 -----> Building on the Heroku-22 stack\n1 -----> Nothing has changed since slug x was built: using it again", 0},
		{"cut off", "100 -----> Go app detected\n200 -----> Installing go", 0},
		{"nothing", "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var lines []line
			if tt.output != "" {
				lines = stamped(t, tt.output)
			}
			got, err := buildpackTime(lines)
			if got != tt.want || (err == nil) != (tt.want > 0) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

// Lines are stamped when they come, not when the output ends.
func TestReadLines(t *testing.T) {
	out, in := io.Pipe()
	got := make(chan []line, 1)
	go func() {
		lines, err := readLines(out)
		if err != nil {
			t.Error(err)
		}
		got <- lines
	}()
	io.WriteString(in, "remote: -----> Go app detected        \n")
	io.WriteString(in, "remote: \nTo ssh://x\r\nlast")
	in.Close()
	lines := <-got
	var texts []string
	for _, l := range lines {
		texts = append(texts, l.text)
	}
	if strings.Join(texts, "|") != "-----> Go app detected||To ssh://x|last" {
		t.Errorf("got %q", texts)
	}
}

func TestBootTime(t *testing.T) {
	lines := strings.Split(`2026-01-01T00:00:01.000000+00:00 heroku[web.1]: Starting process with command `+"`x`"+`
2026-01-01T00:00:09.000000+00:00 heroku[web.1]: State changed from starting to up
2026-01-01T00:01:00.500000+00:00 heroku[web.1]: Starting process with command `+"`x`"+`
2026-01-01T00:01:00.600000+00:00 heroku[web.2]: Starting process with command `+"`x`"+`
2026-01-01T00:01:00.750000+00:00 heroku[web.1]: State changed from starting to up
2026-01-01T00:01:00.800000+00:00 heroku[web.1]: Stopping all processes with SIGTERM
not a line`, "\n")
	since := time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC)
	if got, err := bootTime(lines, since); got != 250*time.Millisecond || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := bootTime(lines, since.Add(time.Hour)); err == nil {
		t.Errorf("nothing started since, yet it took %v", got)
	}
}

func TestParseSmaps(t *testing.T) {
	f, err := parseSmaps("5500-7ffd ---p 00000000 00:00 0 [rollup]\nRss:  2048 kB\nPss:  1024 kB\nPss_Dirty:  512 kB\nTHPeligible: 0\n")
	if err != nil || f != (footprint{pss: 1 << 20, rss: 2 << 20}) {
		t.Errorf("%+v, %v", f, err)
	}
	for _, bad := range []string{"", "Rss: x kB\n", "Rss: 1 kB\n"} {
		if _, err := parseSmaps(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	own, err := footprintOf(os.Getpid())
	if err != nil || own.rss < 1<<20 || own.pss > own.rss {
		t.Errorf("this process: %+v, %v", own, err)
	}
	if _, err := footprintOf(1 << 30); !os.IsNotExist(err) {
		t.Errorf("no such process: %v", err)
	}
}

func TestProcesses(t *testing.T) {
	const socket = "/run/paas/containerd/containerd.sock"
	for cmdline, want := range map[string]bool{
		"/usr/local/lib/paas/containerd-shim-runc-v2\x00-namespace\x00paas\x00-id\x00x\x00-address\x00" + socket + "\x00": true,
		"containerd-shim-runc-v2\x00-address\x00/run/other/containerd.sock\x00":                                           false,
		"grep\x00-address\x00" + socket + "\x00":                                                                          false,
		"containerd-shim-runc-v2\x00-address":                                                                             false,
		"":                                                                                                                false,
	} {
		if isShim(cmdline, socket) != want {
			t.Errorf("%q: %v", cmdline, !want)
		}
	}
	path := filepath.Join(t.TempDir(), "sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if pid, err := listenerOf(path); pid != os.Getpid() || err != nil {
		t.Errorf("the listener is %d, %v", pid, err)
	}
	file := filepath.Join(t.TempDir(), "paasd.pid")
	if err := os.WriteFile(file, []byte("123\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if pid, err := pidOf(file); pid != 123 || err != nil {
		t.Errorf("%d, %v", pid, err)
	}
}

func TestMachine(t *testing.T) {
	m := describe(t.Context())
	for what, v := range map[string]string{"CPU": m.cpu, "memory": m.memory, "kernel": m.kernel, "system": m.system, "Go": m.golang, "git": m.git, "ssh": m.ssh} {
		if v == "" || v == "unknown" || v == "not found" {
			t.Errorf("%s is %q", what, v)
		}
	}
	if got := memoryText("8388608 kB"); got != "8.0 GB" {
		t.Error(got)
	}
	var b strings.Builder
	if err := (machine{cpu: "A|B", cores: 2}).print(&b); err != nil || !strings.Contains(b.String(), `| CPU | A\|B, 2 cores |`) {
		t.Errorf("%v\n%s", err, b.String())
	}
}

// The samples must keep the shape that the bench relies on, and its commands
// must name benchmarks that exist.
func TestSourceTree(t *testing.T) {
	root, err := sourceTree("")
	if err != nil {
		t.Fatal(err)
	}
	for sample, file := range map[string]string{"go": "main.go", "node": "index.js", "procfile": "server.pl"} {
		text, err := os.ReadFile(filepath.Join(root, "cmd", "paas-bench", "samples", sample, file))
		if err != nil || strings.Count(string(text), `"v1"`) != 1 {
			t.Errorf("%s/%s: %v", sample, file, err)
		}
	}
	for dir, benchmarks := range map[string][]string{"dyno/containerd": {"Start"}, "api/gitssh": {"Receive"}} {
		text, err := os.ReadFile(filepath.Join(root, dir, "bench_test.go"))
		for _, b := range benchmarks {
			if err != nil || !strings.Contains(string(text), "func Benchmark"+b+"(") {
				t.Errorf("%s has no Benchmark%s: %v", dir, b, err)
			}
		}
	}
	t.Chdir(t.TempDir())
	if _, err := sourceTree(""); err == nil || !strings.Contains(err.Error(), "--source") {
		t.Errorf("outside of it: %v", err)
	}
}

func TestFlags(t *testing.T) {
	for _, args := range [][]string{{"--only", "nosuch"}, {"--runs", "0"}, {"--nosuch"}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
	if got := commandLine([]string{"go", "test", "-run", "^$", "-bench", "A|B"}); got != "go test -run '^$' -bench 'A|B'" {
		t.Error(got)
	}
}
