package auth

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestToken(t *testing.T) {
	one, two := NewToken(), NewToken()
	if one.Reveal() == two.Reveal() || bytes.Equal(one.Hash(), two.Hash()) {
		t.Error("two tokens are equal")
	}
	if !strings.HasPrefix(one.Reveal(), "paas_") || len(one.Reveal()) != 5+52 {
		t.Errorf("token has the form %q", one.Reveal())
	}
	read, ok := tokenOf(one.Reveal())
	if !ok || !bytes.Equal(read.Hash(), one.Hash()) {
		t.Error("a token does not read back")
	}
	for _, s := range []string{"", "paas_", one.Reveal()[1:], one.Reveal() + "a", one.Reveal()[:56], strings.ToUpper(one.Reveal()),
		strings.Replace(one.Reveal(), "paas_", "hrku_", 1), one.Reveal()[:56] + "1", one.Reveal()[:56] + "\x00"} {
		if _, ok := tokenOf(s); ok {
			t.Errorf("%q was taken for a token", s)
		}
	}
}

func TestTokenHidesItself(t *testing.T) {
	token := NewToken()
	secret := token.Reveal()[len(tokenPrefix):]
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("made", "token", token)
	inside := struct{ T Token }{token}
	for _, s := range []string{fmt.Sprint(token), fmt.Sprintf("%v %+v %#v %s %q", token, token, token, token, token), log.String(),
		fmt.Sprintf("%v %+v %#v", inside, inside, inside)} {
		if strings.Contains(s, secret) {
			t.Errorf("a token printed itself: %s", s)
		}
	}
}

func basic(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }

func TestParseHeader(t *testing.T) {
	for header, want := range map[string]credentials{
		"Bearer abc":                        {"", "abc"},
		"bearer abc":                        {"", "abc"},
		"  BEARER   abc  ":                  {"", "abc"},
		basic("me@example.com:abc"):         {"me@example.com", "abc"},
		basic(":abc"):                       {"", "abc"},
		basic("heroku:a:b:c"):               {"heroku", "a:b:c"},
		basic("zoë@example.com:pässword ☃"): {"zoë@example.com", "pässword ☃"},
		strings.Replace(basic("a:b"), "Basic", "bAsIc", 1): {"a", "b"},
	} {
		if got, ok := parseHeader(header); !ok || got != want {
			t.Errorf("%q = %+v, %v", header, got, ok)
		}
	}
	for _, header := range []string{
		"", "Bearer", "Bearer ", "Basic", "Basic ", "Basic !!", basic("nocolon"), basic("me:"), basic("me:\xff"), basic("\xff:x"),
		"Digest abc", "abc", "Token abc", "Bearer " + strings.Repeat("x", maxHeader), "Bearer \xff",
	} {
		if got, ok := parseHeader(header); ok {
			t.Errorf("%q was read as %+v", header, got)
		}
	}
}

func FuzzParseHeader(f *testing.F) {
	for _, s := range []string{"", "Bearer abc", basic("a:b"), "Basic", "basic =", "Bearer  ", basic(":"), "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		c, ok := parseHeader(header)
		if !ok {
			if c != (credentials{}) {
				t.Errorf("refused, but left %+v", c)
			}
			return
		}
		if c.secret == "" || !utf8.ValidString(c.name+c.secret) || strings.Contains(c.name, ":") || len(c.name)+len(c.secret) > maxHeader {
			t.Errorf("%q was read as %+v", header, c)
		}
		// What was read can be said again.
		again, ok := parseHeader(basic(c.name + ":" + c.secret))
		if ok && again != c {
			t.Errorf("%+v became %+v", c, again)
		}
	})
}
