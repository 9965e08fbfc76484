package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"paas/api"
	"paas/slug"
	"paas/slug/blob"
	"paas/slug/layers"
)

type fixture struct {
	*Store
	dir  string
	kept []slug.Layer
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{dir: t.TempDir()}
	b, err := blob.Open(filepath.Join(f.dir, "blobs"))
	must(t, err)
	l, err := layers.Open(filepath.Join(f.dir, "layers"), b)
	must(t, err)
	t.Cleanup(l.Close)
	f.Store = New(b, l, func(context.Context) ([]slug.Layer, error) { return f.kept, nil })
	return f
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// layer makes one with a single file.
func (f *fixture) layer(t *testing.T, name, path, content string) slug.Layer {
	t.Helper()
	tree, err := os.MkdirTemp(f.dir, "tree")
	must(t, err)
	must(t, os.MkdirAll(filepath.Dir(filepath.Join(tree, path)), 0o755))
	must(t, os.WriteFile(filepath.Join(tree, path), []byte(content), 0o644))
	l, err := f.layers.Adopt(t.Context(), tree, layers.Options{Name: name, Time: time.Unix(1e9, 0)})
	must(t, err)
	return l
}

func (f *fixture) contents(t *testing.T, app string) Contents {
	return Contents{
		Layers:     []slug.Layer{f.layer(t, "run", "etc/os-release", "Debian"), f.layer(t, "app", "app/Procfile", app)},
		Processes:  []api.ProcessType{{Name: "worker", Command: `echo "a" && b`}, {Name: "web", Command: "node ."}},
		Stack:      slug.DefaultStack,
		Buildpacks: []string{"heroku/nodejs", "https://example.com/x#v1"}, Description: "Node.js",
		Commit: strings.Repeat("a", 40), CommitDescription: "First\nline", Time: time.Unix(1e9, 5),
	}
}

func (f *fixture) write(t *testing.T, c Contents) string {
	t.Helper()
	d, err := f.Write(t.Context(), c)
	must(t, err)
	return d
}

func TestWriteThenInfo(t *testing.T) {
	f := newFixture(t)
	c := f.contents(t, "v1")
	digest := f.write(t, c)
	info, err := f.Info(t.Context(), digest)
	must(t, err)
	if info.Digest != digest || !slices.Equal(info.Layers, c.Layers) {
		t.Fatalf("Info = %+v", info)
	}
	types, err := slug.DecodeProcesses(info.Labels[slug.LabelProcesses])
	if err != nil || !slices.Equal(types, c.Processes) {
		t.Fatalf("processes = %v, %v", types, err)
	}
	for label, want := range map[string]string{
		slug.LabelStack: "heroku-22", slug.LabelCommit: c.Commit, slug.LabelDescription: "Node.js", slug.LabelCommitDescription: "First\nline",
		slug.LabelBuildpacks: `["heroku/nodejs","https://example.com/x#v1"]`, "org.opencontainers.image.created": "2001-09-09T01:46:40Z",
	} {
		if got := info.Labels[label]; got != want {
			t.Errorf("label %s = %q, want %q", label, got, want)
		}
	}
	if again := f.write(t, f.contents(t, "v1")); again != digest {
		t.Errorf("the same slug again is %s, first %s", again, digest)
	}
	if other := f.write(t, f.contents(t, "v2")); other == digest {
		t.Error("another slug has the same digest")
	}
}

func TestLower(t *testing.T) {
	f := newFixture(t)
	digest := f.write(t, f.contents(t, "v1"))
	trees, err := filepath.Glob(filepath.Join(f.dir, "layers/????????????????*"))
	must(t, err)
	for _, tree := range trees { // as an operator in need of space might
		must(t, os.RemoveAll(tree))
	}
	dirs, err := f.Lower(t.Context(), digest)
	must(t, err)
	if len(dirs) != 2 {
		t.Fatalf("Lower = %v", dirs)
	}
	for i, name := range []string{"etc/os-release", "app/Procfile"} {
		if _, err := os.Stat(filepath.Join(dirs[i], name)); err != nil {
			t.Error(err)
		}
	}
}

func TestLayersMustBeStored(t *testing.T) {
	f := newFixture(t)
	c := f.contents(t, "v1")
	c.Layers[1].Digest = blob.Digest([]byte("nothing"))
	if _, err := f.Write(t.Context(), c); err == nil || !strings.Contains(err.Error(), "not stored") {
		t.Fatalf("Write = %v", err)
	}
}

// Damage to any of a slug's blobs is told apart from other trouble.
func TestDamage(t *testing.T) {
	f := newFixture(t)
	digest := f.write(t, f.contents(t, "v1"))
	m, info, err := f.read(digest)
	must(t, err)
	for _, b := range []string{digest, string(m.Config.Digest), info.Layers[1].Digest} {
		path := filepath.Join(f.dir, "blobs/sha256", strings.TrimPrefix(b, "sha256:"))
		good, err := os.ReadFile(path)
		must(t, err)
		bad := bytes.Clone(good)
		bad[len(bad)-1] ^= 1
		must(t, os.WriteFile(path, bad, 0o600))
		must(t, f.layers.DropOlder(t.Context(), info.Layers[1].DiffID, time.Now().Add(time.Hour)))
		var c *CorruptError
		if _, err := f.Lower(t.Context(), digest); !errors.As(err, &c) || c.Image != digest {
			t.Errorf("Lower with %s damaged: %v", b, err)
		}
		if err := f.Export(t.Context(), digest, "x", io.Discard); !errors.As(err, &c) {
			t.Errorf("Export with %s damaged: %v", b, err)
		}
		must(t, os.WriteFile(path, good, 0o600))
		if _, err := f.Lower(t.Context(), digest); err != nil {
			t.Errorf("Lower after repair: %v", err)
		}
	}
	var c *CorruptError
	if _, err := f.Info(t.Context(), "nonsense"); err == nil || errors.As(err, &c) {
		t.Errorf("Info of nonsense: %v", err)
	}
}

func TestExport(t *testing.T) {
	f := newFixture(t)
	digest := f.write(t, f.contents(t, "v1"))
	file := filepath.Join(f.dir, "slug.tar")
	export := func(name string) {
		w, err := os.Create(name)
		must(t, err)
		must(t, f.Export(t.Context(), digest, "paas/hello:v1", w))
		must(t, w.Close())
	}
	export(file)
	out, err := exec.Command("skopeo", "inspect", "oci-archive:"+file+":paas/hello:v1").Output()
	if err != nil {
		t.Fatalf("skopeo inspect: %v", stderr(err))
	}
	var seen struct {
		Digest string
		Labels map[string]string
		Layers []string
		Os     string
	}
	must(t, json.Unmarshal(out, &seen))
	if seen.Digest != digest || len(seen.Layers) != 2 || seen.Labels[slug.LabelStack] != "heroku-22" || seen.Os != "linux" {
		t.Errorf("skopeo sees %s", out)
	}
	// A copy checks every digest.
	copied := filepath.Join(f.dir, "copied")
	if out, err := exec.Command("skopeo", "copy", "--insecure-policy", "oci-archive:"+file, "oci:"+copied+":v1").CombinedOutput(); err != nil {
		t.Fatalf("skopeo copy: %v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(copied, "blobs/sha256", strings.TrimPrefix(digest, "sha256:"))); err != nil {
		t.Errorf("the copy has another digest: %v", err)
	}
	again := filepath.Join(f.dir, "again.tar")
	export(again)
	a, err := os.ReadFile(file)
	must(t, err)
	b, err := os.ReadFile(again)
	must(t, err)
	if !bytes.Equal(a, b) {
		t.Error("two exports differ")
	}
}

func stderr(err error) string {
	var e *exec.ExitError
	if errors.As(err, &e) {
		return string(e.Stderr)
	}
	return err.Error()
}

func TestExportNamesEachBlobOnce(t *testing.T) {
	f := newFixture(t)
	c := f.contents(t, "v1")
	c.Layers = append(c.Layers, c.Layers[1])
	var b bytes.Buffer
	must(t, f.Export(t.Context(), f.write(t, c), "", &b))
	names := map[string]int{}
	for r := tar.NewReader(&b); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		must(t, err)
		names[h.Name]++
	}
	for n, count := range names {
		if count != 1 {
			t.Errorf("%s is there %d times", n, count)
		}
	}
}

func TestExportEndsWithItsContext(t *testing.T) {
	f := newFixture(t)
	digest := f.write(t, f.contents(t, "v1"))
	why := errors.New("client left")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if err := f.Export(ctx, digest, "x", io.Discard); !errors.Is(err, why) {
		t.Fatalf("Export = %v", err)
	}
}

func TestCollect(t *testing.T) {
	f := newFixture(t)
	live, dead := f.contents(t, "live"), f.contents(t, "dead")
	liveDigest, deadDigest := f.write(t, live), f.write(t, dead)
	build := f.layer(t, "build", "usr/bin/cc", "cc")
	f.kept = []slug.Layer{build}
	collect := func() int64 {
		t.Helper()
		n, err := f.Collect(t.Context(), []string{liveDigest})
		must(t, err)
		return n
	}
	if n := collect(); n != 0 {
		t.Fatalf("young slugs were collected: %d bytes", n)
	}
	f.age(t)
	n := collect()
	if n < dead.Layers[1].Size {
		t.Errorf("freed %d bytes", n)
	}
	if _, err := f.Info(t.Context(), deadDigest); err == nil {
		t.Error("the dead slug is still there")
	}
	if _, err := f.blobs.Stat(dead.Layers[1].Digest); err == nil {
		t.Error("the dead slug's layer is still there")
	}
	trees, err := f.layers.Trees()
	must(t, err)
	if len(trees) != 3 { // run, build, the live app
		t.Errorf("trees = %v", trees)
	}
	var out bytes.Buffer
	if err := f.Export(t.Context(), liveDigest, "x", &out); err != nil {
		t.Errorf("the live slug: %v", err)
	}
	if n := collect(); n != 0 {
		t.Errorf("a second collection freed %d bytes", n)
	}
}

// Nothing is thrown away on half knowledge.
func TestCollectNeedsToReadEveryLiveSlug(t *testing.T) {
	f := newFixture(t)
	digest := f.write(t, f.contents(t, "v1"))
	f.age(t)
	m, _, err := f.read(digest)
	must(t, err)
	if _, err := f.blobs.DeleteOlder(string(m.Config.Digest), time.Now()); err != nil {
		t.Fatal(err)
	}
	if n, err := f.Collect(t.Context(), []string{digest}); err == nil || n != 0 {
		t.Fatalf("Collect = %d, %v", n, err)
	}
	f.keep = func(context.Context) ([]slug.Layer, error) { return nil, errors.New("no stacks today") }
	if n, err := f.Collect(t.Context(), nil); err == nil || n != 0 {
		t.Fatalf("Collect = %d, %v", n, err)
	}
}

// age makes everything two hours old.
func (f *fixture) age(t *testing.T) {
	t.Helper()
	f.layers.Wait() // what it does in the background would make it young again
	old := time.Now().Add(-2 * time.Hour)
	for _, pattern := range []string{"blobs/sha256/*", "layers/*/complete"} {
		names, err := filepath.Glob(filepath.Join(f.dir, pattern))
		must(t, err)
		for _, n := range names {
			must(t, os.Chtimes(n, old, old))
		}
	}
}
