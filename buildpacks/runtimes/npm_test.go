package runtimes

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

type entry struct {
	name, content string
	mode          int64
	kind          byte
}

func tarball(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	w := tar.NewWriter(gz)
	for _, e := range entries {
		if e.kind == 0 {
			e.kind = tar.TypeReg
		}
		h := &tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.content)), Typeflag: e.kind}
		if e.kind == tar.TypeSymlink {
			h.Size, h.Linkname = 0, e.content
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			w.Write([]byte(e.content))
		}
	}
	w.Close()
	gz.Close()
	return b.Bytes()
}

func integrity(data []byte) string {
	sum := sha512.Sum512(data)
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

// fakeNPM is a registry with one version of some packages.
type fakeNPM struct {
	*httptest.Server
	downloads atomic.Int32
	tarballs  map[string][]byte // "name version"
	sums      map[string]string
	fail      atomic.Int32 // answer so many requests with 503
}

func newFakeNPM(t *testing.T) *fakeNPM {
	f := &fakeNPM{tarballs: map[string][]byte{}, sums: map[string]string{}}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.fail.Add(-1) >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if name, version, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/tarball/"), "=="); ok {
			f.downloads.Add(1)
			w.Write(f.tarballs[name+" "+version])
			return
		}
		f.describe(w, strings.TrimPrefix(r.URL.Path, "/"))
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *fakeNPM) describe(w http.ResponseWriter, path string) {
	versions := map[string]any{}
	for key, data := range f.tarballs {
		name, version, _ := strings.Cut(key, " ")
		sum := f.sums[key]
		if sum == "" {
			sum = integrity(data)
		}
		doc := map[string]any{
			"name": name, "version": version, "engines": map[string]string{"node": ">=18"},
			"bin":  map[string]string{"tool": "bin/tool.js"},
			"dist": map[string]string{"tarball": publicNPM + "/tarball/" + name + "==" + version, "integrity": sum},
		}
		if path == name+"/"+version {
			json.NewEncoder(w).Encode(doc)
			return
		}
		if path == name {
			versions[version] = doc
		}
	}
	if len(versions) == 0 {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	json.NewEncoder(w).Encode(map[string]any{"versions": versions})
}

func (f *fakeNPM) registry() *Registry {
	r := NewRegistry(func(key string) string {
		return map[string]string{"NPM_CONFIG_REGISTRY": f.URL + "/"}[key]
	})
	r.Client.Pause = time.Millisecond
	return r
}

func TestEnsureTool(t *testing.T) {
	f := newFakeNPM(t)
	f.tarballs["tool 1.0.0"] = tarball(t,
		entry{name: "package/bin/tool.js", content: "#!/usr/bin/env node\n", mode: 0o644},
		entry{name: "package/run.sh", content: "x", mode: 0o777},
		entry{name: "package/link", content: "/etc/passwd", kind: tar.TypeSymlink},
		entry{name: "package/package.json", content: "{}", mode: 0o600})
	f.fail.Store(1) // and it asks again
	c := &Cache{Dir: t.TempDir(), Registry: f.registry()}
	for range 2 {
		dir, err := c.Ensure(context.Background(), "tool", "1.0.0")
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, "bin", "tool"))
		if err != nil || !strings.HasPrefix(string(data), "#!") {
			t.Fatalf("bin/tool: %q, %v", data, err)
		}
		modes := map[string]fs.FileMode{"bin/tool.js": 0o755, "run.sh": 0o755, "package.json": 0o644}
		for name, want := range modes {
			info, err := os.Stat(filepath.Join(dir, "lib/node_modules/tool", name))
			if err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: %v, %v", name, info, err)
			}
		}
		if _, err := os.Lstat(filepath.Join(dir, "lib/node_modules/tool/link")); !os.IsNotExist(err) {
			t.Errorf("a link was unpacked: %v", err)
		}
	}
	if n := f.downloads.Load(); n != 1 {
		t.Errorf("%d downloads", n)
	}
	if err := c.Prune("tool", "2.0.0"); err != nil || c.Has("tool", "1.0.0") {
		t.Errorf("pruning: %v", err)
	}
}

func TestUnpackRefuses(t *testing.T) {
	good := tarball(t, entry{name: "package/a", content: "a", mode: 0o644})
	for _, c := range []struct {
		name string
		data []byte
		sum  string
		says string
	}{
		{"another digest", good, integrity([]byte("x")), "digest"},
		{"bytes behind the archive", append(bytes.Clone(good), "more"...), integrity(good), ""},
		{"no digest", good, "sha1-abc", "no sha512"},
		{"a broken archive", good[:len(good)-12], "", ""},
		{"an outside path", tarball(t, entry{name: "package/../../evil", content: "a", mode: 0o644}), "", "outside"},
		{"an absolute path", tarball(t, entry{name: "/../../../evil", content: "a", mode: 0o644}), "", "outside"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeNPM(t)
			f.tarballs["p 1.0.0"], f.sums["p 1.0.0"] = c.data, c.sum
			root := t.TempDir()
			r := f.registry()
			p, err := r.Version(context.Background(), "p", "1.0.0")
			if err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(root, "x", "y")
			err = r.Unpack(context.Background(), p, dir)
			if err == nil {
				t.Fatal("unpacked")
			}
			if err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v", err)
			}
			if _, serr := os.Stat(dir); err != nil && !os.IsNotExist(serr) {
				t.Error("what could not be verified was left behind")
			}
			if found, _ := filepath.Glob(filepath.Join(root, "**", "evil")); len(found) > 0 {
				t.Errorf("written outside: %v", found)
			}
		})
	}
}

func TestUnavailable(t *testing.T) {
	f := newFakeNPM(t)
	for _, v := range []string{"18.1.0", "20.1.0", "20.2.0", "22.0.0"} {
		f.tarballs[nodePackage()+" "+v] = nil
	}
	want, _ := ParseRange("19.x")
	_, err := f.registry().ResolveNode(context.Background(), want, false)
	var u *UnavailableError
	if !errors.As(err, &u) {
		t.Fatalf("%v", err)
	}
	for _, part := range []string{`"19.x"`, f.URL, "22.0.0, 20.2.0, 18.1.0"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q lacks %q", err, part)
		}
	}
	_, err = f.registry().Version(context.Background(), "nothing", "1.0.0")
	if !errors.As(err, &u) {
		t.Errorf("%v", err)
	}
	f.tarballs["tool 1.0.0"] = nil
	all, _ := ParseRange("*")
	if _, err = f.registry().ResolveTool(context.Background(), "tool", all, "16.0.0"); err == nil || !strings.Contains(err.Error(), "does not work with Node.js 16.0.0") {
		t.Errorf("%v", err)
	}
}

func TestStalledDownloadEnds(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("some"))
		w.(http.Flusher).Flush()
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer s.Close()
	defer close(release)
	c := NewClient()
	c.Stall, c.Pause = 20*time.Millisecond, time.Millisecond
	r := &Registry{Base: s.URL, Client: c}
	if _, err := r.Versions(context.Background(), "x"); err == nil {
		t.Fatal("a stalled answer was taken")
	}
}

func TestRuntimeNames(t *testing.T) {
	c := &Cache{Dir: t.TempDir()}
	for _, bad := range [][2]string{{"../x", "1"}, {"x", "../1"}, {"", "1"}, {"x", ""}, {".x", "1"}, {"x", "a/b"}, {"a/b/c", "1"}, {"/x", "1"}} {
		if dir, err := c.path(bad[0], bad[1]); err == nil {
			t.Errorf("%q gives %s", bad, dir)
		}
	}
	for _, good := range [][2]string{{"npm", "10.0.0"}, {"@yarnpkg/cli-dist", "4.1.0"}, {Go, "go1.25.3"}} {
		if _, err := c.path(good[0], good[1]); err != nil {
			t.Error(err)
		}
	}
}

func TestPrograms(t *testing.T) {
	for _, c := range []struct{ pkg, want string }{
		{`{"name":"yarn","bin":{"yarn":"bin/yarn.js"}}`, "bin/yarn.js"},
		{`{"name":"@yarnpkg/yarn","bin":"bin/yarn.js"}`, "bin/yarn.js"},
	} {
		var p Package
		if err := json.Unmarshal([]byte(c.pkg), &p); err != nil {
			t.Fatal(err)
		}
		if got := p.Programs()["yarn"]; got != c.want {
			t.Errorf("%s: %q", c.pkg, got)
		}
	}
	dir := t.TempDir()
	for _, programs := range []map[string]string{{"../x": "a"}, {"x": "../../a"}, {"a/b": "c"}} {
		if err := link(filepath.Join(dir, "bin"), dir, programs); err == nil {
			t.Errorf("linked %v", programs)
		}
	}
}
