package stack

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTidy(t *testing.T) {
	tree := t.TempDir()
	files := map[string]fs.FileMode{
		"var/log/apt/history.log": 0o644, "var/cache/apt/archives/a.deb": 0o644, "var/lib/apt/lists/x_Packages": 0o644,
		"run/lock/y": 0o644, "tmp/z/deep": 0o644, "dev/null": 0o644, "root/.cache/c": 0o644, "root/.bashrc": 0o644,
		"var/lib/dpkg/status": 0o644, "var/lib/dpkg/status-old": 0o644, "etc/ssh/ssh_host_ed25519_key": 0o600,
		"etc/passwd": 0o644, "etc/passwd-": 0o644, "etc/hostname": 0o644, "etc/resolv.conf": 0o644,
		"etc/apt/sources.list.d/0000host.list": 0o644, "etc/apt/apt.conf.d/99mmdebstrap": 0o644,
		"usr/bin/passwd": 0o755 | fs.ModeSetuid, "usr/bin/wall": 0o755 | fs.ModeSetgid, "usr/bin/ping": 0o755,
	}
	for name, mode := range files {
		path := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("of the host"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"app", "var/tmp", "hidden"} {
		if err := os.MkdirAll(filepath.Join(tree, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// cap_net_raw+ep, as setcap writes it.
	capability := []byte{1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	attributes := []struct{ path, name, value string }{
		{"usr/bin/ping", "security.capability", string(capability)},
		{"hidden", "trusted.overlay.opaque", "y"},
		{"hidden", "trusted.overlay.origin", "somewhere"},
	}
	for _, a := range attributes {
		if err := unix.Setxattr(filepath.Join(tree, a.path), a.name, []byte(a.value), 0); err != nil {
			t.Fatal(err)
		}
	}

	if err := tidy(tree, true); err != nil {
		t.Fatal(err)
	}

	var got []string
	err := filepath.WalkDir(tree, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(tree, path)
			got = append(got, rel)
			if info, err := e.Info(); err != nil || info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
				t.Errorf("%s: %v, %v", rel, info.Mode(), err)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"etc/apt/apt.conf.d/99stack", "etc/apt/sources.list", "etc/hostname", "etc/hosts", "etc/machine-id", "etc/passwd",
		"etc/resolv.conf", "root/.bashrc", "usr/bin/passwd", "usr/bin/ping", "usr/bin/wall", "var/lib/dpkg/status",
	}
	if !slices.Equal(got, want) {
		t.Errorf("left:\n%q\nwant:\n%q", got, want)
	}
	for _, name := range []string{"etc/hostname", "etc/resolv.conf", "etc/hosts", "etc/apt/sources.list"} {
		if b, err := os.ReadFile(filepath.Join(tree, name)); err != nil || len(b) > 0 {
			t.Errorf("%s has %q, %v", name, b, err)
		}
	}
	for _, dir := range []string{"var/log/apt", "var/cache/apt/archives", "run/lock"} {
		if _, err := os.Stat(filepath.Join(tree, dir)); err != nil {
			t.Errorf("directory %s went, too: %v", dir, err)
		}
	}
	for i, want := range []bool{false, true, false} {
		a := attributes[i]
		if _, err := unix.Getxattr(filepath.Join(tree, a.path), a.name, make([]byte, 64)); (err == nil) != want {
			t.Errorf("%s of %s: %v", a.name, a.path, err)
		}
	}
	if info, err := os.Stat(filepath.Join(tree, "tmp")); err != nil || info.Mode() != fs.ModeDir|fs.ModeSticky|0o777 {
		t.Errorf("/tmp: %v, %v", info.Mode(), err)
	}
}

// A skeleton's .profile in the home of dynos would pass for the app's own.
func TestTidyWantsEmptyHome(t *testing.T) {
	tree := t.TempDir()
	for _, dir := range []string{"app", "etc/apt/apt.conf.d", "tmp", "var/tmp"} {
		if err := os.MkdirAll(filepath.Join(tree, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(tree, "app/.profile"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := tidy(tree, true); err == nil {
		t.Error("a home with files passes")
	}
}
