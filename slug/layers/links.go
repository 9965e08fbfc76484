package layers

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"
)

// breakLinks gives files whose inode has names outside the tree an inode of
// their own: those outside belong to somebody who may write to them later.
func (p *packer) breakLinks(root int) error {
	outside := map[string]*linked{}
	for _, l := range p.links {
		if uint64(len(l.paths)) < l.nlink {
			outside[l.paths[0]] = l
		}
	}
	if len(outside) > 0 && p.o.Settle != nil {
		if err := p.o.Settle(); err != nil {
			return err
		}
	}
	for _, first := range slices.Sorted(maps.Keys(outside)) {
		still, err := p.linkedOutside(root, outside[first])
		if err == nil && still {
			err = p.breakLink(root, outside[first].paths)
		}
		if err != nil {
			return fmt.Errorf("cannot copy hard-linked %q: %w", first, err)
		}
	}
	return nil
}

// linkedOutside asks again: Settle may have removed the other names.
func (p *packer) linkedOutside(root int, l *linked) (bool, error) {
	parent, err := openParent(root, path.Dir(l.paths[0]))
	if err != nil {
		return false, err
	}
	defer unix.Close(parent)
	var st unix.Stat_t
	err = unix.Fstatat(parent, path.Base(l.paths[0]), &st, unix.AT_SYMLINK_NOFOLLOW)
	return uint64(len(l.paths)) < uint64(st.Nlink), err
}

func (p *packer) breakLink(root int, paths []string) error {
	const draft = ".paas-unlinked"
	for i, name := range paths {
		parent, err := openParent(root, path.Dir(name))
		if err != nil {
			return err
		}
		if i == 0 {
			err = p.copyFile(parent, path.Base(name), draft)
		} else {
			err = linkFrom(root, paths[0], parent, draft)
		}
		if err == nil {
			err = unix.Renameat(parent, draft, parent, path.Base(name))
		}
		if err == nil {
			err = p.setTimes(parent, "", path.Dir(name))
		}
		unix.Close(parent)
		if err != nil {
			return err
		}
	}
	return nil
}

// copyFile makes draft a copy of name, beside it, with everything that a layer
// keeps of a file.
func (p *packer) copyFile(at int, name, draft string) error {
	from, err := openFile(at, name, unix.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer from.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(from.Fd()), &st); err != nil {
		return err
	}
	to, err := openFile(at, draft, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer to.Close()
	if _, err := io.Copy(to, from); err != nil {
		return err
	}
	kept, _, err := readXattrs(int(from.Fd()))
	if err != nil {
		return err
	}
	if isRoot() {
		if err := unix.Fchown(int(to.Fd()), int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	if err := unix.Fchmod(int(to.Fd()), st.Mode&0o7777); err != nil {
		return err
	}
	if err := writeXattrs(int(to.Fd()), kept); err != nil {
		return err
	}
	if err := p.setTimes(at, draft, name); err != nil {
		return err
	}
	return to.Close()
}

// linkFrom makes name in the directory at another name of old, a path below
// root.
func linkFrom(root int, old string, at int, name string) error {
	parent, err := openParent(root, path.Dir(old))
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	return unix.Linkat(parent, path.Base(old), at, name, 0)
}

// openParent opens a directory below root. No component may be a symlink.
func openParent(root int, rel string) (int, error) {
	for {
		fd, err := unix.Openat2(root, rel, &unix.OpenHow{
			Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
			Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
		})
		// EAGAIN: a rename elsewhere on the machine raced with the lookup.
		if err != unix.EAGAIN && err != unix.EINTR {
			return fd, err
		}
	}
}

func openFile(at int, name string, flags int, mode uint32) (*os.File, error) {
	fd, err := unix.Openat(at, name, flags|unix.O_CLOEXEC, mode)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}
