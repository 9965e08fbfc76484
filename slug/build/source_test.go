package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"paas/api"
	"paas/slug"
)

// git itself says what a pattern means.
func TestIgnoreAgreesWithGit(t *testing.T) {
	dirs := []string{"a", "a/b", "a/b/c", "docs", "docs/api", "x/docs", "build", "sub/build", "deep/a/b"}
	files := []string{
		"README.md", "a/README.md", "a/b/x.txt", "a/b/c/y.txt", "docs/i.html", "docs/api/i.html", "x/docs/z", "build/o", "sub/build/o", "deep/a/b/f",
		"f1", "f2", "f10", "f+", "f(1)", "f$", "foo.log", "a/foo.log", "sp ace", "#hash", "!bang", "[b]", "b", "éxyz", "star*", "back\\slash", "-dash", "{x}", "x|y", "f.",
	}
	patterns := []string{
		"README.md", "/README.md", "*.log", "a/*.log", "f?", "f[12]", "f[!1]", "f[^1]", "f[0-9]", "f[0-9][0-9]", "docs/", "/docs/", "docs/api", "/docs", "**/docs", "a/**", "a/**/y.txt", "**/b", "**/b/", "build/", "x/**/z",
		"f+", "f(1)", "f$", `\#hash`, `\!bang`, "#hash", "[[]b]", `\[b\]`, "[b]", "sp ace", "sp ace ", "éxyz", `star\*`, `back\\slash`, "*", "a/", "b/c", "*.txt", "f*", "*1*", "?", "??", "[a-c]", "[]b]", "[", "x[", "-dash", "{x}", "x|y", "f.", "deep/*/b", "deep/**/f", "**", "/**", "/*", "a/b/c/",
	}
	root := t.TempDir()
	for _, d := range dirs {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(root, f), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git := func(args ...string) *exec.Cmd {
		cmd := exec.Command("git", append([]string{"-C", root, "-c", "core.quotePath=false"}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null")
		return cmd
	}
	if out, err := git("init", "-q").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, p := range patterns {
		if err := os.WriteFile(filepath.Join(root, ".gitignore"), []byte(p+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := git("ls-files", "-z", "--others", "--exclude-standard")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		want := slices.DeleteFunc(strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"), func(s string) bool { return s == "" || s == ".gitignore" })
		ig, err := parseIgnore(p + "\n")
		if err != nil {
			t.Fatalf("%q: %v", p, err)
		}
		var got []string
		err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			rel, _ := filepath.Rel(root, path)
			switch {
			case err != nil:
				return err
			case rel == ".git":
				return fs.SkipDir
			case rel == "." || rel == ".gitignore":
			case ig.match(rel, d.IsDir()) && d.IsDir():
				return fs.SkipDir
			case !ig.match(rel, d.IsDir()) && !d.IsDir():
				got = append(got, rel)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%q leaves\n%q, git leaves\n%q", p, got, want)
		}
	}
}

func TestIgnoreBounds(t *testing.T) {
	if _, err := parseIgnore(strings.Repeat("x\n", maxPatterns)); err != nil {
		t.Error(err)
	}
	if _, err := parseIgnore(strings.Repeat("x\n", maxPatterns+1)); api.IDOf(err) != api.InvalidParams {
		t.Errorf("too many patterns: %v", err)
	}
	ig, err := parseIgnore("# comment\r\n\r\n!negated\r\nreal\r\n")
	if err != nil || !ig.match("real", false) || ig.match("negated", false) || ig.match("# comment", false) {
		t.Errorf("%+v, %v", ig, err)
	}
}

func FuzzIgnore(f *testing.F) {
	for _, s := range []string{"a/**/b", "[a-", `\`, "**", "[!]", "*.[ch]", "a//b", "/", "[z-a]", `[\]]`, "\xff*"} {
		f.Add(s, "a/b")
	}
	f.Fuzz(func(t *testing.T, pattern, path string) {
		ig, err := parseIgnore(pattern)
		if err == nil {
			ig.match(path, true)
		} else if api.IDOf(err) != api.InvalidParams {
			t.Fatal(err)
		}
	})
}

// Modes are those of a checkout, and links stay what they are.
func TestSettle(t *testing.T) {
	f := newFixture(t, packs{"heroku/one": {"detect": "echo One", "compile": "true"}}, nil)
	res, out, err := f.build(nil, func(r *slug.BuildRequest) {
		r.Source = odd{tree{map[string]string{"link": "-> /etc/passwd", "up": "-> ../../..", "Procfile": "web: x"}, slug.Revision{Tree: "t"}}}
	})
	if err != nil {
		t.Fatal(err, out)
	}
	dirs, err := f.Images.Lower(t.Context(), res.Slug.Digest)
	if err != nil {
		t.Fatal(err)
	}
	app := filepath.Join(dirs[1], "app")
	for name, want := range map[string]fs.FileMode{".": 0o755, "secret": 0o644, "run": 0o755, "dir": 0o755} {
		if st, err := os.Stat(filepath.Join(app, name)); err != nil || st.Mode().Perm() != want || owner(st) != User {
			t.Errorf("%s: %v, %v, want %v", name, st, err, want)
		}
	}
	for name, want := range map[string]string{"link": "/etc/passwd", "up": "../../.."} {
		if got, err := os.Readlink(filepath.Join(app, name)); err != nil || got != want {
			t.Errorf("%s -> %q, %v", name, got, err)
		}
	}
	if st, err := os.Stat("/etc/passwd"); err != nil || owner(st) != 0 {
		t.Fatal("a file of the host was given away")
	}
}

// odd has files with modes that no checkout gives.
type odd struct{ tree }

func (o odd) Export(ctx context.Context, dir string) error {
	err := o.tree.Export(ctx, dir)
	return errors.Join(err, os.WriteFile(filepath.Join(dir, "secret"), nil, 0o600), os.WriteFile(filepath.Join(dir, "run"), nil, 0o500), os.Mkdir(filepath.Join(dir, "dir"), 0o700))
}

func TestTooManyFiles(t *testing.T) {
	f := newFixture(t, packs{"heroku/one": noop}, func(o *Options) { o.FilesMax = 2 })
	if _, out, err := f.build(map[string]string{"a": "", "b": ""}); api.IDOf(err) != api.InvalidParams || !strings.Contains(out, "more than 2 files") {
		t.Errorf("%v\n%s", err, out)
	}
}

// counted counts its exports.
type counted struct {
	tree
	n *int
}

func (c counted) Export(ctx context.Context, dir string) error {
	*c.n++
	return c.tree.Export(ctx, dir)
}

func TestReuse(t *testing.T) {
	f := newFixture(t, packs{"heroku/one": noop}, nil)
	exports := 0
	build := func(change ...func(*slug.BuildRequest)) slug.BuildResult {
		t.Helper()
		res, out, err := f.build(nil, append([]func(*slug.BuildRequest){func(r *slug.BuildRequest) {
			r.Source = counted{tree{map[string]string{"Procfile": "web: x"}, slug.Revision{Tree: "t1", Time: time.Unix(1, 0)}}, &exports}
			r.Buildpacks = []string{"heroku/one"}
		}}, change...)...)
		if err != nil {
			t.Fatal(err, out)
		}
		return res
	}
	first := build()
	if again := build(); !again.Reused || exports != 1 {
		t.Errorf("the same again: %+v after %d exports", again, exports)
	}
	for name, change := range map[string]func(*slug.BuildRequest){
		"tree":      func(r *slug.BuildRequest) { r.Source = tree{nil, slug.Revision{Tree: "t2"}} },
		"config":    func(r *slug.BuildRequest) { r.Config = api.ConfigVars{"A": "b"} },
		"stack":     func(r *slug.BuildRequest) { r.Stack = "heroku-24" },
		"detection": func(r *slug.BuildRequest) { r.Buildpacks = nil },
	} {
		if res := build(change); res.Reused || res.Slug.Key == first.Slug.Key {
			t.Errorf("another %s: reused", name)
		}
	}
	// A source that cannot say which tree it is has nothing to be equal to.
	unknown := func(r *slug.BuildRequest) { r.Source = tree{map[string]string{"Procfile": "web: x"}, slug.Revision{}} }
	if res := build(unknown); res.Reused || res.Slug.Key != "" {
		t.Errorf("unknown tree: %+v", res)
	}
	if res := build(unknown); res.Reused {
		t.Error("an unknown tree was taken for equal")
	}
}

// A damaged slug is not reused; building it again repairs it.
func TestReuseRepairs(t *testing.T) {
	f := newFixture(t, packs{"heroku/one": noop}, nil)
	files := map[string]string{"Procfile": "web: x"}
	first, out, err := f.build(files)
	if err != nil {
		t.Fatal(err, out)
	}
	info, err := f.Images.Info(t.Context(), first.Slug.Digest)
	if err != nil {
		t.Fatal(err)
	}
	app := info.Layers[len(info.Layers)-1]
	blob, err := f.blobs.Open(app.Digest)
	if err != nil {
		t.Fatal(err)
	}
	blob.Close()
	if err := errors.Join(os.WriteFile(blob.Name(), []byte("rot"), 0o600), f.Layers.DropOlder(t.Context(), app.DiffID, time.Now().Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	again, out, err := f.build(files)
	if err != nil || again.Reused || again.Slug.Digest != first.Slug.Digest {
		t.Fatalf("%+v, %v\n%s", again, err, out)
	}
	if _, err := f.Images.Lower(t.Context(), first.Slug.Digest); err != nil {
		t.Errorf("still damaged: %v", err)
	}
}

// What the platform says begins on a line of its own.
func TestOutputLines(t *testing.T) {
	var b bytes.Buffer
	o := &output{w: &b}
	fmt.Fprint(o, "no newline")
	o.notes("one", "", "two")
	if got, want := b.String(), "no newline\n !     one\n !\n !     two\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for n, want := range map[int64]string{500 << 20: "500M", 1 << 20: "1M", 2 << 30: "2G", 3 << 29: "1.5G", 100 << 20: "100M"} {
		if got := limit(n); got != want {
			t.Errorf("limit(%d) = %s, want %s", n, got, want)
		}
	}
	if got := megabytes(37_119_590); got != "35.4M" {
		t.Errorf("megabytes = %s", got)
	}
}

func TestBuildOfABadID(t *testing.T) {
	f := newFixture(t, packs{"heroku/one": noop}, nil)
	for _, id := range []string{"", "../x", "a/b", ".grave", strings.Repeat("a", 65)} {
		if _, _, err := f.build(nil, func(r *slug.BuildRequest) { r.BuildID = id }); err == nil {
			t.Errorf("build id %q was accepted", id)
		}
		if _, _, err := f.build(nil, func(r *slug.BuildRequest) { r.AppID = id }); err == nil {
			t.Errorf("app id %q was accepted", id)
		}
	}
}

func TestOperatorsCertificates(t *testing.T) {
	f := newFixture(t, packs{"heroku/one": {"detect": "echo One", "compile": `echo "node: $NODE_EXTRA_CA_CERTS proxy: $GOPROXY"`}}, func(o *Options) {
		o.CABundle, o.Env = "/etc/ca.pem", map[string]string{"GOPROXY": "http://proxy.example"}
	})
	before := maps.Clone(f.Env)
	_, out, err := f.build(map[string]string{"Procfile": "web: x"})
	if err != nil || !strings.Contains(out, "node: /etc/ssl/certs/ca-certificates.crt proxy: http://proxy.example\n") {
		t.Errorf("%v\n%s", err, out)
	}
	if !maps.Equal(f.Env, before) {
		t.Error("the operator's environment was changed")
	}
}

// Nothing of a build directory that the build itself replaced is followed.
func TestBuildDirIsReplaced(t *testing.T) {
	for name, script := range map[string]string{"gone": `rm -rf "$1"`, "a link": `rm -rf "$1"; ln -s /etc "$1"`, "a file": `rm -rf "$1"; touch "$1"`} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, packs{"heroku/one": {"detect": "echo One", "compile": script}}, nil)
			_, out, err := f.build(nil)
			if api.IDOf(err) != api.InvalidParams || !strings.Contains(out, "Push failed") {
				t.Errorf("%v\n%s", err, out)
			}
			if st, err := os.Stat("/etc"); err != nil || owner(st) != 0 {
				t.Fatal("a directory of the host was given away")
			}
		})
	}
}
