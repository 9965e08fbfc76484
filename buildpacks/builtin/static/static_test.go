package static

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

func site(t *testing.T, config string, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	if config != "" {
		files[configName] = config
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func newTestServer(t *testing.T, dir string, env map[string]string) http.Handler {
	t.Helper()
	getenv := func(key string) string { return env[key] }
	c, _, err := LoadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Interpolate(getenv); err != nil {
		t.Fatal(err)
	}
	s, err := NewServer(c, dir, getenv)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type request struct {
	method, url string
	header      map[string]string
}

func do(h http.Handler, r request) *http.Response {
	if r.method == "" {
		r.method = http.MethodGet
	}
	req := httptest.NewRequest(r.method, r.url, nil)
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestServe walks through the rules of static.json.
func TestServe(t *testing.T) {
	files := func() map[string]string {
		return map[string]string{
			"public_html/index.html": "home", "public_html/about.html": "about", "public_html/a b.txt": "space",
			"public_html/dir/index.html": "dir", "public_html/empty/x.css": "css", "public_html/.env": "secret",
			"public_html/.git/config": "secret", "public_html/.well-known/x": "known", "public_html/errors/404.html": "gone",
			"dist/index.html": "dist", "outside.txt": "outside",
		}
	}
	for _, c := range []struct {
		config, url string
		status      int
		text        string // the body, or Location
	}{
		{"", "/", 200, "home"},
		{"", "/about.html", 200, "about"},
		{"", "/about", 404, ""},
		{"", "/dir/", 200, "dir"},
		{"", "/dir?x=1", 301, "/dir/?x=1"},
		{"", "/empty/", 404, ""},
		{"", "/a%20b.txt", 200, "space"},
		{"", "/nope", 404, ""},
		{"", "/.env", 404, ""},
		{"", "/.git/config", 404, ""},
		{"", "/.well-known/x", 200, "known"},
		{"", "/../outside.txt", 404, ""},
		{"", "/%2e%2e/outside.txt", 404, ""},
		{"", "/dir/..//about.html", 200, "about"},
		{"", "//example.com/..", 200, "home"},
		{`{"root":"dist/"}`, "/", 200, "dist"},
		{`{"root":"/app/dist"}`, "/", 200, "dist"},
		{`{"clean_urls":true}`, "/about", 200, "about"},
		{`{"clean_urls":true}`, "/about.html", 200, "about"},
		{`{"clean_urls":true,"routes":{"/**":"index.html"}}`, "/x/y", 200, "home"},
		{`{"clean_urls":true,"routes":{"/**":"index.html"}}`, "/x.html", 404, ""},
		{`{"routes":{"/**":"index.html"}}`, "/deep/link", 200, "home"},
		{`{"routes":{"/**":"index.html"}}`, "/about.html", 200, "about"},
		{`{"routes":{"/*.html":"about.html","/**":"index.html"}}`, "/x.html", 200, "about"},
		{`{"routes":{"/*.html":"about.html","/**":"index.html"}}`, "/y/x.html", 200, "home"},
		{`{"routes":{"/x":"nothing.html"}}`, "/x", 404, ""},
		{`{"routes":{"/x":"../outside.txt"}}`, "/x", 404, ""},
		{`{"redirects":{"/old/":{"url":"/new"}}}`, "/old/", 301, "/new"},
		{`{"redirects":{"/old":{"url":"${TO}/x","status":302}}}`, "/old", 302, "https://to.example/x"},
		{`{"redirects":{"/about.html":{"url":"/new"}}}`, "/about.html", 200, "about"},
		{`{"error_page":"errors/404.html"}`, "/nope", 404, "gone"},
		{`{"canonical_host":"www.example.com"}`, "/x?y=1", 301, "http://www.example.com/x?y=1"},
		{`{"canonical_host":"example.com"}`, "/", 200, "home"},
		{`{"https_only":true}`, "/x?y=1", 301, "https://example.com/x?y=1"},
	} {
		s := newTestServer(t, site(t, c.config, files()), map[string]string{"TO": "https://to.example"})
		r := do(s, request{url: c.url})
		if r.StatusCode != c.status {
			t.Errorf("%s %s: status %d, want %d", c.config, c.url, r.StatusCode, c.status)
			continue
		}
		got := body(t, r)
		if r.StatusCode/100 == 3 {
			got = r.Header.Get("Location")
		}
		if c.text != "" && got != c.text {
			t.Errorf("%s %s: %q, want %q", c.config, c.url, got, c.text)
		}
	}
}

func TestHTTPSBehindTheRouter(t *testing.T) {
	s := newTestServer(t, site(t, `{"https_only":true,"canonical_host":"www.example.com"}`, map[string]string{"public_html/index.html": "home"}), nil)
	https := map[string]string{"X-Forwarded-Proto": "https"}
	if r := do(s, request{url: "http://www.example.com/", header: https}); r.StatusCode != 200 {
		t.Error(r.Status)
	}
	if r := do(s, request{url: "http://example.com/a", header: https}); r.Header.Get("Location") != "https://www.example.com/a" {
		t.Error(r.Header)
	}
}

func TestAppRootHidesThePlatformsFiles(t *testing.T) {
	dir := site(t, "", map[string]string{"index.html": "home", "bin/boot": "x", "Procfile": "x", "app.json": "x", "style.css": "x", ".profile.d/x.sh": "x"})
	s := newTestServer(t, dir, nil)
	for url, want := range map[string]int{"/": 200, "/style.css": 200, "/bin/boot": 404, "/Procfile": 404, "/app.json": 404, "/.profile.d/x.sh": 404} {
		if r := do(s, request{url: url}); r.StatusCode != want {
			t.Errorf("%s: %s", url, r.Status)
		}
	}
}

func TestValidatorsAndRanges(t *testing.T) {
	dir := site(t, "", map[string]string{"public_html/a.txt": "0123456789", "public_html/b.txt": "0123456789"})
	s := newTestServer(t, dir, nil)
	r := do(s, request{url: "/a.txt"})
	tag := r.Header.Get("ETag")
	if tag == "" || r.Header.Get("Last-Modified") != "" || r.Header.Get("Content-Type") != "text/plain; charset=UTF-8" {
		t.Fatalf("%v", r.Header)
	}
	if other := do(s, request{url: "/b.txt"}).Header.Get("ETag"); other != tag {
		t.Error("the same content has another ETag")
	}
	if r := do(s, request{url: "/a.txt", header: map[string]string{"If-None-Match": tag}}); r.StatusCode != 304 || body(t, r) != "" {
		t.Error(r.Status)
	}
	if r := do(s, request{url: "/a.txt", header: map[string]string{"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}}); r.StatusCode != 200 {
		t.Error(r.Status)
	}
	if r := do(s, request{url: "/a.txt", header: map[string]string{"Range": "bytes=2-4"}}); r.StatusCode != 206 || body(t, r) != "234" {
		t.Error(r.Status)
	}
	if r := do(s, request{url: "/a.txt", header: map[string]string{"Range": "bytes=2-4", "If-Range": `"old"`}}); r.StatusCode != 200 {
		t.Error(r.Status)
	}
	if r := do(s, request{method: "HEAD", url: "/a.txt"}); r.StatusCode != 200 || r.Header.Get("Content-Length") != "10" || body(t, r) != "" {
		t.Error(r.Status)
	}
	if r := do(s, request{method: "POST", url: "/a.txt"}); r.StatusCode != 405 || r.Header.Get("Allow") == "" {
		t.Error(r.Status)
	}
	if err := os.WriteFile(filepath.Join(dir, "public_html/a.txt"), []byte("changed while running"), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := do(s, request{url: "/a.txt", header: map[string]string{"If-None-Match": tag}}); r.StatusCode != 200 {
		t.Errorf("a changed file: %s", r.Status)
	}
}

func TestHeadersAndEncoding(t *testing.T) {
	s := newTestServer(t, site(t, `{"encoding":"ISO-8859-1","headers":{
		"/**":{"Cache-Control":"no-store","X-All":"1"},
		"/assets/**":{"Cache-Control":"max-age=5"},
		"/assets/*.txt":{"Content-Type":"text/x-own","X-N":5}}}`,
		map[string]string{"public_html/index.html": "x", "public_html/assets/a.js": "x", "public_html/assets/a.txt": "x"}), nil)
	for url, want := range map[string]string{
		"/":             "no-store|1|text/html; charset=ISO-8859-1|",
		"/assets/a.js":  "max-age=5||text/javascript; charset=ISO-8859-1|",
		"/assets/a.txt": "||text/x-own|5",
		"/nope":         "no-store|1|text/html; charset=utf-8|",
	} {
		h := do(s, request{url: url}).Header
		if got := h.Get("Cache-Control") + "|" + h.Get("X-All") + "|" + h.Get("Content-Type") + "|" + h.Get("X-N"); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
}

func TestProxy(t *testing.T) {
	var seen *http.Request
	var origin *httptest.Server
	origin = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r
		w.Header().Set("Location", origin.URL+"/v1/elsewhere")
		w.WriteHeader(http.StatusSeeOther)
	}))
	defer origin.Close()
	dir := site(t, `{"routes":{"/spa/**":"index.html"},"proxies":{"/api/":{"origin":"${ORIGIN}/v1"}}}`, map[string]string{"public_html/index.html": "home", "public_html/api/file": "file"})
	s := newTestServer(t, dir, map[string]string{"ORIGIN": origin.URL})
	r := do(s, request{method: "POST", url: "/api/users/5?x=1", header: map[string]string{"X-Forwarded-For": "192.0.2.1"}})
	if r.StatusCode != 303 || r.Header.Get("Location") != "/api/elsewhere" {
		t.Errorf("%s %v", r.Status, r.Header)
	}
	if seen == nil || seen.URL.String() != "/v1/users/5?x=1" || seen.Header.Get("X-Forwarded-For") != "192.0.2.1" || "http://"+seen.Host != origin.URL {
		t.Errorf("%+v", seen)
	}
	if r := do(s, request{url: "/api/file"}); body(t, r) != "file" {
		t.Error("a file does not go before a proxy")
	}
	origin.Close()
	if r := do(s, request{url: "/api/x"}); r.StatusCode != 502 {
		t.Error(r.Status)
	}
}

func TestBasicAuth(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("se cret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	htpasswd := "# users\nann:" + string(hash) + "\nbob:$apr1$abcdefgh$1tbvZt3PQE5Gxh1tXXSfl1\ncid:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\nlong:$apr1$xy$UXXJr.U2LPmfWY7F2GY940\n"
	files := func() map[string]string {
		return map[string]string{"public_html/index.html": "home", "secret/users": htpasswd}
	}
	for _, c := range []struct {
		config, user, password string
		env                    map[string]string
		want                   int
	}{
		{`{"basic_auth_htpasswd_path":"secret/users"}`, "ann", "se cret", nil, 200},
		{`{"basic_auth_htpasswd_path":"/app/secret/users"}`, "bob", "se cret", nil, 200},
		{`{"basic_auth_htpasswd_path":"secret/users"}`, "long", "averyverylongpasswordindeed1234", nil, 200},
		{`{"basic_auth_htpasswd_path":"secret/users"}`, "cid", "password", nil, 200},
		{`{"basic_auth_htpasswd_path":"secret/users"}`, "ann", "secret", nil, 401},
		{`{"basic_auth_htpasswd_path":"secret/users"}`, "bob", "", nil, 401},
		{`{"basic_auth_htpasswd_path":"secret/users"}`, "eve", "", nil, 401},
		{`{}`, "u", "p", map[string]string{"BASIC_AUTH_USERNAME": "u", "BASIC_AUTH_PASSWORD": "p"}, 200},
		{`{}`, "u", "q", map[string]string{"BASIC_AUTH_USERNAME": "u", "BASIC_AUTH_PASSWORD": "p"}, 401},
	} {
		s := newTestServer(t, site(t, c.config, files()), c.env)
		req := httptest.NewRequest("GET", "/", nil)
		req.SetBasicAuth(c.user, c.password)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, req)
		if w.Code != c.want {
			t.Errorf("%s %s:%s: %d, want %d", c.config, c.user, c.password, w.Code, c.want)
		}
		if w := do(s, request{url: "/"}); w.StatusCode != 401 || w.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("without a password: %s", w.Status)
		}
	}
	for _, config := range []string{`{"basic_auth":true}`, `{"basic_auth_htpasswd_path":"../x"}`} {
		c, _, err := ParseConfig([]byte(config))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := NewServer(c, site(t, "", files()), func(string) string { return "" }); err == nil {
			t.Errorf("%s: served without users", config)
		}
	}
	c, _, _ := ParseConfig([]byte(`{"basic_auth_htpasswd_path":"h"}`))
	if _, err := NewServer(c, site(t, "", map[string]string{"h": "x:$6$abc$def\n"}), func(string) string { return "" }); err == nil || !strings.Contains(err.Error(), `"x"`) {
		t.Errorf("an unknown scheme: %v", err)
	}
}

func TestConfigErrors(t *testing.T) {
	for _, bad := range []string{
		`{`, `[]`, `null x`, `{"root":"../x"}`, `{"root":1}`, `{"encoding":"a\nb"}`, `{"routes":{"/x":5}}`, `{"routes":[]}`,
		`{"redirects":{"/x":{}}}`, `{"redirects":{"/x":{"url":"/y","status":200}}}`, `{"headers":{"/":{"X Y":"1"}}}`,
		`{"headers":{"/":{"X":"a\nb"}}}`, `{"headers":{"/":{"X":["a"]}}}`, `{"proxies":{"/x":{}}}`, `{"proxies":{"x":{"origin":"http://a"}}}`,
	} {
		if _, _, err := ParseConfig([]byte(bad)); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
	c, unknown, err := ParseConfig([]byte(`{"clean_url":true,"worker_connections":5,"logging":{"access":false},"root":null}`))
	if err != nil || len(unknown) != 1 || unknown[0] != "clean_url" || c.AccessLog || c.Root != "public_html" {
		t.Errorf("%+v %v %v", c, unknown, err)
	}
	c, _, err = ParseConfig([]byte(`{"proxies":{"/x":{"origin":"${NONE}"}}}`))
	if err != nil || c.Interpolate(func(string) string { return "" }) == nil {
		t.Errorf("an origin without a value was accepted: %v", err)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"root":"x","routes":{"/**":"a","/*":"b"},"headers":{"/":{"A":"b"}},"redirects":{"/x":{"url":"y"}},"proxies":{"/p":{"origin":"http://h"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, _, err := ParseConfig(data)
		if err != nil {
			return
		}
		if !filepath.IsLocal(c.Root) {
			t.Errorf("root %q", c.Root)
		}
		_ = c.Interpolate(func(string) string { return "" })
	})
}

func FuzzPath(f *testing.F) {
	f.Add("/../a")
	dir := f.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secret"), nil, 0o644); err != nil {
		f.Fatal(err)
	}
	c, _, _ := ParseConfig([]byte(`{}`))
	fs := newFiles(dir, c)
	f.Fuzz(func(t *testing.T, p string) {
		clean := cleanPath(p)
		if !strings.HasPrefix(clean, "/") || strings.Contains(clean+"/", "/../") {
			t.Errorf("%q became %q", p, clean)
		}
		if file, _ := fs.open(clean); file != nil {
			file.Close()
			t.Errorf("%q was found", p)
		}
	})
}

// TestStopFinishesRequests: a dyno that is told to stop answers what it has.
func TestStopFinishesRequests(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started, release := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(started)
		<-release
		fmt.Fprint(w, "done")
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended, answer := make(chan error, 1), make(chan string, 1)
	go func() { ended <- run(ctx, listener, handler) }()
	go func() {
		r, err := http.Get("http://" + listener.Addr().String())
		if err != nil {
			answer <- err.Error()
			return
		}
		defer r.Body.Close()
		data, _ := io.ReadAll(r.Body)
		answer <- string(data)
	}()
	<-started
	cancel()
	select {
	case err := <-ended:
		t.Fatalf("ended before the answer: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	if got := <-answer; got != "done" {
		t.Error(got)
	}
	if err := <-ended; err != nil && !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}
