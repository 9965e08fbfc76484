package layers

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"paas/slug"
)

// maxWindow bounds the memory of the decompressor; the packer's window is 8 MB.
const maxWindow = 64 << 20

// unpack writes a layer's tree into dir, which it makes. When it returns nil,
// blob and tar had the digests that l names. What it leaves behind after an
// error is the caller's to remove.
func (s *Store) unpack(ctx context.Context, l slug.Layer, dir string) error {
	if l.MediaType != MediaType {
		return fmt.Errorf("cannot unpack layer %s: media type %q is not %s", l.Digest, l.MediaType, MediaType)
	}
	blob, err := s.blobs.OpenVerified(l.Digest)
	if err != nil {
		return corrupt(l, err)
	}
	defer blob.Close()
	dec, err := zstd.NewReader(blob, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return corrupt(l, err)
	}
	defer dec.Close()
	diff := newAsyncHash()
	stream := io.TeeReader(dec, diff)
	err = unpackTar(ctx, stream, dir)
	if err == nil {
		_, err = io.Copy(io.Discard, stream) // what follows the tar's end counts too
	}
	got := diff.sum()
	if err == nil {
		err = blob.Verify()
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return corrupt(l, err)
	case got != l.DiffID:
		return &CorruptError{Layer: l, Err: fmt.Errorf("its tar has digest %s, not %s", got, l.DiffID)}
	}
	return nil
}

// corrupt tells damage apart from trouble of this machine, for which nothing
// is wrong with the layer.
func corrupt(l slug.Layer, err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) && errno != unix.ENOENT && errno != unix.EIO && errno != unix.ELOOP &&
		errno != unix.ENOTDIR && errno != unix.EXDEV && errno != unix.EEXIST && errno != unix.ENAMETOOLONG {
		return fmt.Errorf("cannot unpack layer %s: %w", l.Digest, err)
	}
	return &CorruptError{Layer: l, Err: err}
}

// unpackTar writes what a tar has into dir, which it makes. No entry can reach
// outside dir.
func unpackTar(ctx context.Context, r io.Reader, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	u := &unpacker{root: fd, parent: -1, copyBuf: make([]byte, 128<<10)}
	defer u.close()
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		switch {
		case err == io.EOF:
			return u.finish()
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		if err := u.entry(h, t); err != nil {
			return fmt.Errorf("cannot unpack %q: %w", h.Name, err)
		}
	}
}

type unpacker struct {
	root int
	// parent is the directory that the last entry was put into: the next one
	// is mostly its neighbour.
	parent     int
	parentPath string
	dirs       []dirMeta
	latest     time.Time
	copyBuf    []byte
}

// dirMeta is what directories get when everything is in them.
type dirMeta struct {
	path string
	mode uint32
	time time.Time
}

func (u *unpacker) close() {
	unix.Close(u.root)
	if u.parent >= 0 {
		unix.Close(u.parent)
	}
}

// cleanName makes an entry's name a path below the root: "a/b", or "." for the
// root itself.
func cleanName(name string) (string, error) {
	if path.IsAbs(name) || strings.ContainsRune(name, 0) {
		return "", errors.New("not a relative path")
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", errors.New("leads out of the layer")
		}
	}
	return path.Clean(name), nil
}

// in opens the directory of a path, making it if an archive left it out.
func (u *unpacker) in(dir string) (int, error) {
	if u.parent >= 0 && dir == u.parentPath {
		return u.parent, nil
	}
	fd, err := openParent(u.root, dir)
	if errors.Is(err, unix.ENOENT) && dir != "." {
		above, aerr := u.in(path.Dir(dir))
		if aerr != nil {
			return -1, aerr
		}
		if err := unix.Mkdirat(above, path.Base(dir), 0o755); err != nil {
			return -1, err
		}
		fd, err = openParent(u.root, dir)
	}
	if err != nil {
		return -1, err
	}
	if u.parent >= 0 {
		unix.Close(u.parent)
	}
	u.parent, u.parentPath = fd, dir
	return fd, nil
}

func (u *unpacker) entry(h *tar.Header, r io.Reader) error {
	name, err := cleanName(h.Name)
	if err != nil {
		return err
	}
	if h.ModTime.After(u.latest) {
		u.latest = h.ModTime
	}
	if name == "." {
		if h.Typeflag != tar.TypeDir {
			return errors.New("the root must be a directory")
		}
		return nil // always the same: see packer.root
	}
	at, err := u.in(path.Dir(name))
	if err != nil {
		return err
	}
	base := path.Base(name)
	mode := uint32(h.Mode) & 0o7777
	if strings.HasPrefix(base, whiteout) {
		return u.whiteout(at, base, h)
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return u.directory(at, base, name, mode, h)
	case tar.TypeReg:
		return u.regular(at, base, mode, h, r)
	case tar.TypeLink:
		target, err := cleanName(h.Linkname)
		if err != nil {
			return err
		}
		return linkFrom(u.root, target, at, base)
	case tar.TypeSymlink:
		if err := unix.Symlinkat(h.Linkname, at, base); err != nil {
			return err
		}
		if isRoot() {
			if err := unix.Fchownat(at, base, h.Uid, h.Gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
				return err
			}
		}
		return touch(at, base, h.ModTime)
	case tar.TypeFifo:
		return u.node(at, base, unix.S_IFIFO|mode, 0, h)
	case tar.TypeChar:
		return u.node(at, base, unix.S_IFCHR|mode, unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor)), h)
	case tar.TypeBlock:
		return u.node(at, base, unix.S_IFBLK|mode, unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor)), h)
	}
	return fmt.Errorf("unknown type %q", h.Typeflag)
}

// whiteout turns OCI's marks for deletions into overlay's.
func (u *unpacker) whiteout(at int, base string, h *tar.Header) error {
	if base == opaqueEntry {
		return unix.Fsetxattr(at, opaqueXattr, []byte("y"), 0)
	}
	name := strings.TrimPrefix(base, whiteout)
	if name == "" || name == "." || name == ".." || strings.HasPrefix(name, whiteout) {
		return errors.New("not a name that can be deleted")
	}
	return u.node(at, name, unix.S_IFCHR, 0, &tar.Header{ModTime: h.ModTime})
}

func (u *unpacker) directory(at int, base, name string, mode uint32, h *tar.Header) error {
	if err := unix.Mkdirat(at, base, 0o755); err != nil {
		if !errors.Is(err, unix.EEXIST) || !isDir(at, base) {
			return err
		}
	}
	dir, err := openFile(at, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	if isRoot() {
		if err := unix.Fchown(int(dir.Fd()), h.Uid, h.Gid); err != nil {
			return err
		}
	}
	if err := writeXattrs(int(dir.Fd()), headerXattrs(h)); err != nil {
		return err
	}
	u.dirs = append(u.dirs, dirMeta{name, mode, h.ModTime})
	return nil
}

func isDir(at int, name string) bool {
	var st unix.Stat_t
	return unix.Fstatat(at, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR
}

func (u *unpacker) regular(at int, base string, mode uint32, h *tar.Header, r io.Reader) error {
	file, err := openFile(at, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	// Hidden, or io.CopyBuffer would use the file's ReadFrom and its own buffer.
	if _, err := io.CopyBuffer(struct{ io.Writer }{file}, r, u.copyBuf); err != nil {
		return err
	}
	fd := int(file.Fd())
	if isRoot() {
		if err := unix.Fchown(fd, h.Uid, h.Gid); err != nil {
			return err
		}
	}
	if err := unix.Fchmod(fd, mode); err != nil { // after chown, which drops set-id bits
		return err
	}
	if err := writeXattrs(fd, headerXattrs(h)); err != nil {
		return err
	}
	if err := touch(at, base, h.ModTime); err != nil {
		return err
	}
	return file.Close()
}

func (u *unpacker) node(at int, base string, mode uint32, dev uint64, h *tar.Header) error {
	if err := unix.Mknodat(at, base, mode, int(dev)); err != nil {
		return err
	}
	if isRoot() {
		if err := unix.Fchownat(at, base, h.Uid, h.Gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return err
		}
	}
	if err := unix.Fchmodat(at, base, mode&0o7777, 0); err != nil { // despite the umask
		return err
	}
	return touch(at, base, h.ModTime)
}

// finish gives directories what putting things into them would have changed:
// children before parents, so a read-only parent is no obstacle. The root gets
// the time that all entries of a layer share.
func (u *unpacker) finish() error {
	for _, d := range slices.Backward(u.dirs) {
		fd, err := openParent(u.root, d.path)
		if err != nil {
			return fmt.Errorf("cannot unpack %q: %w", d.path, err)
		}
		err = errors.Join(unix.Fchmod(fd, d.mode), futimes(fd, d.time), unix.Close(fd))
		if err != nil {
			return fmt.Errorf("cannot unpack %q: %w", d.path, err)
		}
	}
	if isRoot() {
		if err := unix.Fchown(u.root, 0, 0); err != nil {
			return err
		}
	}
	return errors.Join(unix.Fchmod(u.root, 0o755), futimes(u.root, u.latest))
}

func headerXattrs(h *tar.Header) map[string]string {
	var kept map[string]string
	for k, v := range h.PAXRecords {
		if name, ok := strings.CutPrefix(k, paxXattr); ok && keptXattr(name) {
			if kept == nil {
				kept = map[string]string{}
			}
			kept[name] = v
		}
	}
	return kept
}

func touch(at int, name string, t time.Time) error {
	ts := unix.NsecToTimespec(t.UnixNano())
	return unix.UtimesNanoAt(at, name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}

func futimes(fd int, t time.Time) error {
	tv := unix.NsecToTimeval(t.UnixNano())
	return unix.Futimes(fd, []unix.Timeval{tv, tv})
}
