package router

import (
	"strings"
	"testing"
)

func TestCanonicalHost(t *testing.T) {
	for in, want := range map[string]string{
		"app.test":                "app.test",
		"APP.Test":                "app.test",
		"app.test:8080":           "app.test",
		"app.test.":               "app.test",
		"App.Test.:80":            "app.test",
		"app.test:":               "app.test",
		"app.test:http":           "",
		"a:b:80":                  "a:b",
		"[::1]:80":                "[::1]",
		"[::1]":                   "[::1]",
		"":                        "",
		".":                       "",
		"K.test":                  "k.test",
		"\u212a.test":             "\u212a.test", // the Kelvin sign is no k
		strings.Repeat("a", 254):  "",
		strings.Repeat("a", 253):  strings.Repeat("a", 253),
		"app.test:80:80":          "app.test:80",
		"app.test..":              "app.test.",
		"xn--bcher-kva.test:0080": "xn--bcher-kva.test",
	} {
		if got := canonicalHost(in); got != want {
			t.Errorf("canonicalHost(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzCanonicalHost(f *testing.F) {
	for _, s := range []string{"app.test", "A:1", "[::1]:80", "a.", ":::", "]:[", "é.test:80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := canonicalHost(s)
		if len(got) > maxHost {
			t.Errorf("%q: too long: %q", s, got)
		}
		if got != lowerASCII(got) {
			t.Errorf("%q: not lower case: %q", s, got)
		}
		if !strings.Contains(lowerASCII(s), got) {
			t.Errorf("%q: made up %q", s, got)
		}
		if got != "" && !strings.ContainsAny(got, ":.") && canonicalHost(strings.ToUpper(got)+".:80") != got && isASCII(got) {
			t.Errorf("%q: upper case, dot and port lead elsewhere", got)
		}
	})
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}

func TestLookup(t *testing.T) {
	r := New(Options{})
	hosts := map[string]*Route{}
	for _, h := range []string{"app.test", "*.app.test", "www.app.test", "*.deep.app.test", "other.test"} {
		hosts[h] = &Route{AppID: h}
	}
	r.Publish(&Table{Hosts: hosts})
	for host, want := range map[string]string{
		"app.test":           "app.test",
		"www.app.test":       "www.app.test",
		"x.app.test":         "*.app.test",
		"x.y.app.test":       "*.app.test",
		"x.deep.app.test":    "*.deep.app.test",
		"deep.app.test":      "*.app.test",
		"other.test":         "other.test",
		"x.other.test":       "",
		"test":               "",
		"":                   "",
		".app.test":          "",
		"evilapp.test":       "",
		"*.app.test":         "*.app.test",
		"app.test.evil.test": "",
	} {
		got := ""
		if rt := r.table.Load().lookup(host); rt != nil {
			got = rt.appID
		}
		if got != want {
			t.Errorf("lookup(%q) = %q, want %q", host, got, want)
		}
	}
}
