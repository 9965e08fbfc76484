package runtimes

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb"
)

func TestParseGoProxy(t *testing.T) {
	for list, want := range map[string]string{
		"":                          publicGoProxy + ", " + directToolchains + ",",
		"https://a,https://b/|off":  "https://a, https://b|",
		"direct":                    directToolchains + ",",
		"off":                       "",
		" https://a , direct,never": "https://a, " + directToolchains + ",",
	} {
		hops, _ := parseGoProxy(list)
		got := ""
		for _, h := range hops {
			got += h.base + map[bool]string{true: "|", false: ","}[h.anyError] + " "
		}
		if got = strings.TrimSuffix(got, " "); got != want {
			t.Errorf("%q: %q, want %q", list, got, want)
		}
	}
	g := mustProxy(t, map[string]string{"GOPROXY": "off", "GOSUMDB": "off"})
	if _, err := g.ResolveGo(context.Background(), "go1.25"); err == nil || !strings.Contains(err.Error(), "GOPROXY=off") {
		t.Errorf("%v", err)
	}
}

func mustProxy(t *testing.T, env map[string]string) *GoProxy {
	t.Helper()
	g, err := NewGoProxy(func(key string) string { return env[key] }, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	g.Client.Pause = time.Millisecond
	return g
}

func TestSumDBSettings(t *testing.T) {
	for _, c := range []struct {
		env      map[string]string
		verified bool
	}{
		{nil, true},
		{map[string]string{"GOSUMDB": "off"}, false},
		{map[string]string{"GONOSUMDB": "golang.org/*"}, false},
		{map[string]string{"GONOSUMDB": "example.com"}, true},
		{map[string]string{"GOPRIVATE": "golang.org"}, false},
		{map[string]string{"GOPRIVATE": "golang.org", "GONOSUMDB": "example.com"}, true},
		{map[string]string{"GOSUMDB": publicSumDB + " https://mirror.example.com"}, true},
	} {
		if g := mustProxy(t, c.env); g.Verified() != c.verified {
			t.Errorf("%v: verified %v", c.env, g.Verified())
		}
	}
	if _, err := NewGoProxy(func(k string) string { return map[string]string{"GOSUMDB": "db.example.com"}[k] }, t.TempDir()); err == nil {
		t.Error("a database without a key was accepted")
	}
}

// toolchainZip is a module zip with the traps of the real ones.
func toolchainZip(t *testing.T, version string, extra ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	prefix := toolchainModule + "@" + moduleVersion(version) + "/"
	names := append([]string{"bin/go", "pkg/tool/linux_amd64/compile", "src/_go.mod", "src/cmd/_go.mod", "src/fmt/print.go", "VERSION"}, extra...)
	for _, name := range names {
		if !strings.HasPrefix(name, "..") {
			name = prefix + name
		}
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(f, "content of %s", name)
	}
	w.Close()
	return b.Bytes()
}

// fakeProxy serves toolchains; only some of them are in its list.
type fakeProxy struct {
	*httptest.Server
	mu     sync.Mutex
	zips   map[string][]byte
	listed []string
	asked  []string
	sums   http.Handler
}

func newFakeProxy(t *testing.T) *fakeProxy {
	f := &fakeProxy{zips: map[string][]byte{}}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.asked = append(f.asked, r.URL.Path)
		if rest, ok := strings.CutPrefix(r.URL.Path, "/sumdb/localhost.localdev/sumdb"); ok && f.sums != nil {
			if rest == "/supported" {
				return
			}
			r.URL.Path = rest
			f.sums.ServeHTTP(w, r)
			return
		}
		name := strings.TrimPrefix(r.URL.Path, "/"+toolchainModule+"/@v/")
		if name == "list" {
			for _, v := range f.listed {
				fmt.Fprintln(w, moduleVersion(v))
			}
			fmt.Fprintln(w, "v0.0.1-go1.99.0.plan9-amd64")
			return
		}
		version := strings.TrimSuffix(strings.TrimSuffix(name, ".zip"), ".info")
		for v, data := range f.zips {
			if moduleVersion(v) != version {
				continue
			}
			if strings.HasSuffix(name, ".zip") {
				w.Write(data)
			} else {
				io.WriteString(w, "{}")
			}
			return
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(f.Close)
	return f
}

func TestResolveGo(t *testing.T) {
	f := newFakeProxy(t)
	f.listed = []string{"go1.19.13", "go1.20.0", "go1.25.1", "go1.25.9", "go1.25.10", "go1.26rc1"}
	for _, v := range append(f.listed, "go1.25.11", "go1.25.12", "go1.20") {
		f.zips[v] = nil
	}
	g := mustProxy(t, map[string]string{"GOPROXY": f.URL, "GOSUMDB": "off"})
	for want, expect := range map[string]string{
		"go1.25":    "go1.25.12", // served, not listed
		"go1.25.9":  "go1.25.9",
		"go1.20.0":  "go1.20",
		"go1.26rc1": "go1.26rc1",
	} {
		if got, err := g.ResolveGo(context.Background(), want); err != nil || got != expect {
			t.Errorf("%s: %s, %v", want, got, err)
		}
	}
	for _, want := range []string{"go1.26", "go1.25.13", "go1.99"} {
		_, err := g.ResolveGo(context.Background(), want)
		var u *UnavailableError
		if !errors.As(err, &u) || !slices.Contains(u.Have, "go1.25.10") || u.Asked[0] != f.URL {
			t.Errorf("%s: %v", want, err)
		}
	}
	for _, bad := range []string{"1.25", "go", "go1.x", "gopher", "go1.25-custom"} {
		if _, err := g.ResolveGo(context.Background(), bad); err == nil {
			t.Errorf("%s resolved", bad)
		}
	}
}

func TestProxiesInTurn(t *testing.T) {
	empty, full := newFakeProxy(t), newFakeProxy(t)
	full.zips["go1.25.1"] = nil
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }))
	defer broken.Close()
	for _, c := range []struct {
		list string
		ok   bool
	}{
		{empty.URL + "," + full.URL, true},
		{broken.URL + "," + full.URL, false},
		{broken.URL + "|" + full.URL, true},
		{empty.URL, false},
	} {
		g := mustProxy(t, map[string]string{"GOPROXY": c.list, "GOSUMDB": "off"})
		if ok, _ := g.Has(context.Background(), "go1.25.1"); ok != c.ok {
			t.Errorf("%s: %v", c.list, ok)
		}
	}
}

func TestInstallGo(t *testing.T) {
	f := newFakeProxy(t)
	f.zips["go1.25.1"] = toolchainZip(t, "go1.25.1")
	c := &Cache{Dir: t.TempDir(), Proxy: mustProxy(t, map[string]string{"GOPROXY": f.URL, "GOSUMDB": "off"})}
	if err := os.MkdirAll(filepath.Join(c.Dir, partialPrefix+"go-go1.24.0"), 0o755); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 { // many at once: one fetches
		all.Add(1)
		go func() {
			defer all.Done()
			if _, err := c.Ensure(context.Background(), Go, "go1.25.1"); err != nil {
				t.Error(err)
			}
		}()
	}
	all.Wait()
	dir, err := c.Ensure(context.Background(), Go, "go1.25.1")
	if err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"bin/go": 0o755, "pkg/tool/linux_amd64/compile": 0o755, "src/go.mod": 0o644, "src/cmd/go.mod": 0o644, "src/fmt/print.go": 0o644} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	zips := 0
	for _, path := range f.asked {
		if strings.HasSuffix(path, ".zip") {
			zips++
		}
	}
	if zips != 1 {
		t.Errorf("%d downloads", zips)
	}
	if left, _ := filepath.Glob(filepath.Join(c.Dir, partialPrefix+"*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestInstallGoRefusesOddZips(t *testing.T) {
	for _, name := range []string{"../../evil", "src/../../../evil", "src/aux/con.go\x00", "bin/"} {
		f := newFakeProxy(t)
		f.zips["go1.25.1"] = toolchainZip(t, "go1.25.1", name)
		c := &Cache{Dir: t.TempDir(), Proxy: mustProxy(t, map[string]string{"GOPROXY": f.URL, "GOSUMDB": "off"})}
		if dir, err := c.Ensure(context.Background(), Go, "go1.25.1"); err == nil {
			t.Errorf("%q: installed in %s", name, dir)
		}
		if c.Has(Go, "go1.25.1") {
			t.Errorf("%q: left behind", name)
		}
	}
}

// The key pair of the Go project's own tests.
const (
	testVerifier = "localhost.localdev/sumdb+00000c67+AcTrnkbUA+TU4heY3hkjiSES/DSQniBqIeQ/YppAUtK6"
	testSigner   = "PRIVATE+KEY+localhost.localdev/sumdb+00000c67+AXu6+oaVaOYuQOFrf1V59JK1owcFlJcHwwXHDfDGxSPk"
)

func TestChecksumDatabase(t *testing.T) {
	f := newFakeProxy(t)
	good := toolchainZip(t, "go1.25.1")
	f.zips["go1.25.1"] = good
	archive, err := zip.NewReader(bytes.NewReader(good), int64(len(good)))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := unzip(context.Background(), archive, toolchainModule+"@"+moduleVersion("go1.25.1")+"/", filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	f.sums = sumdb.NewServer(sumdb.NewTestServer(testSigner, func(path, vers string) ([]byte, error) {
		return fmt.Appendf(nil, "%s %s %s\n%s %s/go.mod h1:x\n", path, vers, sum, path, vers), nil
	}))
	env := map[string]string{"GOPROXY": f.URL, "GOSUMDB": testVerifier}
	c := &Cache{Dir: t.TempDir(), Proxy: mustProxy(t, env)}
	if _, err := c.Ensure(context.Background(), Go, "go1.25.1"); err != nil {
		t.Fatal(err)
	}

	f.zips["go1.25.1"] = toolchainZip(t, "go1.25.1", "src/backdoor.go")
	c = &Cache{Dir: t.TempDir(), Proxy: mustProxy(t, env)}
	if _, err := c.Ensure(context.Background(), Go, "go1.25.1"); err == nil || !strings.Contains(err.Error(), "digest") {
		t.Errorf("a changed toolchain: %v", err)
	}
	if c.Has(Go, "go1.25.1") {
		t.Error("a changed toolchain was kept")
	}

	f.zips["go1.25.1"] = good
	env["GOSUMDB"] = strings.Replace(testVerifier, "Ac", "Ad", 1)
	if g, err := NewGoProxy(func(k string) string { return env[k] }, t.TempDir()); err == nil {
		c = &Cache{Dir: t.TempDir(), Proxy: g}
		if _, err := c.Ensure(context.Background(), Go, "go1.25.1"); err == nil {
			t.Error("a database with another key was believed")
		}
	}
}

func TestMemory(t *testing.T) {
	now := time.Unix(1000, 0)
	m := &Memory{Path: filepath.Join(t.TempDir(), "a", "m.json"), Now: func() time.Time { return now }}
	if _, _, ok := m.Recall("x"); ok {
		t.Error("recalled nothing")
	}
	if err := m.Remember("x", Resolved{Version: "1.2.3", Wide: true}); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute)
	if r, age, ok := m.Recall("x"); !ok || age != time.Minute || r.Version != "1.2.3" || !r.Wide {
		t.Errorf("%+v %v %v", r, age, ok)
	}
	if err := os.WriteFile(m.Path, []byte("garbage"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := m.Recall("x"); ok {
		t.Error("recalled garbage")
	}
}
