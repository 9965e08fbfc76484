package build

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paas/api"
	"paas/slug"
)

// lister shows its cache, then does what the app's script says.
var lister = packs{"heroku/one": {"detect": "echo Go", "compile": `cd "$2"; find . -type f | sort | while read f; do echo "cached $f $(cat $f)"; done; . "$1/script"`}}

func (f *fixture) script(script string, change ...func(*slug.BuildRequest)) (out string, err error) {
	_, out, err = f.build(map[string]string{"script": script, "Procfile": "web: x"}, change...)
	return out, err
}

func wantCached(t *testing.T, out string, want ...string) {
	t.Helper()
	var got []string
	for line := range strings.Lines(out) {
		if c, ok := strings.CutPrefix(strings.TrimSpace(line), "cached ./"); ok {
			got = append(got, c)
		}
	}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("the build found %q in its cache, want %q; output:\n%s", got, want, out)
	}
}

// Only what a successful build made of the cache counts.
func TestCacheIsCommittedAfterSuccessOnly(t *testing.T) {
	f := newFixture(t, lister, nil)
	if out, err := f.script("echo poison > first; exit 1"); err == nil {
		t.Fatal(out)
	}
	out, err := f.script("echo 1 > good; mkdir -p d/e; echo 2 > d/e/deep; ln -s /etc/passwd link")
	if err != nil {
		t.Fatal(err, out)
	}
	wantCached(t, out)
	for _, damage := range []string{"echo poison > bad; exit 1", "rm -r good d; exit 1", "mv d $1/; exit 1", "rm good; echo other > good; exit 1", "rm -rf ../cache; exit 1", "rm -rf ../cache; ln -s /etc ../cache; exit 1"} {
		out, err := f.script(damage)
		if err == nil {
			t.Fatal(out)
		}
		wantCached(t, out, "d/e/deep 2", "good 1")
	}
	out, err = f.script("mv d $1/moved; echo 3 > new")
	if err != nil {
		t.Fatal(err, out)
	}
	wantCached(t, out, "d/e/deep 2", "good 1")
	out, _ = f.script("exit 1")
	wantCached(t, out, "good 1", "new 3")
}

// A file that a failed build wrote into in place cannot be brought back: then
// the cache is dropped rather than trusted.
func TestCacheWrittenInPlace(t *testing.T) {
	f := newFixture(t, lister, nil)
	if out, err := f.script("echo 1 > a; echo 2 > b"); err != nil {
		t.Fatal(err, out)
	}
	if out, err := f.script("echo poison >> a; exit 1"); err == nil {
		t.Fatal(out)
	}
	out, _ := f.script("true")
	wantCached(t, out)
}

func TestCacheOfTooManyFiles(t *testing.T) {
	f := newFixture(t, lister, func(o *Options) { o.CacheMax = 3 })
	if out, err := f.script("touch 1 2 3 4"); err != nil {
		t.Fatal(err, out)
	}
	out, _ := f.script("echo again")
	wantCached(t, out, "1", "2", "3", "4")
	out, _ = f.script("exit 1")
	wantCached(t, out, "1", "2", "3", "4")
	out, _ = f.script("echo cold")
	wantCached(t, out)
}

// What a build moved from its cache into the app is the app's alone.
func TestSlugSharesNothingWithTheCache(t *testing.T) {
	f := newFixture(t, lister, nil)
	if out, err := f.script("echo v1 > lib; echo v1 > kept"); err != nil {
		t.Fatal(err, out)
	}
	res, out, err := f.build(map[string]string{"script": `mv lib "$1/lib"; ln kept "$1/kept"`, "Procfile": "web: x"})
	if err != nil {
		t.Fatal(err, out)
	}
	if out, err := f.script("echo v2 >> kept"); err != nil {
		t.Fatal(err, out)
	}
	dirs, err := f.Images.Lower(t.Context(), res.Slug.Digest)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lib", "kept"} {
		if b, err := os.ReadFile(filepath.Join(dirs[1], "app", name)); err != nil || string(b) != "v1\n" {
			t.Errorf("%s of the slug = %q, %v", name, b, err)
		}
	}
}

func TestCacheAfterACrash(t *testing.T) {
	f := newFixture(t, lister, nil)
	if out, err := f.script("echo 1 > a"); err != nil {
		t.Fatal(err, out)
	}
	// A build that was cut off: it had the cache, and had begun to change it.
	if err := os.MkdirAll(filepath.Join(f.buildsDir(), "cut-off"), 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(f.buildsDir(), "cut-off", "cache")
	if _, err := f.cache.take(t.Context(), appID, "heroku-22", dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "half"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := New(f.Options)
	if err != nil {
		t.Fatal(err)
	}
	f.Builder = b
	out, err := f.script("true")
	if err != nil {
		t.Fatal(err, out)
	}
	wantCached(t, out, "a 1")
}

func TestPurgeCache(t *testing.T) {
	f := newFixture(t, lister, nil)
	purge := func() {
		t.Helper()
		if err := f.PurgeCache(t.Context(), appID); err != nil {
			t.Fatal(err)
		}
	}
	purge() // there is none yet
	if out, err := f.script("echo 1 > a"); err != nil {
		t.Fatal(err, out)
	}
	purge()
	out, err := f.script("echo 2 > b; echo now")
	if err != nil {
		t.Fatal(err, out)
	}
	wantCached(t, out)
	// In the middle of a build: what it brings back is dropped.
	for _, end := range []string{"true", "exit 1"} {
		out, _ := f.script("echo 3 > c; echo now; "+end, func(r *slug.BuildRequest) { r.Output = both{r.Output, cancelOn{"now", purge}} })
		wantCached(t, out, "b 2")
		out, _ = f.script("echo 2 > b")
		wantCached(t, out)
	}
	if err := f.PurgeCache(t.Context(), "../x"); err == nil {
		t.Error("PurgeCache of what is no id: no error")
	}
}

type both struct {
	a, b interface{ Write([]byte) (int, error) }
}

func (w both) Write(p []byte) (int, error) {
	_, err := w.b.Write(p)
	n, aerr := w.a.Write(p)
	return n, errors.Join(err, aerr)
}

func TestCacheOfAnotherStack(t *testing.T) {
	f := newFixture(t, lister, nil)
	if out, err := f.script("echo 1 > a"); err != nil {
		t.Fatal(err, out)
	}
	out, err := f.script("true", func(r *slug.BuildRequest) { r.Stack = "heroku-24" })
	if err != nil {
		t.Fatal(err, out)
	}
	wantCached(t, out)
}

func TestOneBuildHasTheCache(t *testing.T) {
	f := newFixture(t, lister, nil)
	l, err := f.cache.take(t.Context(), appID, "heroku-22", filepath.Join(t.TempDir(), "c"))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := f.script("true"); err == nil || api.IDOf(err) != api.Internal {
		t.Errorf("a second build has the cache: %v\n%s", err, out)
	}
	if err := l.abort(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("cancelled")
	cancel(why)
	if _, err := f.cache.take(ctx, appID, "heroku-22", filepath.Join(t.TempDir(), "c")); !errors.Is(err, why) {
		t.Errorf("take with an ended context: %v", err)
	}
	if out, err := f.script("true"); err != nil {
		t.Errorf("afterwards: %v\n%s", err, out)
	}
}
