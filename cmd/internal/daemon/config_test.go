package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLoadConfig(t *testing.T) {
	tests := []struct {
		name, file string
		env        []string
		want       func(Config) bool
		err        string
	}{
		{name: "defaults", want: func(c Config) bool { return c.RouterAddr == ":80" && c.Build.Memory == 2<<30 }},
		{name: "file", file: "domain = \"Example.COM\"\n[build]\ntimeout = \"3m\"\nmemory = \"1G\"\n[build_env]\nGOPROXY = \"x\"\n",
			want: func(c Config) bool {
				return c.Domain == "example.com" && c.Build.Timeout == Duration(3*time.Minute) && c.Build.Memory == 1<<30 && c.BuildEnv["GOPROXY"] == "x"
			}},
		{name: "environment wins", file: "data_dir = \"/a\"", env: []string{"PAAS_DATA_DIR=/b", "PAAS_BUILD_SLUG_MAX=10M", "HOME=/x"},
			want: func(c Config) bool { return c.DataDir == "/b" && c.Build.SlugMax == 10<<20 }},
		{name: "unknown key", file: "data_dri = \"/a\"", err: "unknown key"},
		{name: "unknown nested key", file: "[build]\ntime = \"3m\"", err: "unknown key"},
		{name: "relative path", file: "data_dir = \"a\"", err: "not an absolute path"},
		{name: "bad network", file: "network = \"10.0.0.1/16\"", err: "IPv4 range"},
		{name: "bad size", env: []string{"PAAS_BUILD_MEMORY=lots"}, err: "PAAS_BUILD_MEMORY"},
		{name: "bad unit", env: []string{"PAAS_BUILD_MEMORY=5X"}, err: "not a size"},
		{name: "bad address", file: "api_addr = \"5000\"", err: "not host:port"},
		{name: "bad toml", file: "domain = ", err: "cannot read configuration"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "paasd.toml")
			if err := os.WriteFile(file, []byte(tt.file), 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := LoadConfig(file, tt.env)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error = %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || !tt.want(c) {
				t.Fatalf("%+v, %v", c, err)
			}
		})
	}
	if _, err := LoadConfig(filepath.Join(t.TempDir(), "absent.toml"), nil); err == nil {
		t.Error("a file that was named must exist")
	}
}

func FuzzSize(f *testing.F) {
	for _, s := range []string{"1", "500M", "2G", "2gb", "-1", "9223372036854775807G", "1 M"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var v Size
		if err := v.UnmarshalText([]byte(s)); err == nil && v <= 0 {
			t.Errorf("%q is accepted as %d", s, v)
		}
	})
}
