package catalog

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"paas/api"
	"paas/buildpacks"
	"paas/buildpacks/builtin"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newCatalog(t *testing.T, change func(*Options)) *Catalog {
	t.Helper()
	o := Options{Dir: filepath.Join(t.TempDir(), "cache"), Program: "/buildpacks/.bin/paas-buildpack", Version: "v1", Owner: os.Getuid(), AllowFile: true}
	if change != nil {
		change(&o)
	}
	c, err := New(o)
	must(t, err)
	return c
}

// install resolves and installs a reference, and returns where.
func install(t *testing.T, c *Catalog, ref string) (buildpacks.Buildpack, string) {
	t.Helper()
	b, err := c.Resolve(t.Context(), ref)
	must(t, err)
	dir := t.TempDir()
	rel, err := c.Install(t.Context(), b, dir)
	must(t, err)
	return b, filepath.Join(dir, rel)
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	must(t, err)
	return string(b)
}

func TestBuiltins(t *testing.T) {
	c := newCatalog(t, nil)
	all := c.Builtins()
	if len(all) != len(builtin.List()) {
		t.Fatalf("Builtins = %v", all)
	}
	for _, want := range all {
		for _, ref := range []string{want.Name, "urn:buildpack:" + want.Name} {
			b, dir := install(t, c, ref)
			if b.Name != want.Name || b.Version != "v1" || !slices.Equal(b.Layers, want.Layers) {
				t.Errorf("Resolve(%q) = %+v", ref, b)
			}
			for _, p := range builtin.Programs() {
				if target, err := os.Readlink(filepath.Join(dir, "bin", p)); err != nil || target != "/buildpacks/.bin/paas-buildpack" {
					t.Errorf("%s bin/%s -> %q, %v", ref, p, target, err)
				}
			}
			if _, ok := builtin.Find(filepath.Base(dir)); !ok {
				t.Errorf("directory %q is no built-in buildpack's name", filepath.Base(dir))
			}
		}
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]ref{
		"heroku-community/apt":                  {kindRegistry, "heroku-community/apt", "", "heroku-community/apt"},
		"https://example.com/a/b":               {kindGit, "https://example.com/a/b", "", "https://example.com/a/b"},
		"https://example.com/a.git#v1.2":        {kindGit, "https://example.com/a.git", "v1.2", "https://example.com/a.git#v1.2"},
		"https://example.com/a#feature/x":       {kindGit, "https://example.com/a", "feature/x", "https://example.com/a#feature/x"},
		"git@example.com:a/b.git#main":          {kindGit, "git@example.com:a/b.git", "main", "git@example.com:a/b.git#main"},
		"https://example.com/a.tgz":             {kindArchive, "https://example.com/a.tgz", "", "https://example.com/a.tgz"},
		"https://example.com/a.tar.bz2?x=1":     {kindArchive, "https://example.com/a.tar.bz2?x=1", "", "https://example.com/a.tar.bz2?x=1"},
		"https://u:secret@example.com/a.git#b":  {kindGit, "https://u:secret@example.com/a.git", "b", "https://example.com/a.git#b"},
		"ssh://git:pw@example.com/a":            {kindGit, "ssh://git:pw@example.com/a", "", "ssh://git@example.com/a"},
		"http://example.com/a.tgz.git":          {kindGit, "http://example.com/a.tgz.git", "", "http://example.com/a.tgz.git"},
		"https://p@ss:word@example.com/x?y=a@b": {},
		"git://example.com/a.tgz":               {kindGit, "git://example.com/a.tgz", "", "git://example.com/a.tgz"},
		"file:///srv/bp":                        {},
		"ext::sh -c touch% /tmp/x":              {},
		"ext::sh":                               {},
		"--upload-pack=x":                       {},
		"-oProxyCommand=x@host:y":               {},
		"ssh://-oProxyCommand=x/y":              {},
		"https://-x/y":                          {},
		"/etc":                                  {},
		"../x":                                  {},
		"a/..":                                  {},
		"":                                      {},
		"https://example.com/a b":               {},
		"https://example.com/a#-x":              {},
		"https://example.com/a#a..b":            {},
		"https://example.com/a.tgz#main":        {},
		"javascript:alert(1)":                   {},
		"https:///x":                            {},
		"https://example.com/" + strings.Repeat("x", 3000): {},
	} {
		got, err := parse(text, false)
		if text == "https://p@ss:word@example.com/x?y=a@b" {
			if strings.Contains(got.display, "word") {
				t.Errorf("parse(%q) shows %q", text, got.display)
			}
			continue
		}
		if want == (ref{}) {
			if err == nil {
				t.Errorf("parse(%q) = %+v, want an error", text, got)
			}
		} else if err != nil || got != want {
			t.Errorf("parse(%q) = %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"heroku/x", "https://u:p@h/x.git#r", "git@h:x", "ext::sh", "file:///x", "https://h/a.tgz?x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parse(text, false)
		if err != nil {
			return
		}
		if strings.HasPrefix(r.url, "-") || strings.HasPrefix(r.commit, "-") || strings.HasPrefix(r.url, "/") || strings.Contains(r.url, "::") && !strings.Contains(r.url, "://") {
			t.Fatalf("parse(%q) = %+v", text, r)
		}
	})
}

// repo is a git repository with a buildpack.
type repo struct {
	t   *testing.T
	dir string
}

func newRepo(t *testing.T) repo {
	t.Helper()
	r := repo{t, filepath.Join(t.TempDir(), "repo")}
	must(t, os.Mkdir(r.dir, 0o755))
	r.git("init", "-q", "-b", "main")
	return r
}

func (r repo) git(args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", r.dir, "-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "protocol.file.allow=always"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes bin/compile with a text and returns the commit.
func (r repo) commit(text string) string {
	r.t.Helper()
	must(r.t, os.MkdirAll(filepath.Join(r.dir, "bin"), 0o755))
	must(r.t, os.WriteFile(filepath.Join(r.dir, "bin/compile"), []byte(text), 0o644))
	must(r.t, os.WriteFile(filepath.Join(r.dir, "bin/detect"), nil, 0o644))
	r.git("add", "-A")
	r.git("commit", "-q", "-m", text)
	return r.git("rev-parse", "HEAD")
}

func (r repo) url() string { return "file://" + r.dir }

func TestGit(t *testing.T) {
	r := newRepo(t)
	first := r.commit("one")
	r.git("tag", "-a", "-m", "annotated", "v1")
	r.git("branch", "old/stable")
	second := r.commit("two")
	c := newCatalog(t, nil)
	for ref, want := range map[string][2]string{
		"": {second, "two"}, "#main": {second, "two"}, "#v1": {first, "one"}, "#old/stable": {first, "one"}, "#" + first: {first, "one"}, "#" + first[:8]: {first, "one"},
	} {
		b, dir := install(t, c, r.url()+ref)
		if b.Version != want[0] || b.Name != r.url()+ref || read(t, dir, "bin/compile") != want[1] {
			t.Errorf("%q: %+v with %q, want %v", ref, b, read(t, dir, "bin/compile"), want)
		}
		if _, err := os.Stat(filepath.Join(dir, ".git")); err == nil {
			t.Errorf("%q: git's own files are there", ref)
		}
		for _, p := range []string{"bin/detect", "bin/compile"} {
			if st, err := os.Stat(filepath.Join(dir, p)); err != nil || st.Mode().Perm() != 0o755 {
				t.Errorf("%q: %s has mode %v, %v", ref, p, st.Mode(), err)
			}
		}
	}
	third := r.commit("three")
	if b, dir := install(t, c, r.url()); b.Version != third || read(t, dir, "bin/compile") != "three" {
		t.Errorf("after a new commit: %+v", b)
	}
	// A full hash needs no server, the beginning of one that is known neither.
	must(t, os.Rename(r.dir, r.dir+".gone"))
	for _, ref := range []string{first, first[:8]} {
		if b, _ := install(t, c, r.url()+"#"+ref); b.Version != first {
			t.Errorf("from the cache: %+v", b)
		}
	}
}

func TestSubmodules(t *testing.T) {
	inner := newRepo(t)
	inner.commit("inner")
	r := newRepo(t)
	r.commit("outer")
	r.git("submodule", "--quiet", "add", inner.url(), "vendor/inner")
	r.git("commit", "-q", "-m", "with submodule")
	c := newCatalog(t, nil)
	for _, ref := range []string{"", "#" + r.git("rev-parse", "HEAD")} {
		_, dir := install(t, newCatalog(t, nil), r.url()+ref)
		if read(t, dir, "vendor/inner/bin/compile") != "inner" {
			t.Errorf("%q: the submodule is not there", ref)
		}
		if _, err := os.Stat(filepath.Join(dir, "vendor/inner/.git")); err == nil {
			t.Errorf("%q: git's own files are there", ref)
		}
	}
	_ = c
}

// A copy is the build's own: nothing it does reaches the next one.
func TestInstallCopies(t *testing.T) {
	r := newRepo(t)
	must(t, os.Symlink("/etc/passwd", filepath.Join(r.dir, "link")))
	r.commit("good")
	c := newCatalog(t, nil)
	_, dir := install(t, c, r.url())
	f, err := os.OpenFile(filepath.Join(dir, "bin/compile"), os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString("evil")
	must(t, errors.Join(err, f.Close()))
	if target, err := os.Readlink(filepath.Join(dir, "link")); err != nil || target != "/etc/passwd" {
		t.Errorf("link -> %q, %v", target, err)
	}
	if _, again := install(t, c, r.url()); read(t, again, "bin/compile") != "good" {
		t.Error("a write to one copy is seen in the next")
	}
}

func TestGitFailures(t *testing.T) {
	r := newRepo(t)
	r.commit("one")
	c := newCatalog(t, nil)
	for ref, want := range map[string]string{
		r.url() + "#nope":       `it has no branch or tag "nope"`,
		r.url() + "x":           "does not appear to be a git repository",
		"file://" + t.TempDir(): "does not appear to be a git repository",
		"ext::sh":               "neither a shorthand",
		"https://127.0.0.1:1/x": "127.0.0.1",
	} {
		_, err := c.Resolve(t.Context(), ref)
		var e *api.Error
		if !errors.As(err, &e) || e.ID != api.InvalidParams || !strings.Contains(e.Message, want) {
			t.Errorf("Resolve(%q) = %v, want an error with %q", ref, err, want)
		}
	}
	strict := newCatalog(t, func(o *Options) { o.AllowFile = false })
	if _, err := strict.Resolve(t.Context(), r.url()); err == nil || !strings.Contains(err.Error(), "file:// URLs are not allowed") {
		t.Errorf("a file: %v", err)
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	var user, pass string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, ok := r.BasicAuth(); ok {
			user, pass = u, p
			http.Error(w, "no", http.StatusNotFound)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		http.Error(w, "who?", http.StatusUnauthorized)
	}))
	defer s.Close()
	c := newCatalog(t, nil)
	for _, path := range []string{"/a.git", "/a.tgz"} {
		ref := strings.Replace(s.URL, "http://", "http://me:hunter2@", 1) + path
		_, err := c.Resolve(t.Context(), ref)
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), s.URL+path) {
			t.Errorf("%s: %v", path, err)
		}
		if user != "me" || pass != "hunter2" {
			t.Errorf("%s: the server was told %q, %q", path, user, pass)
		}
		user, pass = "", ""
	}
}

func TestSizeLimit(t *testing.T) {
	r := newRepo(t)
	noise := make([]byte, 300_000)
	f, err := os.Open("/dev/urandom")
	must(t, err)
	_, err = f.Read(noise)
	must(t, errors.Join(err, f.Close()))
	must(t, os.WriteFile(filepath.Join(r.dir, "big"), noise, 0o644))
	r.commit("big")
	c := newCatalog(t, func(o *Options) { o.MaxBytes = 100_000 })
	if _, err := c.Resolve(t.Context(), r.url()); err == nil || !strings.Contains(err.Error(), "larger than allowed") {
		t.Errorf("Resolve = %v", err)
	}
	s := archives(t, map[string][]byte{"/big.tgz": tgz(t, file("bin/detect", hex.EncodeToString(noise))), "/bomb.tgz": tgz(t, file("x", strings.Repeat("0", 5_000_000)))})
	for _, name := range []string{"/big.tgz", "/bomb.tgz"} {
		if _, err := c.Resolve(t.Context(), s.URL+name); err == nil || !strings.Contains(err.Error(), "larger than allowed") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left, err := os.ReadDir(c.tmp()); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestTimeout(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer s.Close()
	defer close(release)
	c := newCatalog(t, func(o *Options) { o.Timeout = 200 * time.Millisecond })
	for _, path := range []string{"/a.git", "/a.tgz"} {
		if _, err := c.Resolve(t.Context(), s.URL+path); err == nil || !strings.Contains(err.Error(), "no answer within 200ms") {
			t.Errorf("%s: %v", path, err)
		}
	}
	why := errors.New("cancelled")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := newCatalog(t, nil).Resolve(ctx, s.URL+"/a.git"); !errors.Is(err, why) {
		t.Errorf("cancelled: %v", err)
	}
}

func file(name, content string) func(*tar.Writer) error {
	return func(w *tar.Writer) error {
		err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))})
		_, werr := w.Write([]byte(content))
		return errors.Join(err, werr)
	}
}

func header(h tar.Header) func(*tar.Writer) error {
	return func(w *tar.Writer) error { return w.WriteHeader(&h) }
}

func tgz(t *testing.T, entries ...func(*tar.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, e := range entries {
		must(t, e(w))
	}
	must(t, errors.Join(w.Close(), z.Close()))
	return b.Bytes()
}

// archives serves files, with ETags.
func archives(t *testing.T, files map[string][]byte) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", fmt.Sprintf(`"%s"`, hash(string(b))))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	}))
	t.Cleanup(s.Close)
	return s
}

func TestArchives(t *testing.T) {
	flat := tgz(t, file("bin/detect", "d"), file("bin/compile", "flat"), header(tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "bin/compile"}))
	nested := tgz(t, header(tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "c"}}), header(tar.Header{Typeflag: tar.TypeDir, Name: "pack-1.0/", Mode: 0o755}), file("pack-1.0/bin/compile", "nested"))
	plain, err := gzip.NewReader(bytes.NewReader(flat))
	must(t, err)
	var tarred bytes.Buffer
	_, err = tarred.ReadFrom(plain)
	must(t, err)
	bz := exec.Command("bzip2", "-c")
	bz.Stdin = bytes.NewReader(tarred.Bytes())
	bzipped, err := bz.Output()
	must(t, err)
	files := map[string][]byte{"/a.tgz": flat, "/b.tar.gz": nested, "/c.tar": tarred.Bytes(), "/d.tbz": bzipped, "/reg/acme/thing.tgz": flat}
	s := archives(t, files)
	c := newCatalog(t, func(o *Options) { o.Registry = s.URL + "/reg/" })
	for ref, want := range map[string]string{s.URL + "/a.tgz?token=1": "flat", s.URL + "/b.tar.gz": "nested", s.URL + "/c.tar": "flat", s.URL + "/d.tbz": "flat", "acme/thing": "flat"} {
		b, dir := install(t, c, ref)
		if got := read(t, dir, "bin/compile"); got != want || b.Name != ref || len(b.Version) != 64 {
			t.Errorf("%s: %q, %+v", ref, got, b)
		}
	}
}

func TestUnchangedArchivesAreNotFetchedAgain(t *testing.T) {
	var full atomic.Int32
	files := map[string][]byte{"/a.tgz": tgz(t, file("bin/compile", "one"))}
	inner := archives(t, files)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == "" {
			full.Add(1)
		}
		inner.Config.Handler.ServeHTTP(w, r)
	}))
	defer s.Close()
	c := newCatalog(t, nil)
	first, _ := install(t, c, s.URL+"/a.tgz")
	if again, _ := install(t, c, s.URL+"/a.tgz"); again.Version != first.Version || full.Load() != 1 {
		t.Errorf("again: %+v after %d full requests", again, full.Load())
	}
	files["/a.tgz"] = tgz(t, file("bin/compile", "two"))
	changed, dir := install(t, c, s.URL+"/a.tgz")
	if changed.Version == first.Version || read(t, dir, "bin/compile") != "two" {
		t.Errorf("changed: %+v", changed)
	}
}

func TestHostileArchives(t *testing.T) {
	link := func(name, target string) func(*tar.Writer) error {
		return header(tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target})
	}
	for name, b := range map[string][]byte{
		"dots":      tgz(t, file("../../evil", "x")),
		"link":      tgz(t, link("l", "../.."), file("l/evil", "x")),
		"abs link":  tgz(t, link("l", "/tmp"), file("l/evil-catalog-test", "x")),
		"hard link": tgz(t, header(tar.Header{Typeflag: tar.TypeLink, Name: "h", Linkname: "../../../../../../../../etc/passwd"})),
		"no gzip":   []byte("hello"),
		"no tar": func() []byte {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			_, _ = z.Write(bytes.Repeat([]byte("x"), 2000))
			z.Close()
			return b.Bytes()
		}(),
		"truncated": func() []byte { b := tgz(t, file("f", strings.Repeat("abc", 1000))); return b[:len(b)-20] }(),
	} {
		t.Run(name, func(t *testing.T) {
			s := archives(t, map[string][]byte{"/x.tgz": b})
			c := newCatalog(t, nil)
			if b, err := c.Resolve(t.Context(), s.URL+"/x.tgz"); err == nil || api.IDOf(err) != api.InvalidParams {
				t.Errorf("Resolve = %+v, %v", b, err)
			}
			if _, err := os.Stat("/tmp/evil-catalog-test"); err == nil {
				t.Error("it was written outside")
			}
			if left, err := os.ReadDir(filepath.Dir(c.o.Dir)); err != nil || len(left) != 1 {
				t.Errorf("outside of the cache: %v, %v", left, err)
			}
		})
	}
}

func TestPrune(t *testing.T) {
	r := newRepo(t)
	c := newCatalog(t, nil)
	var last string
	for i := range keepVersions + 2 {
		last = r.commit(fmt.Sprint("v", i))
		install(t, c, r.url())
	}
	dirs, err := filepath.Glob(filepath.Join(c.o.Dir, "git-*", "*"))
	must(t, err)
	if len(dirs) != keepVersions || !slices.ContainsFunc(dirs, func(d string) bool { return filepath.Base(d) == last }) {
		t.Errorf("kept: %v, want %d with %s", dirs, keepVersions, last)
	}
}

func TestConcurrentResolves(t *testing.T) {
	r := newRepo(t)
	want := r.commit("one")
	c := newCatalog(t, nil)
	errs := make(chan error)
	for range 6 {
		go func() {
			b, err := c.Resolve(context.Background(), r.url())
			if err == nil && b.Version != want {
				err = fmt.Errorf("version %s", b.Version)
			}
			errs <- err
		}()
	}
	for range 6 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// A server whose certificate only the operator's bundle vouches for.
func TestCABundle(t *testing.T) {
	s := httptest.NewTLSServer(archives(t, map[string][]byte{"/a.tgz": tgz(t, file("bin/compile", "tls"))}).Config.Handler)
	defer s.Close()
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	if _, err := newCatalog(t, nil).Resolve(t.Context(), s.URL+"/a.tgz"); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without the bundle: %v", err)
	}
	c := newCatalog(t, func(o *Options) { o.CABundle = bundle })
	if _, dir := install(t, c, s.URL+"/a.tgz"); read(t, dir, "bin/compile") != "tls" {
		t.Error("wrong content")
	}
	// git gets as far as being told that there is no repository.
	if _, err := c.Resolve(t.Context(), s.URL+"/none.git"); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("git: %v", err)
	}
	if _, err := New(Options{Dir: t.TempDir(), CABundle: "/does/not/exist"}); err == nil {
		t.Error("a missing bundle: no error")
	}
}
