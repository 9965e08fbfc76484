package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"paas/api"
	"paas/buildpacks"
	"paas/slug"
	"paas/slug/blob"
	"paas/slug/image"
	"paas/slug/layers"
)

// The test binary is the runner as well: the fake sandbox starts it.
func TestMain(m *testing.M) {
	if plan := os.Getenv("BUILD_TEST_PLAN"); plan != "" {
		os.Exit(buildpacks.RunMain(context.Background(), plan))
	}
	os.Exit(m.Run())
}

// hostSandbox runs the runner on this machine, with the container's paths
// turned into those they are mounted from.
type hostSandbox struct {
	home string
	runs int
	oom  bool
}

func (h *hostSandbox) Run(ctx context.Context, s slug.SandboxSpec) (slug.SandboxExit, error) {
	h.runs++
	var replace []string
	plan := ""
	for _, m := range s.Mounts {
		if m.Target == mountPlan {
			plan = filepath.Join(m.Source, "plan.json")
		}
		replace = append(replace, `"`+m.Target+`/`, `"`+m.Source+`/`)
	}
	b, err := os.ReadFile(plan)
	if err != nil {
		return slug.SandboxExit{}, err
	}
	replace = append(replace, `"home":"/app"`, fmt.Sprintf(`"home":%q`, h.home))
	here := plan + ".here"
	if err := os.WriteFile(here, []byte(strings.NewReplacer(replace...).Replace(string(b))), 0o600); err != nil {
		return slug.SandboxExit{}, err
	}
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), "BUILD_TEST_PLAN="+here, "GORACE=atexit_sleep_ms=0")
	cmd.Stdout, cmd.Stderr = s.Output, s.Output
	// As in a container, the runner is process 1 and everything ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	err = cmd.Run()
	if ctx.Err() != nil {
		return slug.SandboxExit{}, context.Cause(ctx)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return slug.SandboxExit{Status: exit.ExitCode(), OOM: h.oom}, nil
	}
	return slug.SandboxExit{OOM: h.oom}, err
}

// packs are buildpacks of bash scripts: name -> program -> script.
type packs map[string]map[string]string

func (p packs) Resolve(_ context.Context, ref string) (buildpacks.Buildpack, error) {
	if p[ref] == nil {
		return buildpacks.Buildpack{}, api.Errorf(api.InvalidParams, "Buildpack %s cannot be fetched: not found.", ref)
	}
	return p.pack(ref), nil
}

func (p packs) pack(name string) buildpacks.Buildpack {
	b := buildpacks.Buildpack{Name: name, Version: fmt.Sprint(p[name]), Source: name}
	if l := p[name]["layers"]; l != "" {
		b.Layers = []string{l}
	}
	return b
}

func (p packs) Builtins() []buildpacks.Buildpack {
	var list []buildpacks.Buildpack
	for _, name := range []string{"heroku/one", "heroku/two"} {
		if p[name] != nil {
			list = append(list, p.pack(name))
		}
	}
	return list
}

func (p packs) Install(_ context.Context, b buildpacks.Buildpack, dir string) (string, error) {
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		return "", err
	}
	for program, script := range p[b.Source] {
		if err := os.WriteFile(filepath.Join(dir, "bin", program), []byte("#!/bin/bash\n"+script), 0o755); err != nil {
			return "", err
		}
	}
	return "", nil
}

type stacks struct {
	base, language slug.Layer
	asked          []string
}

func (s *stacks) Get(_ context.Context, name string) (slug.Stack, error) {
	return slug.Stack{Name: name, Title: "Test", Run: []slug.Layer{s.base}}, nil
}

func (s *stacks) Language(_ context.Context, _, layer string, _ io.Writer) (slug.Layer, error) {
	s.asked = append(s.asked, layer)
	l := s.language
	l.Name = layer
	return l, nil
}

type tree struct {
	files map[string]string
	rev   slug.Revision
}

func (s tree) Revision() slug.Revision { return s.rev }
func (s tree) Export(_ context.Context, dir string) error {
	for name, text := range s.files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			if err := os.Symlink(target, file); err != nil {
				return err
			}
			continue
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

type fixture struct {
	*Builder
	t       *testing.T
	sandbox *hostSandbox
	stacks  *stacks
	blobs   *blob.FS
	slugs   map[string]api.Slug
}

func newFixture(t *testing.T, p packs, change func(*Options)) *fixture {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("builds change owners: run as root")
	}
	dir := t.TempDir()
	blobs, err := blob.Open(filepath.Join(dir, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	trees, err := layers.Open(filepath.Join(dir, "layers"), blobs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(trees.Close)
	f := &fixture{t: t, blobs: blobs, sandbox: &hostSandbox{home: t.TempDir()}, stacks: &stacks{}, slugs: map[string]api.Slug{}}
	for i, l := range []*slug.Layer{&f.stacks.base, &f.stacks.language} {
		root := filepath.Join(dir, fmt.Sprint("root", i))
		if err := os.MkdirAll(filepath.Join(root, fmt.Sprint("etc", i)), 0o755); err != nil {
			t.Fatal(err)
		}
		if *l, err = trees.Adopt(t.Context(), root, layers.Options{Name: "run", Time: time.Unix(1, 0)}); err != nil {
			t.Fatal(err)
		}
	}
	o := Options{
		DataDir: dir, Stacks: f.stacks, Layers: trees, Packs: p, Sandbox: f.sandbox, Program: os.Args[0],
		Images: image.New(blobs, trees, func(context.Context) ([]slug.Layer, error) { return nil, nil }),
	}
	if change != nil {
		change(&o)
	}
	if f.Builder, err = New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

const appID = "1c0e7c2e-6b1f-4c5e-9d54-5b8ad0b0a001"

func (f *fixture) build(files map[string]string, change ...func(*slug.BuildRequest)) (slug.BuildResult, string, error) {
	var out bytes.Buffer
	r := slug.BuildRequest{
		BuildID: uuid.NewString(), AppID: appID, AppName: "shop", Stack: "heroku-22", Output: &out,
		Source: tree{files, slug.Revision{Commit: strings.Repeat("a", 40), Tree: fmt.Sprint(files), Description: "first", Time: time.Unix(1700000000, 0)}},
		Reuse:  func(key string) (api.Slug, bool) { s, ok := f.slugs[key]; return s, ok },
	}
	for _, c := range change {
		c(&r)
	}
	res, err := f.Build(f.t.Context(), r)
	if err == nil {
		res.Slug.ID = "slug-1"
		f.slugs[res.Slug.Key] = res.Slug
	}
	left, readErr := os.ReadDir(f.buildsDir())
	if readErr != nil || len(left) > 0 {
		f.t.Errorf("the work directory is left: %v, %v", left, readErr)
	}
	return res, out.String(), err
}

// noop is a buildpack that takes every app.
var noop = map[string]string{"detect": "echo Noop", "compile": "true"}

func TestBuild(t *testing.T) {
	f := newFixture(t, packs{"heroku/one": {"detect": "exit 1", "compile": "exit 9"}, "heroku/two": {
		"detect":  `[ -e "$1/two.txt" ] && echo Two`,
		"compile": `echo "-----> Compiling"; cat "$3/SECRET" > "$1/seen"; echo made > "$1/made"; n=$(cat "$2/count" 2>/dev/null || echo 0); echo $((n+1)) | tee "$2/count"; ls "$1"; [ -z "$SECRET" ]`,
		"release": `printf 'default_process_types:\n  web: ./default\n  rake: ./rake\n'`,
	}}, nil)
	files := map[string]string{"two.txt": "x", "Procfile": "web: ./mine\nworker: ./work\n", "drop/me": "x", ".slugignore": "drop\n!two.txt\n"}
	secret := func(r *slug.BuildRequest) { r.Config = api.ConfigVars{"SECRET": "s3cret"} }
	res, out, err := f.build(files, secret)
	if err != nil {
		t.Fatal(err, out)
	}
	for _, want := range []string{"-----> Building on the Test stack", "-----> Determining which buildpack", "-----> Two app detected", "-----> Compiling", "Procfile declares types     -> web, worker", "-> rake", "Done: "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if strings.Contains(out, "s3cret") || strings.Contains(out, "drop\n") {
		t.Errorf("output:\n%s", out)
	}
	s := res.Slug
	want := []api.ProcessType{{Name: "web", Command: "./mine"}, {Name: "worker", Command: "./work"}, {Name: "rake", Command: "./rake"}}
	if !slices.Equal(s.Processes, want) || s.Description != "Two" || !slices.Equal(s.Buildpacks, []string{"heroku/two"}) || s.Key == "" {
		t.Errorf("%+v", s)
	}
	dirs, err := f.Images.Lower(t.Context(), s.Digest)
	if err != nil || len(dirs) != 2 {
		t.Fatal(dirs, err)
	}
	if b, err := os.ReadFile(filepath.Join(dirs[1], "app", "seen")); err != nil || string(b) != "s3cret" {
		t.Errorf("ENV_DIR: %q, %v", b, err)
	}
	if _, err := os.Stat(filepath.Join(dirs[1], "app", "drop")); err == nil {
		t.Error(".slugignore was not applied")
	}

	// The same again: nothing is built. A config var more: it is.
	again, out, err := f.build(files, secret)
	if err != nil || !again.Reused || again.Slug.Digest != s.Digest || f.sandbox.runs != 1 {
		t.Errorf("%+v, %v, %d runs\n%s", again, err, f.sandbox.runs, out)
	}
	_, out, err = f.build(files, secret, func(r *slug.BuildRequest) { r.Config["MORE"] = "1" })
	if err != nil || f.sandbox.runs != 2 || !strings.Contains(out, "\n2\n") {
		t.Errorf("%v, %d runs, the cache did not come back:\n%s", err, f.sandbox.runs, out)
	}
}

// Two builds of one commit from one cache state are the same, bit by bit.
func TestReproducible(t *testing.T) {
	var digests []string
	for range 2 {
		f := newFixture(t, packs{"heroku/one": {"detect": "echo One", "compile": `for n in $(seq 50); do echo $n > "$1/$n"; done; ln -s 1 "$1/link"; chmod 4755 "$1/2"`}}, nil)
		res, out, err := f.build(map[string]string{"a/b": "c", "Procfile": "web: x"})
		if err != nil {
			t.Fatal(err, out)
		}
		digests = append(digests, res.Slug.Digest)
	}
	if digests[0] != digests[1] {
		t.Errorf("%v", digests)
	}
}

func TestListsOfBuildpacks(t *testing.T) {
	p := packs{
		"https://x/first": {"detect": "echo First", "compile": `echo 'export FROM_FIRST=yes' > export`, "release": `echo 'default_process_types: {web: first}'`},
		"https://x/last":  {"detect": "echo Last", "compile": `echo "first said $FROM_FIRST"`, "release": `echo 'default_process_types: {web: last}'`},
		"https://x/no":    {"detect": "exit 1", "compile": "true"},
		"heroku/one":      noop,
	}
	f := newFixture(t, p, nil)
	res, out, err := f.build(map[string]string{".buildpacks": "# two\nhttps://x/first\n\nhttps://x/last\r\n"})
	if err != nil || !strings.Contains(out, "first said yes") || !strings.Contains(out, "-----> Using buildpacks:\n       1. https://x/first\n       2. https://x/last\n") {
		t.Errorf("%v\n%s", err, out)
	}
	if !slices.Equal(res.Slug.Processes, []api.ProcessType{{Name: "web", Command: "last"}}) {
		t.Errorf("%+v", res.Slug.Processes)
	}
	_, out, err = f.build(nil, func(r *slug.BuildRequest) { r.Buildpacks = []string{"https://x/no"} })
	if err == nil || !strings.Contains(out, "App not compatible with buildpack: https://x/no") {
		t.Errorf("%v\n%s", err, out)
	}
	res, out, err = f.build(nil, func(r *slug.BuildRequest) { r.Config = api.ConfigVars{"BUILDPACK_URL": "https://x/last"} })
	if err != nil || !slices.Equal(res.Slug.Buildpacks, []string{"https://x/last"}) {
		t.Errorf("%v\n%s", err, out)
	}
	_, out, err = f.build(nil, func(r *slug.BuildRequest) { r.Buildpacks = []string{"https://x/absent"} })
	if api.IDOf(err) != api.InvalidParams || !strings.Contains(out, "https://x/absent cannot be fetched") {
		t.Errorf("%v\n%s", err, out)
	}
}

// A built-in buildpack that needs a language layer is run again with it.
func TestLanguageLayers(t *testing.T) {
	f := newFixture(t, packs{"heroku/one": {"detect": "echo PHP", "compile": "echo compiled", "layers": "php"}}, nil)
	res, out, err := f.build(map[string]string{"Procfile": "web: x"})
	if err != nil || strings.Count(out, "PHP app detected") != 1 || !strings.Contains(out, "compiled") || f.sandbox.runs != 2 || !slices.Equal(f.stacks.asked, []string{"php"}) {
		t.Fatalf("%v, %d runs, %v\n%s", err, f.sandbox.runs, f.stacks.asked, out)
	}
	info, err := f.Images.Info(t.Context(), res.Slug.Digest)
	if err != nil || len(info.Layers) != 3 || info.Layers[1].Name != "php" {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestFailures(t *testing.T) {
	fails := func(script string) packs { return packs{"heroku/one": {"detect": "echo Go", "compile": script}} }
	tests := []struct {
		name   string
		packs  packs
		files  map[string]string
		change func(*Options)
		wants  []string
	}{
		{"no language", packs{"heroku/one": {"detect": "exit 1"}}, nil, nil, []string{"No default language could be detected for this app.", "HINT:", "Push failed"}},
		{"compile", fails("echo oops; exit 3"), nil, nil, []string{"oops", "Push rejected, failed to compile Go app.", "Push failed"}},
		{"too large", fails(`head -c 3000000 /dev/urandom > "$1/big"`), nil, func(o *Options) { o.SlugMax = 1 << 20 }, []string{"Compiled slug size: ", "is too large (max is 1M)."}},
		{"time-out", fails("sleep 60"), nil, func(o *Options) { o.Timeout = 200 * time.Millisecond }, []string{"took longer than 200ms"}},
		{"forged result", fails(`mkdir -p "$1/../result/result.json"`), nil, nil, []string{"Push failed"}},
		{"Procfile is a directory", fails("true"), map[string]string{"Procfile/x": "web: x"}, nil, []string{"cannot read Procfile"}},
		{".buildpacks leads out", fails("true"), map[string]string{".buildpacks": "-> /etc/passwd"}, nil, []string{}},
		{".slugignore leads out", fails("true"), map[string]string{".slugignore": "-> /etc/passwd"}, nil, []string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, tt.packs, tt.change)
			_, out, err := f.build(tt.files)
			if err == nil {
				t.Fatalf("no error\n%s", out)
			}
			for _, want := range tt.wants {
				if !strings.Contains(out, want) {
					t.Errorf("%q is missing in\n%s", want, out)
				}
			}
			if strings.Contains(out+err.Error(), "root:") {
				t.Errorf("a file of the host is shown:\n%s", out)
			}
		})
	}
}

func TestKilledRunner(t *testing.T) {
	f := newFixture(t, packs{"heroku/one": noop}, func(o *Options) { o.Sandbox = killed{} })
	if _, out, err := f.build(nil); err == nil || !strings.Contains(out, "The build was killed (exit status 137)") {
		t.Errorf("%v\n%s", err, out)
	}
}

// killed is a sandbox whose command is killed at once.
type killed struct{}

func (killed) Run(context.Context, slug.SandboxSpec) (slug.SandboxExit, error) {
	return slug.SandboxExit{Status: 137}, nil
}

func TestOutOfMemory(t *testing.T) {
	f := newFixture(t, packs{"heroku/one": {"detect": "echo Go", "compile": "exit 137"}}, nil)
	f.sandbox.oom = true
	if _, out, err := f.build(nil); err == nil || !strings.Contains(out, "ran out of memory: it may use 2G") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestCancel(t *testing.T) {
	f := newFixture(t, packs{"heroku/one": {"detect": "echo Go", "compile": "echo running; sleep 60"}}, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := api.Errorf(api.Conflict, "Build cancelled.")
	r := slug.BuildRequest{
		BuildID: uuid.NewString(), AppID: appID, AppName: "shop", Stack: "heroku-22", Source: tree{},
		Output: cancelOn{"running", func() { cancel(why) }}, Reuse: func(string) (api.Slug, bool) { return api.Slug{}, false },
	}
	if _, err := f.Build(ctx, r); api.IDOf(err) != api.InvalidParams && !errors.Is(err, why) || !strings.Contains(err.Error(), "cancelled") {
		t.Errorf("%v", err)
	}
}

type cancelOn struct {
	text string
	do   func()
}

func (c cancelOn) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(c.text)) {
		c.do()
	}
	return len(b), nil
}
