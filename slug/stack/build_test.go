package stack

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"paas/api"
	"paas/slug"
	"paas/slug/blob"
	"paas/slug/layers"
)

// small are recipes of a stack that is made quickly. Its build layer adds a
// file, hides one and replaces one; its language layer is made by a script.
func small(t *testing.T) fs.FS {
	t.Helper()
	files := fstest.MapFS{}
	put := func(name, text string) { files["recipes/"+name] = &fstest.MapFile{Data: []byte(text)} }
	for _, name := range []string{"run.sh", "layer.sh", "customize.sh"} {
		b, err := fs.ReadFile(embedded, "recipes/"+name)
		if err != nil {
			t.Fatal(err)
		}
		put(name, string(b))
	}
	put("run.txt", "locales\nno-such-package | -\n")
	put("build.txt", "no-such-package | file\n")
	put("finish-build.sh", "rm /etc/issue\necho changed >/etc/issue.net\n! true >/dev/tcp/127.0.0.1/1 2>/dev/null\n")
	put("php.txt", "media-types\n")
	put("finish-php.sh", "mkdir /var/lib/language\nchown 1000:1000 /var/lib/language\nid -u >/var/lib/language/uid\n")
	return files
}

type fixture struct {
	*Stacks
	layers *layers.Store
}

func open(t *testing.T, dir string, recipes fs.FS) fixture {
	t.Helper()
	blobs, err := blob.Open(filepath.Join(dir, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := layers.Open(filepath.Join(dir, "layers"), blobs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	s, err := Open(filepath.Join(dir, "stacks"), store, Options{Environ: os.Environ()})
	if err != nil {
		t.Fatal(err)
	}
	s.recipes = recipes
	return fixture{s, store}
}

func (f fixture) tree(t *testing.T, l slug.Layer) string {
	t.Helper()
	dir, err := f.layers.Dir(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// One stack is built with the real tools, and all that must hold of it asked.
func TestBuild(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, small(t))
	if _, err := f.Get(t.Context(), slug.DefaultStack); api.IDOf(err) != api.Unavailable {
		t.Fatalf("a stack that was not built: %v", err)
	}
	var out bytes.Buffer
	if err := f.Build(t.Context(), slug.DefaultStack, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	stack, err := f.Get(t.Context(), slug.DefaultStack)
	if err != nil {
		t.Fatal(err)
	}
	run, build := f.tree(t, stack.Run[0]), f.tree(t, stack.Build[0])

	t.Run("run image", func(t *testing.T) {
		for name, want := range map[string]fs.FileMode{
			"app": fs.ModeDir | 0o755, "tmp": fs.ModeDir | fs.ModeSticky | 0o777, "bin/bash": 0o755,
			"usr/bin/passwd": 0o755, "etc/resolv.conf": 0o644, "etc/apt/sources.list": 0o644, "etc/profile.d/00-app.sh": 0o644,
		} {
			info, err := os.Stat(filepath.Join(run, name))
			if err != nil || info.Mode() != want {
				t.Errorf("%s: %v, %v; want mode %v", name, info, err, want)
				continue
			}
			if !info.ModTime().Equal(layerTime) {
				t.Errorf("%s is of %v", name, info.ModTime())
			}
		}
		passwd, err := os.ReadFile(filepath.Join(run, "etc/passwd"))
		if err != nil || !strings.Contains(string(passwd), "app:x:1000:1000::/app:/bin/bash\n") {
			t.Errorf("no user app:\n%s%v", passwd, err)
		}
		locale := filepath.Join(run, "usr/lib/locale")
		if entries, err := os.ReadDir(locale); err != nil || len(entries) < 2 {
			t.Errorf("no locale was made: %v, %v", entries, err)
		}
		if left, err := os.ReadDir(filepath.Join(run, "etc/apt/sources.list.d")); err != nil || len(left) > 0 {
			t.Errorf("the host's sources are in the image: %v, %v", left, err)
		}
	})

	t.Run("build image", func(t *testing.T) {
		if _, err := os.Stat(filepath.Join(build, "usr/bin/file")); err != nil {
			t.Errorf("the package is not there: %v", err)
		}
		if _, err := os.Stat(filepath.Join(build, "bin/bash")); err == nil {
			t.Error("the layer has what the run image has")
		}
		info, err := os.Lstat(filepath.Join(build, "etc/issue"))
		if err != nil || info.Mode()&fs.ModeCharDevice == 0 {
			t.Errorf("a deleted file is not marked: %v, %v", info, err)
		}
		if b, err := os.ReadFile(filepath.Join(build, "etc/issue.net")); err != nil || string(b) != "changed\n" {
			t.Errorf("changed file: %q, %v", b, err)
		}
		if _, err := os.Lstat(filepath.Join(build, "usr/sbin/policy-rc.d")); err == nil {
			t.Error("policy-rc.d is in the image")
		}
	})

	t.Run("unchanged", func(t *testing.T) {
		var out bytes.Buffer
		again := open(t, dir, small(t))
		if err := again.Build(t.Context(), slug.DefaultStack, &out); err != nil || strings.Contains(out.String(), "building") {
			t.Errorf("%v\n%s", err, out.String())
		}
	})

	t.Run("language", func(t *testing.T) { f.testLanguage(t, stack) })

	t.Run("killed", func(t *testing.T) {
		changed := small(t).(fstest.MapFS)
		changed["recipes/finish-build.sh"] = &fstest.MapFile{Data: []byte("sleep 1000 &\ntouch /etc/reached\nsleep 1000\n")}
		f := open(t, dir, changed)
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			for ctx.Err() == nil {
				if found, _ := filepath.Glob(filepath.Join(dir, "stacks/tmp/*/upper/etc/reached")); len(found) > 0 {
					cancel(errors.New("stopped by the test"))
				}
				time.Sleep(10 * time.Millisecond)
			}
		}()
		err := f.Build(ctx, slug.DefaultStack, new(bytes.Buffer))
		if err == nil || !strings.Contains(err.Error(), "stopped by the test") {
			t.Errorf("error = %v", err)
		}
		mounts, err := os.ReadFile("/proc/self/mounts")
		if err != nil || strings.Contains(string(mounts), dir) {
			t.Errorf("a mount is left:\n%s%v", mounts, err)
		}
		if left, err := os.ReadDir(filepath.Join(dir, "stacks/tmp")); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
		if now, err := f.Get(t.Context(), slug.DefaultStack); err != nil || now.Build[0] != stack.Build[0] {
			t.Errorf("the stack is %+v, %v", now, err)
		}
	})

	t.Run("failure shows why", func(t *testing.T) {
		changed := small(t).(fstest.MapFS)
		changed["recipes/finish-build.sh"] = &fstest.MapFile{Data: []byte("echo out of paper >&2\nexit 9\n")}
		err := open(t, dir, changed).Build(t.Context(), slug.DefaultStack, new(bytes.Buffer))
		if err == nil || !strings.Contains(err.Error(), "out of paper") || !strings.Contains(err.Error(), "exit status 9") {
			t.Errorf("error = %v", err)
		}
	})
}

// Callers that come at once share one build, from two "processes" (stores).
func (f fixture) testLanguage(t *testing.T, stack slug.Stack) {
	var (
		mu     sync.Mutex
		got    []slug.Layer
		built  int
		both   sync.WaitGroup
		anyErr error
	)
	for range 3 {
		both.Go(func() {
			var out bytes.Buffer
			l, err := f.Language(t.Context(), slug.DefaultStack, "php", &out)
			mu.Lock()
			defer mu.Unlock()
			got = append(got, l)
			anyErr = errors.Join(anyErr, err)
			built += strings.Count(out.String(), "-----> Preparing php")
		})
	}
	both.Wait()
	if anyErr != nil || built != 1 || got[0] != got[1] || got[1] != got[2] {
		t.Fatalf("%d builds, layers %+v, %v", built, got, anyErr)
	}
	tree := f.tree(t, got[0])
	info, err := os.Stat(filepath.Join(tree, "var/lib/language"))
	if err != nil || !info.IsDir() {
		t.Errorf("the script left %v, %v", info, err)
	}
	all, err := f.Layers()
	if err != nil || len(all) != 3 || !slices.Contains(all, got[0]) || !slices.Contains(all, stack.Run[0]) {
		t.Errorf("layers of the stack: %+v, %v", all, err)
	}
	r, err := f.load(slug.DefaultStack, "php")
	if err != nil || len(r.Packages) != 1 || !strings.HasPrefix(r.Packages[0], "media-types=") {
		t.Errorf("it brought %q, %v", r.Packages, err)
	}

	// From the same packages the same bits come.
	before := got[0]
	if err := os.Remove(f.recordPath(slug.DefaultStack, "php")); err != nil {
		t.Fatal(err)
	}
	again, err := f.Language(t.Context(), slug.DefaultStack, "php", new(bytes.Buffer))
	if err != nil || again != before {
		t.Errorf("built again: %+v, %v; want %+v", again, err, before)
	}
	if _, err := f.Language(t.Context(), slug.DefaultStack, "cobol", new(bytes.Buffer)); err == nil {
		t.Error("a layer that nobody knows is made")
	}
}

func TestUnknownStack(t *testing.T) {
	f := open(t, t.TempDir(), embedded)
	if _, err := f.Get(t.Context(), "cedar"); api.IDOf(err) != api.NotFound {
		t.Errorf("error = %v", err)
	}
	if err := f.Build(t.Context(), "cedar", new(bytes.Buffer)); api.IDOf(err) != api.NotFound {
		t.Errorf("error = %v", err)
	}
	if _, err := Open(t.TempDir(), f.layers, Options{Profile: "huge"}); err == nil {
		t.Error("an unknown profile is accepted")
	}
	if !slices.Contains(f.Names(), slug.DefaultStack) {
		t.Errorf("names %q", f.Names())
	}
}

// Who waits for another's build gives up with their context.
func TestLockIsInterruptible(t *testing.T) {
	f := open(t, t.TempDir(), embedded)
	unlock, err := f.lock(t.Context(), slug.DefaultStack, func() { t.Error("waited for nobody") })
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("stopped by the test")
	_, err = f.lock(ctx, slug.DefaultStack, func() { cancel(reason) })
	if !errors.Is(err, reason) {
		t.Errorf("error = %v", err)
	}
}

func TestTail(t *testing.T) {
	var out tail
	for range 100 {
		_, _ = out.Write([]byte("line\n"))
	}
	_, _ = out.Write([]byte(strings.Repeat("x", 10_000) + "\nlast"))
	lines := strings.Split(out.String(), "\n")
	if len(lines) > tailLines+1 || lines[len(lines)-1] != "last" || len(out.String()) > tailLines*600 {
		t.Errorf("%d lines, %d bytes", len(lines), len(out.String()))
	}
}
