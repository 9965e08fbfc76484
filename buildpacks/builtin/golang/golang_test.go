package golang

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paas/buildpacks/builtin/classic"
)

func app(t *testing.T, files map[string]string) *classic.Call {
	t.Helper()
	var out bytes.Buffer
	c := &classic.Call{BuildDir: t.TempDir(), CacheDir: t.TempDir(), PackDir: t.TempDir(),
		Env: classic.Environ{}, Config: map[string]string{}, Out: classic.NewOutput(&out, &out)}
	for name, content := range files {
		if err := classic.Write(c.Path(name), 0o644, content); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func TestDetect(t *testing.T) {
	for file, tool := range map[string]string{
		"go.mod": "", "Gopkg.lock": "dep", "Godeps/Godeps.json": "godep", "vendor/vendor.json": "govendor",
		"glide.yaml": "glide", "src/a/b/main.go": "gb",
	} {
		c := app(t, map[string]string{file: ""})
		if name, err := (Pack{}).Detect(c); err != nil || name != "Go" {
			t.Errorf("%s: %q, %v", file, name, err)
		}
		if tool == "" {
			continue
		}
		if _, err := readGoMod(c); err == nil || !strings.Contains(err.Error(), tool) {
			t.Errorf("%s: %v", file, err)
		}
	}
	if _, err := (Pack{}).Detect(app(t, map[string]string{"main.py": ""})); err == nil {
		t.Error("detected")
	}
}

func TestChooseVersion(t *testing.T) {
	for _, c := range []struct{ mod, config, want, source string }{
		{"module m\n", "", "go1.25", "default"},
		{"module m\ngo 1.22\n", "", "go1.22", "go line"},
		{"module m\ngo 1.22.3\n", "", "go1.22.3", "go line"},
		{"module m\ngo 1.26rc1\n", "", "go1.26rc1", "go line"},
		{"module m\ngo 1.22\ntoolchain go1.24.1\n", "", "go1.24.1", "toolchain"},
		{"module m\ngo 1.24.2\ntoolchain go1.24.1\n", "", "go1.24.2", "go line"},
		{"module m\ngo 1.22\ntoolchain default\n", "", "go1.22", "go line"},
		{"module m\ngo 1.22\ntoolchain go1.24.1-custom\n", "", "go1.24.1", "toolchain"},
		{"module m\n// +heroku goVersion go1.21\ngo 1.22\n", "", "go1.21", "+heroku"},
		{"// +heroku goVersion 1.21.4\nmodule m\ngo 1.22\n", "", "go1.21.4", "+heroku"},
		{"module m\n// +heroku goVersion go1.21\ngo 1.22\n", "1.20", "go1.20", "GOVERSION"},
	} {
		m, err := parseGoMod([]byte(c.mod))
		if err != nil {
			t.Errorf("%q: %v", c.mod, err)
			continue
		}
		w, err := chooseVersion(m, map[string]string{"GOVERSION": c.config})
		if err != nil || w.version != c.want || !strings.Contains(w.source, c.source) {
			t.Errorf("%q: %+v, %v", c.mod, w, err)
		}
	}
	for _, bad := range []string{"latest", "go1.x", "1.25; rm", "../../x"} {
		if w, err := chooseVersion(goMod{}, map[string]string{"GOVERSION": bad}); err == nil {
			t.Errorf("%q gives %+v", bad, w)
		}
	}
}

func TestInstallDirective(t *testing.T) {
	m, err := parseGoMod([]byte("module m\n\n// +heroku install ./cmd/a ./cmd/b\n"))
	if err != nil || strings.Join(m.install, " ") != "./cmd/a ./cmd/b" || m.path != "m" {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := checked([]string{"./a", "-toolexec=evil"}); err == nil {
		t.Error("a flag passed for a package")
	}
	if _, err := parseGoMod([]byte("module m\nrequire (")); err == nil {
		t.Error("a broken go.mod was read")
	}
}

func FuzzGoMod(f *testing.F) {
	f.Add([]byte("module m\ngo 1.22\ntoolchain go1.23.1\n// +heroku goVersion go1.2\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseGoMod(data)
		if err != nil {
			return
		}
		if w, err := chooseVersion(m, nil); err == nil && (strings.ContainsAny(w.version, "/ \x00") || !strings.HasPrefix(w.version, "go")) {
			t.Errorf("%q", w.version)
		}
	})
}

func TestProcfile(t *testing.T) {
	if got := procfile([]string{"hello"}); got != "web: bin/hello\n" {
		t.Errorf("%q", got)
	}
	if got := procfile([]string{"api", "worker"}); got != "api: bin/api\nworker: bin/worker\n" {
		t.Errorf("%q", got)
	}
	if got := procfile(nil); got != "" {
		t.Errorf("%q", got)
	}
}

func TestEnvironment(t *testing.T) {
	c := app(t, nil)
	c.EnvDir = t.TempDir()
	c.Config = map[string]string{
		"SECRET": "s", "GOFLAGS": "-tags=x", "CGO_CFLAGS": "-I${build_dir}/inc", "GOPRIVATE": "example.com/*",
		"GO_GIT_CRED__HTTPS__GIT__EXAMPLE__COM": "user:p:w",
	}
	setEnvironment(c)
	for key, want := range map[string]string{
		"SECRET": "", "GOFLAGS": "-tags=x", "CGO_CFLAGS": "-I" + c.BuildDir + "/inc", "GONOSUMDB": "example.com/*",
		"GOTOOLCHAIN": "local", "GOWORK": "off", "GIT_CONFIG_KEY_0": "credential.helper",
	} {
		if got := c.Env.Get(key); got != want {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
	for _, kv := range c.Env.List() {
		if strings.Contains(kv, "p:w") {
			t.Errorf("a password in the environment: %s", kv)
		}
	}
	for in, want := range map[string]string{
		"protocol=https\nhost=git.example.com\n": "username=user\npassword=p:w\n",
		"protocol=https\nhost=example.com\n":     "",
		"protocol=http\nhost=git.example.com\n":  "",
	} {
		if got := Credential(c.Config, in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestVendorFlags(t *testing.T) {
	for _, c := range []struct {
		files map[string]string
		want  int
	}{
		{map[string]string{"go.sum": "x", "vendor/modules.txt": ""}, 1},
		{map[string]string{"go.sum": "", "vendor/modules.txt": ""}, 0},
		{map[string]string{"go.sum": "x"}, 0},
		{map[string]string{"go.sum": "x", "vendor/modules.txt": "", "go.work": ""}, 0},
	} {
		if got := vendorFlags(app(t, c.files)); len(got) != c.want {
			t.Errorf("%v: %v", c.files, got)
		}
	}
}

func TestRemoveReadOnlyTree(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "x")
	if err := classic.Write(filepath.Join(dir, "a", "f"), 0o444, ""); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "a"), 0o555); err != nil {
		t.Fatal(err)
	}
	if err := removeAll(dir); err != nil {
		t.Error(err)
	}
}
