package nodejs

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
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

const berryLock = "# yarn\n\n__metadata:\n  version: 8\n"

func TestInspect(t *testing.T) {
	for _, c := range []struct {
		name    string
		files   map[string]string
		manager manager
		version string
		fails   string
	}{
		{"nothing", map[string]string{"package.json": "{}"}, npm, "", ""},
		{"byte order mark", map[string]string{"package.json": "\ufeff{}"}, npm, "", ""},
		{"npm lock", map[string]string{"package.json": `{"engines":{"npm":"9.x"}}`, "package-lock.json": "{}"}, npm, "9.x", ""},
		{"npm by field", map[string]string{"package.json": `{"packageManager":"npm@10.1.0+sha1.x","engines":{"npm":"9.x"}}`}, npm, "10.1.0", ""},
		{"shrinkwrap", map[string]string{"package.json": "{}", "npm-shrinkwrap.json": "{}"}, npm, "", ""},
		{"yarn 1", map[string]string{"package.json": `{"engines":{"yarn":"1.x","npm":"9.x"}}`, "yarn.lock": "# yarn lockfile v1\n"}, yarn, "1.x", ""},
		{"yarn without lock", map[string]string{"package.json": `{"engines":{"yarn":"^1.22"}}`}, yarn, "^1.22", ""},
		{"berry by lock", map[string]string{"package.json": "{}", "yarn.lock": berryLock}, berry, "", ""},
		{"berry by field", map[string]string{"package.json": `{"packageManager":"yarn@4.1.0"}`}, berry, "4.1.0", ""},
		{"berry vendored", map[string]string{"package.json": "{}", "yarn.lock": berryLock, ".yarnrc.yml": "yarnPath: .yarn/releases/yarn-4.cjs\n", ".yarn/releases/yarn-4.cjs": ""}, berry, "", ""},
		{"berry not vendored", map[string]string{"package.json": "{}", "yarn.lock": berryLock, ".yarnrc.yml": "yarnPath: .yarn/releases/yarn-4.cjs\n"}, "", "", "not in the repository"},
		{"pnpm", map[string]string{"package.json": `{"packageManager":"pnpm@9.1.0+sha512.abc"}`, "pnpm-lock.yaml": ""}, pnpm, "9.1.0", ""},
		{"pnpm by engines", map[string]string{"package.json": `{"engines":{"pnpm":">=8"}}`, "pnpm-lock.yaml": ""}, pnpm, ">=8", ""},
		{"same twice", map[string]string{"package.json": `{"engines":{"pnpm":">=8"},"packageManager":"pnpm@9.1.0"}`}, pnpm, "9.1.0", ""},
		{"odd engines", map[string]string{"package.json": `{"engines":["node >= 4"],"scripts":{"start":1}}`}, npm, "", ""},
		{"two locks", map[string]string{"package.json": "{}", "package-lock.json": "{}", "yarn.lock": ""}, "", "", "more than one lockfile"},
		{"lock beside shrinkwrap", map[string]string{"package.json": "{}", "yarn.lock": "", "npm-shrinkwrap.json": "{}"}, "", "", "more than one lockfile"},
		{"two managers", map[string]string{"package.json": `{"engines":{"yarn":"1","pnpm":"9"}}`}, "", "", "more than one package manager"},
		{"field against engines", map[string]string{"package.json": `{"engines":{"yarn":"1"},"packageManager":"pnpm@9.0.0"}`}, "", "", "more than one package manager"},
		{"npm field against yarn", map[string]string{"package.json": `{"engines":{"yarn":"1"},"packageManager":"npm@9.0.0"}`}, "", "", "more than one package manager"},
		{"manager against lock", map[string]string{"package.json": `{"engines":{"pnpm":"9"}}`, "yarn.lock": ""}, "", "", "the lockfile is yarn.lock"},
		{"iojs", map[string]string{"package.json": `{"engines":{"iojs":"3"}}`}, "", "", "io.js"},
		{"no JSON", map[string]string{"package.json": `{"a":}`}, "", "", "valid JSON"},
		{"a list", map[string]string{"package.json": `[]`}, "", "", "valid JSON"},
		{"null", map[string]string{"package.json": `null`}, "", "", "valid JSON"},
		{"a file .heroku", map[string]string{"package.json": "{}", ".heroku": ""}, "", "", ".heroku is a file"},
		{"a file .heroku/node", map[string]string{"package.json": "{}", ".heroku/node": ""}, "", "", ".heroku/node is a file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := inspect(app(t, c.files))
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || p.manager != c.manager || p.version != c.version {
				t.Errorf("%s %q, %v", p.manager, p.version, err)
			}
		})
	}
}

func TestDetectSaysWhatIsIgnored(t *testing.T) {
	_, err := Pack{}.Detect(app(t, map[string]string{".slugignore": "a\n/package.json\n"}))
	if err == nil || !strings.Contains(err.Error(), ".slugignore") {
		t.Error(err)
	}
}

func TestRelease(t *testing.T) {
	for procfile, want := range map[string]string{"": "npm start", "web: x": "npm start", "mcp-server: x": ""} {
		types, err := Pack{}.Release(app(t, map[string]string{"Procfile": procfile}))
		if err != nil || types["web"] != want {
			t.Errorf("%q: %v, %v", procfile, types, err)
		}
	}
}

func TestNPMCommandLine(t *testing.T) {
	c := app(t, nil)
	b := &build{Call: c, have: versions{npm: "10.9.0"}}
	if got := strings.Join(b.npmInstall("ci"), " "); got != "npm ci --production=false --unsafe-perm --userconfig "+c.Path(".npmrc") {
		t.Error(got)
	}
	c.Env.Set("NPM_CONFIG_PRODUCTION", "true")
	b.have.npm = "12.0.0"
	if got := strings.Join(b.npmInstall("install"), " "); got != "npm install --production=true --userconfig "+c.Path(".npmrc") {
		t.Error(got)
	}
}

func TestKeepReason(t *testing.T) {
	for _, c := range []struct {
		manager manager
		env     string
		keep    bool
	}{
		{npm, "NODE_ENV=production", false},
		{npm, "NODE_ENV=test", true},
		{npm, "NODE_ENV=production NPM_CONFIG_PRODUCTION=true", true},
		{yarn, "NODE_ENV=production NPM_CONFIG_PRODUCTION=true", false},
		{yarn, "NODE_ENV=production YARN_PRODUCTION=false", true},
		{berry, "NODE_ENV=production YARN2_SKIP_PRUNING=true", true},
		{berry, "NODE_ENV=production YARN2_SKIP_PRUNING=false", false},
		{pnpm, "NODE_ENV=production PNPM_SKIP_PRUNING=true", true},
	} {
		call := app(t, nil)
		call.Env = classic.ParseEnviron(strings.Fields(c.env))
		b := &build{Call: call, project: project{manager: c.manager}}
		if got := b.keepReason(); (got != "") != c.keep {
			t.Errorf("%s %s: %q", c.manager, c.env, got)
		}
	}
}

func TestCacheIsDroppedWithItsSignature(t *testing.T) {
	c := app(t, map[string]string{"kept/file": "x"})
	c.Env.Set("STACK", "heroku-22")
	b := &build{Call: c, project: project{manager: npm, manifest: manifest{CacheDirectories: []string{"kept"}}}, have: versions{node: "22.0.0", npm: "10.0.0", manager: "10.0.0"}}
	open := func() string {
		b.cache = cacheState{}
		if err := b.openCache(); err != nil {
			t.Fatal(err)
		}
		return c.Env.Get("npm_config_cache")
	}
	cache := open()
	if err := classic.Write(filepath.Join(cache, "entry"), 0o644, "x"); err != nil {
		t.Fatal(err)
	}
	if err := b.saveCache(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(c.Path("kept")); err != nil {
		t.Fatal(err)
	}
	open()
	if !c.Exists("kept", "file") {
		t.Error("a cache directory was not restored")
	}
	if _, err := os.Stat(filepath.Join(cache, "entry")); err != nil {
		t.Error("the cache was not kept")
	}
	b.have.node = "24.0.0"
	open()
	if _, err := os.Stat(filepath.Join(cache, "entry")); !os.IsNotExist(err) {
		t.Error("the cache of another Node.js was kept")
	}
	b.CacheDirectories = []string{"../../etc"}
	if err := b.saveCache(t.Context()); err == nil {
		t.Error("a directory outside of the app was cached")
	}
}

// TestConcurrencyScript runs the script as a dyno does.
func TestConcurrencyScript(t *testing.T) {
	for _, c := range []struct{ env, want string }{
		{"MEMORY_AVAILABLE=512", "1 512 heroku/nodejs"},
		{"MEMORY_AVAILABLE=2560", "5 512 heroku/nodejs"},
		{"MEMORY_AVAILABLE=32768", "16 2048 heroku/nodejs"},
		{"MEMORY_AVAILABLE=1024 WEB_MEMORY=256", "4 256 heroku/nodejs"},
		{"MEMORY_AVAILABLE=100", "1 512 heroku/nodejs"},
		{"MEMORY_AVAILABLE=100000 WEB_MEMORY=10", "1 10 heroku/nodejs"},
		{"MEMORY_AVAILABLE=2560 WEB_CONCURRENCY=3", "3 512 "},
	} {
		cmd := exec.Command("bash", "-c", concurrencyScript+`echo "$WEB_CONCURRENCY $WEB_MEMORY $WEB_CONCURRENCY_SET_BY"`)
		cmd.Env = strings.Fields(c.env)
		out, err := cmd.Output()
		if got := strings.TrimSuffix(string(out), "\n"); err != nil || got != c.want {
			t.Errorf("%s: %q, %v", c.env, got, err)
		}
	}
	cmd := exec.Command("bash", "-c", startScript+`echo "$PATH|$NODE_HOME|$NODE_ENV"`)
	cmd.Env = []string{"HOME=/app", "PATH=/bin"}
	out, err := cmd.Output()
	want := "/app/.heroku/node/bin:/app/.heroku/yarn/bin:/bin:/app/bin:/app/node_modules/.bin|/app/.heroku/node|production\n"
	if err != nil || string(out) != want {
		t.Errorf("%q, %v", out, err)
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"engines":{"node":"1"},"scripts":{"a":"b"},"packageManager":"yarn@1","cacheDirectories":["x"]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseManifest(data)
		if err == nil {
			m.declared()
			_ = fmt.Sprint(m)
		}
	})
}
