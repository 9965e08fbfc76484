package source

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

func TestResolveURL(t *testing.T) {
	for _, test := range []struct {
		raw, base string
		local     bool
		want      string // "" = refused
	}{
		{"https://github.com/a/b.git", "", false, "https://github.com/a/b.git"},
		{"https://user:pw@github.com/a/b", "", false, "https://user:pw@github.com/a/b"},
		{"ssh://git@host:22/a", "", false, "ssh://git@host:22/a"},
		{"git://host/a", "", false, "git://host/a"},
		{"git@github.com:a/b.git", "", false, "git@github.com:a/b.git"},
		{"git@host:/a/b", "", false, "git@host:/a/b"},
		{"host:a/b", "", false, "host:a/b"},
		{"http://host/a", "", false, ""},
		{"ext::sh -c id", "", true, ""},
		{"ext::sh%20-c", "", false, ""},
		{"fd::17", "", false, ""},
		{"-uid", "", false, ""},
		{"--upload-pack=id", "", true, ""},
		{"ssh://-oProxyCommand=id/x", "", false, ""},
		{"-oProxyCommand=id:x", "", false, ""},
		{"ssh://-l@host/x", "", false, ""},
		{"https:///x", "", false, ""},
		{"a\nb", "", true, ""},
		{"", "", true, ""},
		{"/etc", "", false, ""},
		{"file:///etc", "", false, ""},
		{"/srv/a", "", true, "/srv/a"},
		{"file:///srv/a", "", true, "file:///srv/a"},
		{"../b.git", "", false, ""},
		{"../b.git", "https://host/x/a.git", false, "https://host/x/b.git"},
		{"../../b.git", "https://host/x/a.git", false, "https://host/b.git"},
		{"../../../b.git", "https://host/x/a.git", false, ""},
		{"./b", "https://host/x/a/", false, "https://host/x/a/b"},
		{"../b", "git@host:x/a", false, "git@host:x/b"},
		{"../../b", "git@host:x/a", false, ""},
	} {
		got, err := resolveURL(test.raw, test.base, test.local)
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%q from %q: %q, %v; want %q", test.raw, test.base, got, err, test.want)
		}
	}
}

func TestHostOf(t *testing.T) {
	for from, want := range map[string]string{
		"https://u:p@host:1/x": "host", "ssh://git@[::1]:22/x": "::1", "git@host:x": "host", "host:x": "host", "/a/b": "", "/a:b": "",
	} {
		if got := hostOf(from); got != want {
			t.Errorf("%s: %q, want %q", from, got, want)
		}
	}
}

func TestPublic(t *testing.T) {
	for addr, want := range map[string]bool{
		"1.1.1.1": true, "2606:4700::1111": true, "127.0.0.1": false, "::1": false, "10.0.0.1": false, "192.168.1.1": false,
		"169.254.169.254": false, "fe80::1": false, "fd00::1": false, "0.0.0.0": false, "100.64.0.1": false, "224.0.0.1": false,
	} {
		if got := public(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
}

func TestRedact(t *testing.T) {
	for raw, want := range map[string]string{
		"https://user:secret@host/x":    "https://***@host/x",
		"https://token@host/x":          "https://***@host/x",
		"https://host/x":                "https://host/x",
		"git@host:x":                    "git@host:x",
		"https://us er:se%cret@host/x":  "https://***@host/x",
		"https://user:secret@ho st/a@b": "https://***@b",
	} {
		got := redact(raw)
		if got != want && got != "https://%2A%2A%2A@host/x" {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
}

func TestParseModules(t *testing.T) {
	got := parseModules([]byte("submodule.a.path\nlibs/a/\x00submodule.a.url\nhttps://x/a\x00submodule.dotted.name.path\nb\x00submodule.dotted.name.url\nhttps://x/b\x00submodule.nourl.path\nc\x00core.bare\ntrue\x00"))
	if len(got) != 2 || got["libs/a"] != "https://x/a" || got["b"] != "https://x/b" {
		t.Errorf("%q", got)
	}
}

func TestModuleDir(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a/b"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if got, err := moduleDir(dir, "a/b"); err != nil || got != filepath.Join(dir, "a/b") {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{"link/tmp", "link", "../x", "/tmp", "a/../..", "no"} {
		if got, err := moduleDir(dir, bad); err == nil {
			t.Errorf("%s: %s", bad, got)
		}
	}
}
