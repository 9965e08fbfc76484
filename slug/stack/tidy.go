package stack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// tidy takes out of a new tree what does not belong into an image: what differs
// between two runs, what is of this host, and rights that nobody needs. whole
// says that the tree is a root file system and not what changed over one.
func tidy(tree string, whole bool) error {
	if err := empty(tree); err != nil {
		return fmt.Errorf("cannot tidy the tree: %w", err)
	}
	if err := disarm(tree); err != nil {
		return fmt.Errorf("cannot tidy the tree: %w", err)
	}
	if !whole {
		return nil
	}
	if err := settle(tree); err != nil {
		return fmt.Errorf("cannot tidy the tree: %w", err)
	}
	return nil
}

// empty removes files. Directories stay: packages and their programs expect
// them.
func empty(tree string) error {
	// Everything below these but directories.
	for _, dir := range []string{"var/log", "var/cache", "var/lib/apt/lists", "run"} {
		err := filepath.WalkDir(filepath.Join(tree, dir), func(path string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || e.IsDir() {
				return err
			}
			return os.Remove(path)
		})
		if err != nil {
			return err
		}
	}
	// Everything below these.
	for _, dir := range []string{"tmp", "var/tmp", "dev", "root/.cache"} {
		entries, err := os.ReadDir(filepath.Join(tree, dir))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := os.RemoveAll(filepath.Join(tree, dir, e.Name())); err != nil {
				return err
			}
		}
	}
	// Backups, locks, and keys that would be the same everywhere.
	for _, pattern := range []string{
		"var/lib/dpkg/*-old", "var/lib/dpkg/lock*", "var/lib/dpkg/triggers/Lock", "var/lib/apt/extended_states",
		"etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/subuid-", "etc/subgid-", "etc/.pwd.lock",
		"etc/ssh/ssh_host_*", "etc/ld.so.cache~", "var/lib/dbus/machine-id",
		// The run image gets empty ones, which show through the layers above.
		"etc/resolv.conf", "etc/hosts", "etc/hostname", "etc/machine-id",
		"etc/apt/sources.list", "etc/apt/sources.list.d/*", "etc/apt/apt.conf.d/99mmdebstrap",
	} {
		found, err := filepath.Glob(filepath.Join(tree, pattern))
		if err != nil {
			return err
		}
		for _, path := range found {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// disarm takes set-user-id bits, file capabilities and overlayfs's own notes
// off everything in the tree. Only the mark of a directory that hides the one
// below it stays.
func disarm(tree string) error {
	return filepath.WalkDir(tree, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := dropAttributes(path); err != nil {
			return err
		}
		if !e.Type().IsRegular() {
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
			return os.Chmod(path, info.Mode().Perm())
		}
		return nil
	})
}

func dropAttributes(path string) error {
	buf := make([]byte, 4096)
	n, err := unix.Llistxattr(path, buf)
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot list attributes of %q: %w", path, err)
	}
	for name := range strings.SplitSeq(string(buf[:n]), "\x00") {
		if name == "" || name == "trusted.overlay.opaque" {
			continue
		}
		if name != "security.capability" && !strings.HasPrefix(name, "trusted.overlay.") {
			continue
		}
		if err := unix.Lremovexattr(path, name); err != nil {
			return fmt.Errorf("cannot remove attribute %s of %q: %w", name, path, err)
		}
	}
	return nil
}

// settle gives a root file system the files that others count on.
func settle(tree string) error {
	root, err := os.OpenRoot(tree)
	if err != nil {
		return err
	}
	defer root.Close()
	// Empty: what dynos are given is mounted over them, and mmdebstrap has put
	// this host's there. sources.list is one that buildpacks read.
	for _, name := range []string{"etc/resolv.conf", "etc/hosts", "etc/hostname", "etc/machine-id", "etc/apt/sources.list"} {
		if err := root.WriteFile(name, nil, 0o644); err != nil {
			return err
		}
	}
	if err := root.WriteFile("etc/apt/apt.conf.d/99stack", []byte("APT::Install-Recommends \"false\";\n"), 0o644); err != nil {
		return err
	}
	for _, dir := range []string{"tmp", "var/tmp"} {
		if err := root.Chmod(dir, 0o777|fs.ModeSticky); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(filepath.Join(tree, "app"))
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("the home of dynos has a %q", entries[0].Name())
	}
	return nil
}
