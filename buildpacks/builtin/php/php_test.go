package php

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"strings"
	"testing"

	"paas/buildpacks/builtin/classic"
)

func app(t *testing.T, files map[string]string) (*classic.Call, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	c := &classic.Call{BuildDir: t.TempDir(), CacheDir: t.TempDir(), PackDir: t.TempDir(),
		Env: classic.Environ{}, Config: map[string]string{}, Out: classic.NewOutput(&out, &out)}
	for name, content := range files {
		if err := classic.Write(c.Path(name), 0o644, content); err != nil {
			t.Fatal(err)
		}
	}
	return c, &out
}

// TestConstraintAgreesWithComposer compares with answers of composer/semver
// (testdata/composer-semver.json: hand-picked constraints and random ones).
func TestConstraintAgreesWithComposer(t *testing.T) {
	data, err := os.ReadFile("testdata/composer-semver.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Range    string
		Valid    bool
		Versions map[string]bool
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 300 {
		t.Fatalf("only %d cases", len(cases))
	}
	for _, c := range cases {
		r, err := ParseConstraint(c.Range)
		if (err == nil) != c.Valid {
			t.Errorf("ParseConstraint(%q) = %v, want valid %v", c.Range, err, c.Valid)
			continue
		}
		for text, want := range c.Versions {
			v, err := parseVersion(text)
			if err != nil {
				t.Fatal(err)
			}
			if got := r.contains(v); got != want {
				t.Errorf("%q contains %s = %v, want %v", c.Range, text, got, want)
			}
		}
	}
}

func FuzzConstraint(f *testing.F) {
	for _, s := range []string{"*", "^8.1", "~7.4 || 8.*", "1 - 2", ">=1@dev", "dev-x as 1.0", "!=1,<2"} {
		f.Add(s)
	}
	v, _ := parseVersion("8.2.35")
	f.Fuzz(func(t *testing.T, s string) {
		if c, err := ParseConstraint(s); err == nil {
			c.contains(v)
		}
		installedVersion(s).compare(v)
	})
}

func TestInstalledVersion(t *testing.T) {
	for text, want := range map[string]string{
		"8.2.35": "8.2.35", "5.3.7": "5.3.7", "8.2.35-1~deb12u1": "8.2.35", "3.7.0-dev": "3.7.0-dev", "20190301": "20190301", "": "0", "mysqlnd 8.2.1": "0",
	} {
		v, err := parseVersion(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := installedVersion(text); got.compare(v) != 0 {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

var debian = platform{Version: "8.2.35", Bits: 64, Extensions: map[string]string{
	"Core": "8.2.35", "mbstring": "8.2.35", "redis": "5.3.7", "Zend OPcache": "8.2.35", "odd": "",
}}.normalised()

func TestPlatform(t *testing.T) {
	for _, c := range []struct {
		name, json, lock string
		fails            string
	}{
		{"nothing", `{}`, "", ""},
		{"legacy list", `{"require":[]}`, `{"platform":[],"packages":[]}`, ""},
		{"php fits", `{"require":{"php":"^8.1","ext-mbstring":"*"}}`, `{"platform":{"php":"^8.1","ext-mbstring":"*"}}`, ""},
		{"php too new", `{}`, `{"platform":{"php":"^8.3"}}`, "composer.json requires php ^8.3, but the platform has php 8.2.35"},
		{"php too old", `{}`, `{"platform":{"php":">=5.6 <8"}}`, "but the platform has php 8.2.35"},
		{"a package", `{}`, `{"packages":[{"name":"a/b","require":{"php":"~8.4.0","x/y":"*"}}]}`, "a/b requires php ~8.4.0"},
		{"extension missing", `{}`, `{"packages":[{"name":"a/b","require":{"ext-mongodb":"^1.2"}}]}`, "a/b requires ext-mongodb ^1.2, which is not available"},
		{"extension's version", `{}`, `{"platform":{"ext-redis":"^6.0"}}`, "but the platform has ext-redis 5.3.7"},
		{"opcache by both names", `{}`, `{"platform":{"ext-zend-opcache":"*","ext-opcache":"*"}}`, ""},
		{"upper case", `{}`, `{"platform":{"EXT-MBString":"*"}}`, ""},
		{"native", `{}`, `{"platform":{"ext-xyz.native":"*"}}`, ""},
		{"polyfill", `{}`, `{"packages":[{"name":"s/p","provide":{"ext-ctype":"*"}},{"name":"a/b","require":{"ext-ctype":"*"}}]}`, ""},
		{"replaced", `{}`, `{"packages":[{"name":"s/p","replace":{"ext-ctype":"*"}},{"name":"a/b","require":{"ext-ctype":"*"}}]}`, ""},
		{"php cannot be replaced", `{}`, `{"packages":[{"name":"s/p","replace":{"php":"*"},"require":{"php":"9"}}]}`, "requires php 9"},
		{"64 bit", `{}`, `{"platform":{"php-64bit":"^8"}}`, ""},
		{"no version", `{}`, `{"platform":{"ext-odd":">=1"}}`, "of unknown version"},
		{"nonsense", `{}`, `{"platform":{"php":"eight"}}`, "no version"},
		{"dev only", `{"require-dev":{"php":"^8.1"}}`, `{}`, "require-dev"},
		{"dev and a package", `{"require-dev":{"php":"^8.1"}}`, `{"packages":[{"name":"a/b","require":{"php":">=8"}}]}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := parseManifest([]byte(c.json))
			if err != nil {
				t.Fatal(err)
			}
			var l *lock
			if c.lock != "" {
				l = new(lock)
				if err := json.Unmarshal([]byte(c.lock), l); err != nil {
					t.Fatal(err)
				}
			}
			err = debian.check(m, l)
			if c.fails == "" && err != nil || c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestReadComposer(t *testing.T) {
	for _, c := range []struct {
		name   string
		files  map[string]string
		config string
		fails  string
	}{
		{"empty", map[string]string{"composer.json": " \n"}, "", ""},
		{"no lock needed", map[string]string{"composer.json": `{"name":"x/y"}`}, "", ""},
		{"lock missing", map[string]string{"composer.json": `{"require":{"a/b":"*"}}`}, "", "No composer.lock found"},
		{"no JSON", map[string]string{"composer.json": `{`}, "", "composer.json is no valid JSON"},
		{"broken lock", map[string]string{"composer.json": `{"require":{"a/b":"*"}}`, "composer.lock": "<<<<"}, "", "composer.lock is no valid JSON"},
		{"another name", map[string]string{"prod.json": `{"require":{"a/b":"*"}}`}, "prod.json", "No prod.lock found"},
		{"outside", nil, "../composer.json", "COMPOSER"},
		{"vendor outside", map[string]string{"composer.json": `{"config":{"vendor-dir":"../x"}}`}, "", "outside"},
	} {
		t.Run(c.name, func(t *testing.T) {
			call, _ := app(t, c.files)
			call.Config["COMPOSER"] = c.config
			_, _, err := readComposer(call, filesOf(call.Config))
			if c.fails == "" && err != nil || c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestLegacyIndex(t *testing.T) {
	c, out := app(t, map[string]string{"index.php": "<?php"})
	if name, err := (Pack{}).Detect(c); err != nil || name != "PHP" {
		t.Fatal(name, err)
	}
	if err := ensureManifest(c, filesOf(nil)); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(c.Path("composer.json"))
	if err != nil || string(data) != "{}\n" || !strings.Contains(out.String(), "legacy") {
		t.Errorf("%q %v %s", data, err, out)
	}
}

func TestBootFiles(t *testing.T) {
	for _, c := range []struct{ config, vendor, bin string }{
		{`{}`, "vendor", "vendor/bin"},
		{`{"config":{"bin-dir":"bin"}}`, "vendor", "bin"},
		{`{"config":{"vendor-dir":"lib/deps/","bin-dir":"{$vendor-dir}/commands"}}`, "lib/deps", "lib/deps/commands"},
	} {
		call, out := app(t, nil)
		m, err := parseManifest([]byte(c.config))
		if err != nil {
			t.Fatal(err)
		}
		vendor, bin := m.dirs()
		if vendor != c.vendor || bin != c.bin {
			t.Errorf("%s: %s %s", c.config, vendor, bin)
		}
		for range 2 {
			if err := installBoot(call, vendor, bin); err != nil {
				t.Fatal(err)
			}
		}
		real, err := os.Stat(call.Path(vendor, "heroku/heroku-buildpack-php/bin/heroku-php-apache2"))
		if err != nil || real.Mode().Perm()&0o111 != 0o111 {
			t.Fatal(real, err)
		}
		for _, name := range []string{"heroku-php-apache2", "heroku-php-nginx"} {
			info, err := os.Stat(call.Path(bin, name))
			if err != nil || !os.SameFile(info, real) {
				t.Errorf("%s/%s: %v", bin, name, err)
			}
		}
		if data, err := os.ReadFile(call.Path("Procfile")); err != nil || string(data) != "web: heroku-php-apache2\n" {
			t.Errorf("%q %v %s", data, err, out)
		}
		if data, err := os.ReadFile(call.Path(".profile.d/100-php.sh")); err != nil || !strings.Contains(string(data), "$HOME/"+c.bin+":") {
			t.Errorf("%q %v", data, err)
		}
		if info, err := os.Stat(call.Path(".profile.d/WEB_CONCURRENCY.sh")); err != nil || info.Size() != 0 {
			t.Errorf("%v %v", info, err)
		}
	}
}

// TestConfiguration checks what must hold in every configuration file that
// ships: nothing of it is bound to one port or place.
func TestConfiguration(t *testing.T) {
	for _, c := range []struct {
		file string
		must []string
	}{
		{"conf/apache2/httpd.conf", []string{`PidFile "/tmp/heroku.apache2.${PORT}.pid"`, "Mutex file:/tmp default", "mod_proxy_fcgi.so", "KeepAliveTimeout 95"}},
		{"conf/apache2/heroku.conf", []string{"Listen ${PORT}", `DocumentRoot "${DOCUMENT_ROOT}"`, "AllowOverride All", "HTTP_AUTHORIZATION=$1", `Include "${HEROKU_PHP_HTTPD_CONFIG_INCLUDE}"`, "well-known", "composer"}},
		{"conf/nginx/heroku.conf.php", []string{"listen <?=$port?>;", "upstream heroku-fcgi", "location @heroku-fcgi", "keepalive_timeout 95"}},
		{"conf/php/php-fpm.conf", []string{`listen = "/tmp/heroku.fcgi.${PORT}.sock"`, "listen.mode = 0666", "pm = static", "pm.max_children = ${WEB_CONCURRENCY}", "clear_env = no", "catch_workers_output = yes", "request_terminate_timeout = 30s", "request_slowlog_timeout = 3s"}},
	} {
		data, err := conf.ReadFile(c.file)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range c.must {
			if !bytes.Contains(data, []byte(text)) {
				t.Errorf("%s lacks %q", c.file, text)
			}
		}
	}
	n := 0
	err := fs.WalkDir(conf, ".", func(_ string, d fs.DirEntry, err error) error {
		if !d.IsDir() {
			n++
		}
		return err
	})
	if err != nil || n != 8 {
		t.Errorf("%d files, %v", n, err)
	}
}

func TestMirror(t *testing.T) {
	c, _ := app(t, nil)
	c.Env.Set("COMPOSER_REPO_PACKAGIST", "https://mirror.example/")
	if err := useMirror(c); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(c.Cached("composer/config.json"))
	if err != nil || !strings.Contains(string(data), `"packagist.org":{"type":"composer","url":"https://mirror.example/"}`) {
		t.Errorf("%s %v", data, err)
	}
	c.Env.Unset("COMPOSER_REPO_PACKAGIST")
	if err := useMirror(c); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.Cached("composer/config.json")); !os.IsNotExist(err) {
		t.Error("the mirror stays")
	}
}

func TestTestCommand(t *testing.T) {
	c, _ := app(t, map[string]string{"vendor/bin/phpunit": "", "vendor/bin/behat": "", "phpunit.xml.dist": ""})
	if got := strings.Join(testCommand(c, manifest{}, "vendor/bin"), " "); !strings.HasSuffix(got, "vendor/bin/phpunit") {
		t.Error(got)
	}
	m, err := parseManifest([]byte(`{"scripts":{"test":["a","b"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(testCommand(c, m, "vendor/bin"), " "); !strings.HasPrefix(got, "composer run-script") {
		t.Error(got)
	}
}
