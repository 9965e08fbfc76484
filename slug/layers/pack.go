package layers

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"paas/slug"
)

const (
	whiteout    = ".wh."
	opaqueEntry = ".wh..wh..opq"
	// maxDepth bounds the directories held open at once.
	maxDepth = 512
)

// pack writes the tree as a blob and normalises the tree to be what unpacking
// that blob gives.
func (s *Store) pack(ctx context.Context, tree string, o Options) (slug.Layer, error) {
	w, err := s.blobs.Create()
	if err != nil {
		return slug.Layer{}, err
	}
	defer w.Abort()
	limited := &sizeLimit{w: w, max: o.MaxBlob}
	enc, err := newFrames(limited)
	if err != nil {
		return slug.Layer{}, fmt.Errorf("cannot pack layer: %w", err)
	}
	diff := newAsyncHash()
	buf := bufio.NewWriterSize(io.MultiWriter(diff, enc), 256<<10)
	p := &packer{
		ctx: ctx, o: o, tar: tar.NewWriter(buf), links: map[inode]*linked{}, copyBuf: make([]byte, 128<<10),
		time: time.Unix(o.Time.Unix(), 0).UTC(),
	}
	err = p.root(tree)
	if err == nil {
		err = errors.Join(p.tar.Close(), buf.Flush())
	}
	// The compressor's goroutines end with Close, so it is closed in any case.
	err = errors.Join(err, enc.Close())
	diffID := diff.sum()
	if err != nil {
		return slug.Layer{}, err
	}
	if limited.n > o.MaxBlob && o.MaxBlob > 0 {
		return slug.Layer{}, &SizeError{Packed: limited.n, Max: o.MaxBlob}
	}
	b, err := w.Commit()
	if err != nil {
		return slug.Layer{}, err
	}
	return slug.Layer{Digest: b.Digest, DiffID: diffID, Size: b.Size, MediaType: MediaType, Name: o.Name}, nil
}

// packer walks one tree.
type packer struct {
	ctx     context.Context
	o       Options
	tar     *tar.Writer
	time    time.Time
	links   map[inode]*linked
	bytes   int64
	copyBuf []byte
}

type inode struct{ dev, ino uint64 }

// linked is a regular file with more than one name.
type linked struct {
	paths []string // within the tree, in order; the first one holds the bytes
	nlink uint64
}

// root packs the content of a directory. The root itself has no entry: it is
// always 0755, owned by root.
func (p *packer) root(tree string) error {
	fd, err := unix.Open(tree, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot pack %s: %w", tree, err)
	}
	dir := os.NewFile(uintptr(fd), tree)
	defer dir.Close()
	if err := p.children(dir, "", 0); err != nil {
		return err
	}
	if err := p.breakLinks(fd); err != nil {
		return err
	}
	if isRoot() {
		if err := unix.Fchown(fd, 0, 0); err != nil {
			return fmt.Errorf("cannot pack %s: %w", tree, err)
		}
	}
	if err := unix.Fchmod(fd, 0o755); err != nil {
		return fmt.Errorf("cannot pack %s: %w", tree, err)
	}
	return p.setTimes(fd, "", "")
}

// children packs what is in dir, whose path in the tree is rel, in the order
// of the names' bytes.
func (p *packer) children(dir *os.File, rel string, depth int) error {
	if depth > maxDepth {
		return &EntryError{Path: rel, Why: fmt.Sprintf("directories nest deeper than %d", maxDepth)}
	}
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return fmt.Errorf("cannot pack %q: %w", rel, err)
	}
	slices.Sort(names)
	for _, name := range names {
		if p.ctx.Err() != nil {
			return context.Cause(p.ctx)
		}
		if err := p.entry(dir, path.Join(rel, name), name, depth); err != nil {
			return err
		}
	}
	return nil
}

// entry packs one name in dir.
func (p *packer) entry(dir *os.File, rel, name string, depth int) error {
	if strings.HasPrefix(name, whiteout) {
		return &EntryError{Path: rel, Why: "names that begin with .wh. are reserved in container images"}
	}
	at := int(dir.Fd())
	var st unix.Stat_t
	if err := unix.Fstatat(at, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("cannot pack %q: %w", rel, err)
	}
	h := &tar.Header{Name: rel, Mode: int64(st.Mode & 0o7777), Uid: int(st.Uid), Gid: int(st.Gid), ModTime: p.time}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return p.directory(at, h, name, depth)
	case unix.S_IFREG:
		return p.regular(at, h, name, &st)
	case unix.S_IFLNK:
		target, err := readlink(at, name)
		if err != nil {
			return fmt.Errorf("cannot pack %q: %w", rel, err)
		}
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, target, 0o777
	case unix.S_IFIFO:
		h.Typeflag = tar.TypeFifo
	case unix.S_IFSOCK: // has no meaning without its listener, and no tar entry
		if err := unix.Unlinkat(at, name, 0); err != nil {
			return fmt.Errorf("cannot drop socket %q: %w", rel, err)
		}
		return nil
	case unix.S_IFCHR, unix.S_IFBLK:
		major, minor := unix.Major(st.Rdev), unix.Minor(st.Rdev)
		h.Typeflag, h.Devmajor, h.Devminor = tar.TypeChar, int64(major), int64(minor)
		if st.Mode&unix.S_IFMT == unix.S_IFBLK {
			h.Typeflag = tar.TypeBlock
		} else if major == 0 && minor == 0 { // overlay's way to say: deleted
			// Its owner and mode mean nothing; unpacking gives these.
			h = &tar.Header{Typeflag: tar.TypeReg, Name: path.Join(path.Dir(rel), whiteout+name), Mode: 0o644, ModTime: p.time}
		}
	default:
		return &EntryError{Path: rel, Why: "unknown kind of file"}
	}
	if err := p.write(h); err != nil {
		return err
	}
	return p.setTimes(at, name, rel)
}

func (p *packer) directory(at int, h *tar.Header, name string, depth int) error {
	fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot pack %q: %w", h.Name, err)
	}
	dir := os.NewFile(uintptr(fd), h.Name)
	defer dir.Close()
	rel := h.Name
	h.Typeflag, h.Name = tar.TypeDir, rel+"/"
	opaque, err := p.xattrs(fd, h)
	if err != nil {
		return err
	}
	if err := p.write(h); err != nil {
		return err
	}
	if opaque {
		if err := p.write(&tar.Header{Typeflag: tar.TypeReg, Name: rel + "/" + opaqueEntry, Mode: 0o644, ModTime: p.time}); err != nil {
			return err
		}
	}
	if err := p.children(dir, rel, depth+1); err != nil {
		return err
	}
	return p.setTimes(at, name, rel)
}

func (p *packer) regular(at int, h *tar.Header, name string, st *unix.Stat_t) error {
	rel := h.Name
	if st.Nlink > 1 {
		key := inode{uint64(st.Dev), st.Ino}
		if first, ok := p.links[key]; ok {
			first.paths = append(first.paths, rel)
			h.Typeflag, h.Linkname = tar.TypeLink, first.paths[0]
			return p.write(h)
		}
		p.links[key] = &linked{paths: []string{rel}, nlink: uint64(st.Nlink)}
	}
	fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("cannot pack %q: %w", rel, err)
	}
	defer unix.Close(fd)
	h.Typeflag, h.Size = tar.TypeReg, st.Size
	if p.bytes += st.Size; p.o.MaxTree > 0 && p.bytes > p.o.MaxTree {
		return &SizeError{Max: p.o.MaxTree}
	}
	if _, err := p.xattrs(fd, h); err != nil {
		return err
	}
	if err := p.write(h); err != nil {
		return err
	}
	for left := st.Size; left > 0; {
		if p.ctx.Err() != nil {
			return context.Cause(p.ctx)
		}
		n, err := unix.Read(fd, p.copyBuf[:min(left, int64(len(p.copyBuf)))])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return fmt.Errorf("cannot pack %q: %w", rel, err)
		case n == 0:
			return fmt.Errorf("cannot pack %q: it shrank meanwhile", rel)
		}
		if _, err := p.tar.Write(p.copyBuf[:n]); err != nil {
			return err
		}
		left -= int64(n)
	}
	return p.setTimes(at, name, rel)
}

func (p *packer) write(h *tar.Header) error {
	if err := p.tar.WriteHeader(h); err != nil {
		return fmt.Errorf("cannot pack %q: %w", h.Name, err)
	}
	return nil
}

// setTimes gives name in the directory at, or at itself, the layer's time.
func (p *packer) setTimes(at int, name, rel string) error {
	var err error
	if name == "" {
		err = futimes(at, p.time)
	} else {
		err = touch(at, name, p.time)
	}
	if err != nil {
		return fmt.Errorf("cannot set the time of %q: %w", rel, err)
	}
	return nil
}

func readlink(at int, name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(at, name, buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

// sizeLimit passes on at most max bytes, and goes on counting to four times
// that, so that the user can be told how large a slug is.
type sizeLimit struct {
	w      io.Writer
	n, max int64
}

func (s *sizeLimit) Write(p []byte) (int, error) {
	s.n += int64(len(p))
	switch {
	case s.max <= 0 || s.n <= s.max:
		return s.w.Write(p)
	case s.n > 4*s.max:
		return 0, &SizeError{Packed: s.n, Max: s.max}
	}
	return len(p), nil
}

// asyncHash hashes beside the compressor instead of in its way.
type asyncHash struct {
	hash hash.Hash
	in   chan []byte
	free chan []byte
	done chan struct{}
}

func newAsyncHash() *asyncHash {
	a := &asyncHash{hash: sha256.New(), in: make(chan []byte, 4), free: make(chan []byte, 4), done: make(chan struct{})}
	go func() {
		defer close(a.done)
		for b := range a.in {
			a.hash.Write(b)
			select {
			case a.free <- b:
			default:
			}
		}
	}()
	return a
}

func (a *asyncHash) Write(p []byte) (int, error) {
	var b []byte
	select {
	case b = <-a.free:
	default:
	}
	a.in <- append(b[:0], p...)
	return len(p), nil
}

// sum ends the hash; it MUST be called once.
func (a *asyncHash) sum() string {
	close(a.in)
	<-a.done
	return "sha256:" + hex.EncodeToString(a.hash.Sum(nil))
}
