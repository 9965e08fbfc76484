package daemon

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// settings writes a configuration whose directories are the test's own.
func settings(t *testing.T) (file, dir string) {
	t.Helper()
	dir = t.TempDir()
	file = filepath.Join(dir, "paasd.toml")
	text := fmt.Sprintf("data_dir = %q\nrun_dir = %q\n", filepath.Join(dir, "data"), filepath.Join(dir, "run"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, dir
}

// paasd runs one command.
func paasd(args ...string) (status int, stdout, stderr string) {
	var out, err bytes.Buffer
	status = Main(args, nil, &out, &err)
	return status, out.String(), err.String()
}

func TestMainSaysHowItIsUsed(t *testing.T) {
	file, _ := settings(t)
	tests := []struct {
		args           []string
		status         int
		stdout, stderr string
	}{
		{nil, 2, "Usage: paasd COMMAND", ""},
		{[]string{"help"}, 0, "Usage: paasd COMMAND", ""},
		{[]string{"--help"}, 0, "Usage: paasd COMMAND", ""},
		{[]string{"version"}, 0, "paasd ", ""},
		{[]string{"serve", "-h"}, 0, "", "configuration file"},
		{[]string{"account:create", "--help"}, 0, "", "administrator"},
		{[]string{"fly"}, 2, "", `no command "fly"`},
		{[]string{"serve", "--nope"}, 2, "", "-nope"},
		{[]string{"serve", "--admin"}, 2, "", "-admin"},
		{[]string{"version", "now"}, 2, "", `no argument "now"`},
		{[]string{"check", "--config", file + ".absent"}, 2, "", "cannot read configuration"},
		{[]string{"account:create", "--config", file}, 1, "", "without --email"},
		{[]string{"account:create", "--config", file, "--email", "nobody"}, 1, "", `"nobody" is not an e-mail address.`},
	}
	for _, tt := range tests {
		status, stdout, stderr := paasd(tt.args...)
		if status != tt.status || !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, tt.stderr) {
			t.Errorf("paasd %v: %d\nstdout: %s\nstderr: %s", tt.args, status, stdout, stderr)
		}
		if tt.stdout == "" && stdout != "" {
			t.Errorf("paasd %v writes to stdout: %s", tt.args, stdout)
		}
	}
}
