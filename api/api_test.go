package api_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"paas/api"
)

func TestAppNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"a": true, "shop": true, "my-shop-2": true, strings.Repeat("a", 30): true,
		"": false, "Shop": false, "2shop": false, "-a": false, "a-": false, "a.b": false, "a/b": false, "a\n": false, "é": false,
		strings.Repeat("a", 31): false, "api": false, "console": false, "git": false, "..": false,
	} {
		if err := api.CheckAppName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		} else if err != nil && api.IDOf(err) != api.InvalidParams {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// Names end up in paths, host names, argv and label values: whatever is
// accepted must be harmless in all of them.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"shop", "a-b", "web", "A_1", "..", "a/b", "-x", "PORT", "$(id)", "a\x00b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if api.CheckAppName(s) == nil {
			if len(s) > 30 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || s[0] == '-' || s[len(s)-1] == '-' {
				t.Errorf("app name %q", s)
			}
		}
		if api.CheckProcessType(s) == nil && (s == "" || len(s) > 63 || strings.ContainsAny(s, "./ \n\x00=")) {
			t.Errorf("process type %q", s)
		}
		if api.CheckConfigKey(s) == nil && (s == "" || strings.ContainsAny(s, "=/. \n\x00-") || s[0] >= '0' && s[0] <= '9' || s == "PORT") {
			t.Errorf("config var %q", s)
		}
	})
}

func TestConfigKeys(t *testing.T) {
	for key, ok := range map[string]bool{
		"A": true, "DATABASE_URL": true, "_x": true, "a1": true, "HEROKU_X": true,
		"": false, "1A": false, "A-B": false, "__A": false, "A=B": false, "PORT": false, "DYNO": false, strings.Repeat("A", 257): false,
	} {
		if err := api.CheckConfigKey(key); (err == nil) != ok {
			t.Errorf("%q: %v", key, err)
		}
	}
}

// However config vars are printed, their values are not.
func TestConfigVarsHide(t *testing.T) {
	c := api.ConfigVars{"TOKEN": "s3cret", "A": "s3cret"}
	var b bytes.Buffer
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "config", c)
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%v %+v %#v %s", c, c, c, c), b.String()} {
		if strings.Contains(text, "s3cret") {
			t.Errorf("%s", text)
		}
	}
	if got := c.Names(); len(got) != 2 || got[0] != "A" {
		t.Error(got)
	}
	if c.Bytes() != len("TOKEN")+len("A")+12 {
		t.Error(c.Bytes())
	}
}

func TestErrors(t *testing.T) {
	cause := errors.New("disk full")
	err := fmt.Errorf("cannot deploy: %w", api.Wrap(api.Conflict, cause, "Try again."))
	var known *api.Error
	if !errors.As(err, &known) || known.Message != "Try again." || !errors.Is(err, cause) || api.IDOf(err) != api.Conflict {
		t.Errorf("%v", err)
	}
	if api.IDOf(nil) != "" || api.IDOf(cause) != api.Internal || api.IDOf(api.Missing("app")) != api.NotFound {
		t.Error("ids")
	}
	if m := api.Missing("app"); m.Message != "Couldn't find that app." || m.Resource != "app" {
		t.Errorf("%+v", m)
	}
}

func TestDynoSizes(t *testing.T) {
	s, err := api.SizeNamed("standard-2x")
	if err != nil || s.Name != "Standard-2X" || s.Memory != 1<<30 {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := api.SizeNamed("huge"); err == nil || !strings.Contains(err.Error(), "Standard-1X") {
		t.Errorf("%v", err)
	}
	if _, err := api.SizeNamed(api.DefaultDynoSize); err != nil {
		t.Error(err)
	}
	api.DynoSizes()[0].Name = "changed"
	if api.DynoSizes()[0].Name == "changed" {
		t.Error("the table can be changed from outside")
	}
}

func TestLogLine(t *testing.T) {
	l := api.LogLine{Time: time.Date(2026, 1, 1, 1, 0, 1, 123456789, time.FixedZone("", 3600)), Source: api.SourceApp, Proc: "web.1", Message: "text"}
	if got := l.String(); got != "2026-01-01T00:00:01.123456+00:00 app[web.1]: text" {
		t.Error(got)
	}
}
