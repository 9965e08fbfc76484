package scratch

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestOnlyWhatNobodyHoldsIsSwept(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "tmp")
	first, err := Open(parent)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"of-dead/x", "stale"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(parent, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(parent, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(first.Path, "half"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := Open(parent)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(first.Path, "half")); err != nil {
		t.Errorf("what another holds was removed: %v", err)
	}
	entries, err := os.ReadDir(parent)
	if err != nil || len(entries) != 2 || first.Path == second.Path {
		t.Errorf("entries %v, %v", entries, err)
	}
	first.lock.Close() // as the end of a process does
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	third, err := Open(parent)
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	for _, d := range []*Dir{first, second} {
		if _, err := os.Stat(d.Path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", d.Path, err)
		}
	}
}
