package containerd

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/mount"
)

// overlaySpecial separates the options of an overlay mount and cannot be quoted
// on all its ways.
const overlaySpecial = ":,\\\n"

// A container's processes run as this user, and own /app.
const containerUser = 1000

// rootMounts composes the root file system: one overlay of the read-only layers
// and a private writable directory. The kernel maps the owners in the layers
// (0 and 1000, as seen inside) to the container's range of ids; nothing is
// copied or chowned.
//
// The upper layer is volatile: it never outlives the container, so neither an
// fsync inside nor the unmount needs to wait for the disk.
func rootMounts(dir string, lower []string, ids uint32) ([]mount.Mount, error) {
	if len(lower) == 0 {
		return nil, fmt.Errorf("cannot compose a root file system of no layers")
	}
	for _, d := range lower {
		if !filepath.IsAbs(d) || strings.ContainsAny(d, overlaySpecial) {
			return nil, fmt.Errorf("cannot use layer directory %q in an overlay mount", d)
		}
	}
	top := slices.Clone(lower)
	slices.Reverse(top) // overlay wants the highest first
	mapping := fmt.Sprintf("0:%d:%d", ids, idsPerRange)
	return []mount.Mount{{
		Type:   "overlay",
		Source: "overlay",
		Options: []string{
			"uidmap=" + mapping, "gidmap=" + mapping,
			"volatile",
			"workdir=" + filepath.Join(dir, "work"),
			"upperdir=" + filepath.Join(dir, "upper"),
			"lowerdir=" + strings.Join(top, ":"),
		},
	}}, nil
}

// makeUpper makes the writable directory, with the few places that every
// container has whatever its layers hold.
func makeUpper(dir string, ids uint32) error {
	for _, d := range []struct {
		path  string
		owner int
		mode  os.FileMode
	}{
		{"work", 0, 0o700},
		{"upper", 0, 0o755},
		{"upper/app", containerUser, 0o755},
		{"upper/tmp", 0, 0o777 | os.ModeSticky},
	} {
		path := filepath.Join(dir, d.path)
		if err := os.Mkdir(path, 0o700); err != nil {
			return fmt.Errorf("cannot make the writable layer: %w", err)
		}
		if err := os.Chown(path, int(ids)+d.owner, int(ids)+d.owner); err != nil {
			return fmt.Errorf("cannot make the writable layer: %w", err)
		}
		if err := os.Chmod(path, d.mode); err != nil {
			return fmt.Errorf("cannot make the writable layer: %w", err)
		}
	}
	return nil
}

// limitFiles makes the directory that is mounted at /sys/fs/cgroup: the classic
// buildpacks read memory/memory.limit_in_bytes, newer runtimes memory.max, and
// neither the host's cgroup version nor its numbers are theirs to know.
// Directories are shared by all containers of a size.
func limitFiles(runDir string, memory int64) (string, error) {
	dir := filepath.Join(runDir, "limits", fmt.Sprint(memory))
	done := filepath.Join(dir, "memory", "memory.limit_in_bytes")
	if _, err := os.Stat(done); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(done), 0o755); err != nil {
		return "", fmt.Errorf("cannot write the memory limit for dynos: %w", err)
	}
	value := []byte(fmt.Sprintf("%d\n", memory))
	for _, f := range []string{filepath.Join(dir, "memory.max"), done} {
		// In one step: two containers of a size may start at once.
		tmp, err := os.CreateTemp(dir, ".new-")
		if err != nil {
			return "", fmt.Errorf("cannot write the memory limit for dynos: %w", err)
		}
		_, err = tmp.Write(value)
		if err == nil {
			err = tmp.Chmod(0o644)
		}
		tmp.Close()
		if err == nil {
			err = os.Rename(tmp.Name(), f)
		}
		if err != nil {
			os.Remove(tmp.Name())
			return "", fmt.Errorf("cannot write the memory limit for dynos: %w", err)
		}
	}
	return dir, nil
}
