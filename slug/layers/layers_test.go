package layers

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"paas/slug"
	"paas/slug/blob"
)

var commitTime = time.Unix(1_700_000_000, 0)

func newStore(t *testing.T) *Store {
	t.Helper()
	root := t.TempDir()
	blobs, err := blob.Open(filepath.Join(root, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(filepath.Join(root, "layers"), blobs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// plant makes a tree inside the store's own temporary directory, so that it
// can be renamed.
func plant(t *testing.T, s *Store, make func(dir string)) string {
	t.Helper()
	dir := filepath.Join(filepath.Dir(s.dir), "tree"+fmt.Sprint(rand.Int64()))
	must(t, os.Mkdir(dir, 0o700))
	make(dir)
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func adopt(t *testing.T, s *Store, tree string) slug.Layer {
	t.Helper()
	l, err := s.Adopt(t.Context(), tree, Options{Name: "app", Time: commitTime})
	must(t, err)
	return l
}

func dirOf(t *testing.T, s *Store, l slug.Layer) string {
	t.Helper()
	d, err := s.Dir(t.Context(), l)
	must(t, err)
	return d
}

// rich has one of everything.
func rich(t *testing.T) func(dir string) {
	return func(dir string) {
		in := func(p string) string { return filepath.Join(dir, p) }
		must(t, os.MkdirAll(in("app/bin/deep/er"), 0o755))
		must(t, os.WriteFile(in("app/bin/run"), []byte("#!/bin/sh\n"), 0o755))
		must(t, os.WriteFile(in("app/empty"), nil, 0o640))
		must(t, os.WriteFile(in("app/big"), bytes.Repeat([]byte("0123456789abcdef"), 40_000), 0o600))
		must(t, os.WriteFile(in("app/odd \xff\nname é"), []byte("x"), 0o644))
		must(t, os.WriteFile(in("app/"+strings.Repeat("l", 200)), []byte("long"), 0o644))
		must(t, os.Link(in("app/big"), in("app/bin/same")))
		must(t, os.Symlink("/etc/passwd", in("app/abs")))
		must(t, os.Symlink("../../../outside", in("app/up")))
		must(t, os.Symlink("nowhere", in("app/bin/dangling")))
		must(t, unix.Mkfifo(in("app/fifo"), 0o622))
		must(t, os.Mkdir(in("app/sealed"), 0o755))
		must(t, os.WriteFile(in("app/sealed/f"), []byte("f"), 0o400))
		must(t, os.Chmod(in("app/sealed"), 0o555))
		must(t, unix.Setxattr(in("app/big"), "user.note", []byte("a\x00b=c"), 0))
		must(t, os.Lchown(in("app/abs"), 1000, 1000))
		must(t, os.Chown(in("app/big"), 1000, 1001))
		must(t, os.Chmod(in("app/bin/run"), 0o755|fs.ModeSetuid))
		must(t, unix.Mknod(in("app/deleted"), unix.S_IFCHR, 0))
		must(t, unix.Setxattr(in("app/bin/deep"), opaqueXattr, []byte("y"), 0))
		must(t, unix.Setxattr(in("app/bin"), overlayPrefix+"origin", []byte("x"), 0))
	}
}

// snapshot describes a tree completely.
func snapshot(t *testing.T, root string) []string {
	t.Helper()
	var all []string
	inodes := map[uint64]string{}
	must(t, filepath.WalkDir(root, func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		line := fmt.Sprintf("%q mode=%o owner=%d:%d mtime=%d.%d rdev=%d", rel, st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec, st.Rdev)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" nlink=%d %s", st.Nlink, blob.Digest(b))
			if first, ok := inodes[st.Ino]; ok {
				line += " same as " + first
			}
			inodes[st.Ino] = rel
		case unix.S_IFLNK:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			line += " -> " + target
		}
		buf := make([]byte, 4096)
		if n, err := unix.Llistxattr(p, buf); err == nil && n > 0 {
			names := strings.Split(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00")
			slices.Sort(names)
			for _, name := range names {
				v := make([]byte, 4096)
				n, err := unix.Lgetxattr(p, name, v)
				if err != nil {
					return err
				}
				line += fmt.Sprintf(" %s=%q", name, v[:n])
			}
		}
		all = append(all, line)
		return nil
	}))
	return all
}

func TestAdoptedAndUnpackedTreesAreTheSame(t *testing.T) {
	s := newStore(t)
	tree := plant(t, s, rich(t))
	l := adopt(t, s, tree)
	if _, err := os.Stat(tree); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the tree is still there: %v", err)
	}
	if l.MediaType != MediaType || l.Name != "app" || l.Size == 0 {
		t.Fatalf("layer = %+v", l)
	}
	adopted := snapshot(t, dirOf(t, s, l))
	for _, want := range []string{`"app/big" mode=100600 owner=1000:1001`, `user.note="a\x00b=c"`, "same as", `"app/deleted" mode=20000`, `trusted.overlay.opaque="y"`, "mode=104755"} {
		if !slices.ContainsFunc(adopted, func(l string) bool { return strings.Contains(l, want) }) {
			t.Errorf("adopted tree lacks %s:\n%s", want, strings.Join(adopted, "\n"))
		}
	}
	if slices.ContainsFunc(adopted, func(l string) bool { return strings.Contains(l, "overlay.origin") }) {
		t.Error("overlay's own notes were kept")
	}
	must(t, s.DropOlder(t.Context(), l.DiffID, time.Now().Add(time.Hour)))
	if trees, err := s.Trees(); err != nil || len(trees) != 0 {
		t.Fatalf("Trees after DropOlder = %v, %v", trees, err)
	}
	unpacked := snapshot(t, dirOf(t, s, l))
	if a, b := strings.Join(adopted, "\n"), strings.Join(unpacked, "\n"); a != b {
		t.Fatalf("adopted:\n%s\n\nunpacked:\n%s", a, b)
	}
}

func TestSameTreeSameDigest(t *testing.T) {
	s := newStore(t)
	names := []string{"a", "b", "c", "d/e", "d/f", "z.d/x", "z/y"}
	write := func(dir string) {
		rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		for _, n := range names {
			p := filepath.Join(dir, "app", n)
			must(t, os.MkdirAll(filepath.Dir(p), 0o755))
			must(t, os.WriteFile(p, []byte(n), 0o644))
			now := time.Now().Add(time.Duration(rand.IntN(1e6)) * time.Second)
			must(t, os.Chtimes(p, now, now))
		}
	}
	first := adopt(t, s, plant(t, s, write))
	for range 5 {
		if again := adopt(t, s, plant(t, s, write)); again != first {
			t.Fatalf("again %+v, first %+v", again, first)
		}
	}
	// What an unpacked tree packs to is the layer it came from.
	copied := plant(t, s, func(dir string) {
		must(t, exec.Command("cp", "-a", filepath.Join(dirOf(t, s, first), "app"), dir).Run())
	})
	if again := adopt(t, s, copied); again != first {
		t.Fatalf("a copy packs to %+v, want %+v", again, first)
	}
}

func TestTarIsWhatOthersRead(t *testing.T) {
	s := newStore(t)
	l := adopt(t, s, plant(t, s, rich(t)))
	f, err := s.blobs.Open(l.Digest)
	must(t, err)
	defer f.Close()
	dec, err := zstd.NewReader(f)
	must(t, err)
	defer dec.Close()
	names := map[string]byte{}
	for r := tar.NewReader(dec); ; {
		h, err := r.Next()
		if err != nil {
			break
		}
		names[h.Name] = h.Typeflag
	}
	for name, kind := range map[string]byte{"app/.wh.deleted": tar.TypeReg, "app/bin/deep/.wh..wh..opq": tar.TypeReg, "app/bin/same": tar.TypeLink, "app/": tar.TypeDir} {
		if names[name] != kind {
			t.Errorf("%s has type %q, want %q", name, names[name], kind)
		}
	}
	// GNU tar agrees with the whole of it.
	cmd := exec.Command("tar", "--zstd", "-tf", f.Name())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func TestLinksToTheOutsideAreCut(t *testing.T) {
	s := newStore(t)
	cache := filepath.Join(filepath.Dir(s.dir), "cached")
	must(t, os.WriteFile(cache, []byte("good"), 0o640))
	must(t, os.Chown(cache, 1000, 1000))
	tree := plant(t, s, func(dir string) {
		must(t, os.MkdirAll(filepath.Join(dir, "app/sub"), 0o755))
		must(t, os.Link(cache, filepath.Join(dir, "app/one")))
		must(t, os.Link(cache, filepath.Join(dir, "app/sub/two")))
	})
	l := adopt(t, s, tree)
	dir := dirOf(t, s, l)
	before := snapshot(t, dir)
	file, err := os.OpenFile(cache, os.O_WRONLY, 0)
	must(t, err)
	_, err = file.WriteString("evil")
	must(t, errors.Join(err, file.Close()))
	if b, err := os.ReadFile(filepath.Join(dir, "app/one")); err != nil || string(b) != "good" {
		t.Fatalf("a later write to the cache reached the slug: %q, %v", b, err)
	}
	must(t, s.DropOlder(t.Context(), l.DiffID, time.Now().Add(time.Hour)))
	if after := snapshot(t, dirOf(t, s, l)); !slices.Equal(before, after) {
		t.Fatalf("adopted:\n%s\n\nunpacked:\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
}

// The other names may go at the last moment; then nothing needs to be copied.
func TestSettle(t *testing.T) {
	s := newStore(t)
	saved := filepath.Join(filepath.Dir(s.dir), "saved")
	must(t, os.WriteFile(saved, []byte("good"), 0o640))
	var ino uint64
	tree := plant(t, s, func(dir string) {
		p := filepath.Join(dir, "f")
		must(t, os.Link(saved, p))
		var st unix.Stat_t
		must(t, unix.Stat(p, &st))
		ino = st.Ino
	})
	l, err := s.Adopt(t.Context(), tree, Options{Time: commitTime, Settle: func() error { return os.Remove(saved) }})
	must(t, err)
	var st unix.Stat_t
	must(t, unix.Stat(filepath.Join(dirOf(t, s, l), "f"), &st))
	if st.Ino != ino || st.Nlink != 1 {
		t.Errorf("the file was copied: inode %d, before %d, %d links", st.Ino, ino, st.Nlink)
	}
	why := errors.New("disk on fire")
	tree = plant(t, s, func(dir string) {
		must(t, os.WriteFile(saved, []byte("new"), 0o640))
		must(t, os.Link(saved, filepath.Join(dir, "f")))
	})
	if _, err := s.Adopt(t.Context(), tree, Options{Settle: func() error { return why }}); !errors.Is(err, why) {
		t.Errorf("Adopt = %v", err)
	}
}

func TestSocketsAreDropped(t *testing.T) {
	s := newStore(t)
	tree := plant(t, s, func(dir string) {
		t.Chdir(dir) // socket names are short
		l, err := net.Listen("unix", "sock")
		must(t, err)
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		must(t, l.Close())
		must(t, os.WriteFile("kept", nil, 0o644))
	})
	got := snapshot(t, dirOf(t, s, adopt(t, s, tree)))
	if len(got) != 2 {
		t.Fatalf("want the root and one file, got:\n%s", strings.Join(got, "\n"))
	}
}

func TestRefusals(t *testing.T) {
	file := func(name string) func(string) {
		return func(dir string) {
			p := filepath.Join(dir, name)
			must(t, os.MkdirAll(filepath.Dir(p), 0o755))
			must(t, os.WriteFile(p, []byte(strings.Repeat("x", 1000)), 0o644))
		}
	}
	random := func(dir string) {
		b := make([]byte, 100_000)
		for i := range b {
			b[i] = byte(rand.Uint32())
		}
		must(t, os.WriteFile(filepath.Join(dir, "r"), b, 0o644))
	}
	for name, c := range map[string]struct {
		make func(string)
		o    Options
		want any
	}{
		"reserved name":   {file("app/.wh.x"), Options{}, new(*EntryError)},
		"reserved opaque": {file("app/.wh..wh..opq"), Options{}, new(*EntryError)},
		"too deep":        {file(strings.Repeat("d/", maxDepth+1) + "f"), Options{}, new(*EntryError)},
		"files too large": {file("f"), Options{MaxTree: 999}, new(*SizeError)},
		"blob too large":  {random, Options{MaxBlob: 90_000}, new(*SizeError)},
		"far too large":   {random, Options{MaxBlob: 10_000}, new(*SizeError)},
		"sparse giant": {func(dir string) {
			must(t, os.WriteFile(filepath.Join(dir, "s"), nil, 0o644))
			must(t, os.Truncate(filepath.Join(dir, "s"), 1<<42))
		}, Options{MaxTree: 1 << 30}, new(*SizeError)},
		"redirected directory": {func(dir string) {
			must(t, os.Mkdir(filepath.Join(dir, "d"), 0o755))
			must(t, unix.Setxattr(filepath.Join(dir, "d"), overlayPrefix+"redirect", []byte("/x"), 0))
		}, Options{}, new(*EntryError)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			tree := plant(t, s, c.make)
			_, err := s.Adopt(t.Context(), tree, c.o)
			if err == nil || !errors.As(err, c.want) {
				t.Fatalf("Adopt = %v, want a %T", err, c.want)
			}
			if name == "blob too large" {
				var size *SizeError
				if errors.As(err, &size); size.Packed < 100_000 || size.Packed > 103_000 {
					t.Errorf("size = %d, want that of the whole blob", size.Packed)
				}
			}
			if _, err := os.Stat(tree); err != nil {
				t.Errorf("the tree is gone: %v", err)
			}
			if all, err := s.blobs.All(t.Context()); err != nil || len(all) != 0 {
				t.Errorf("blobs were left: %v, %v", all, err)
			}
		})
	}
}

func TestDamagedBlob(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"gone":      os.Remove,
		"truncated": func(p string) error { return os.Truncate(p, 100) },
		"flipped": func(p string) error {
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			b[len(b)/2] ^= 1
			return os.WriteFile(p, b, 0o600)
		},
		"another": func(p string) error {
			var b bytes.Buffer
			enc, err := zstd.NewWriter(&b)
			if err != nil {
				return err
			}
			w := tar.NewWriter(enc)
			return errors.Join(w.Close(), enc.Close(), os.WriteFile(p, b.Bytes(), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			l := adopt(t, s, plant(t, s, rich(t)))
			f, err := s.blobs.Open(l.Digest)
			must(t, err)
			must(t, f.Close())
			must(t, damage(f.Name()))
			if _, err := s.Dir(t.Context(), l); err != nil {
				t.Fatalf("a tree that is there needs no blob: %v", err)
			}
			must(t, s.DropOlder(t.Context(), l.DiffID, time.Now().Add(time.Hour)))
			var c *CorruptError
			if _, err := s.Dir(t.Context(), l); !errors.As(err, &c) || c.Layer != l {
				t.Fatalf("Dir of a damaged layer: %v", err)
			}
			if trees, err := s.Trees(); err != nil || len(trees) != 0 {
				t.Fatalf("a damaged layer left a tree: %v, %v", trees, err)
			}
			if left, err := os.ReadDir(s.tmp()); err != nil || len(left) != 0 {
				t.Fatalf("temporary trees left: %v, %v", left, err)
			}
			if again := adopt(t, s, plant(t, s, rich(t))); again != l {
				t.Fatalf("building again made %+v, want %+v", again, l)
			}
			dirOf(t, s, l)
		})
	}
}

func TestWrongDiffID(t *testing.T) {
	s := newStore(t)
	l := adopt(t, s, plant(t, s, rich(t)))
	l.DiffID = "sha256:" + strings.Repeat("0", 64)
	var c *CorruptError
	if _, err := s.Dir(t.Context(), l); !errors.As(err, &c) {
		t.Fatalf("Dir = %v, want a *CorruptError", err)
	}
}

// A tree that was not known to be on disk when the machine went down is not
// trusted after it came up.
func TestPowerCut(t *testing.T) {
	s := newStore(t)
	l := adopt(t, s, plant(t, s, rich(t)))
	s.Wait()
	home, _ := s.home(l.DiffID)
	m, err := readMarker(home)
	if err != nil || !m.Synced {
		t.Fatalf("marker after the sync = %+v, %v", m, err)
	}
	lost := filepath.Join(home, "fs/app/big")
	must(t, os.Truncate(lost, 0))
	dirOf(t, s, l)
	if st, _ := os.Stat(lost); st.Size() != 0 {
		t.Fatal("a synced tree was unpacked again")
	}
	m.Synced, m.Boot = false, "the boot before"
	must(t, m.write(home))
	dirOf(t, s, l)
	if st, err := os.Stat(lost); err != nil || st.Size() == 0 {
		t.Fatalf("an unsynced tree of another boot was used: %v", err)
	}
}

func TestOpenForgetsHalfMadeTrees(t *testing.T) {
	s := newStore(t)
	l := adopt(t, s, plant(t, s, rich(t)))
	stale := filepath.Join(s.dir, "tmp/of-a-dead-process/unpack-1/fs")
	must(t, os.MkdirAll(stale, 0o755))
	home, _ := s.home(l.DiffID)
	must(t, os.Remove(filepath.Join(home, markerFile))) // as if killed between steps
	again, err := Open(s.dir, s.blobs)
	must(t, err)
	t.Cleanup(again.Close)
	if _, err := os.Stat(stale); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%s is still there: %v", stale, err)
	}
	dirOf(t, again, l)
}

func TestCallersShareTheWork(t *testing.T) {
	s := newStore(t)
	l := adopt(t, s, plant(t, s, rich(t)))
	s.Wait()
	must(t, s.DropOlder(t.Context(), l.DiffID, time.Now().Add(time.Hour)))
	var wg sync.WaitGroup
	made := make(chan string, 16)
	home, _ := s.home(l.DiffID)
	for range cap(made) {
		wg.Go(func() {
			if _, err := s.Dir(context.Background(), l); err != nil {
				t.Error(err)
			}
			m, err := readMarker(home)
			if err != nil {
				t.Error(err)
			}
			made <- m.Made
		})
	}
	wg.Wait()
	close(made)
	first := <-made
	for m := range made {
		if m != first {
			t.Fatal("the layer was unpacked more than once")
		}
	}
}

func TestWaitersGiveUp(t *testing.T) {
	s := newStore(t)
	l := adopt(t, s, plant(t, s, rich(t)))
	unlock, err := s.locks.lock(t.Context(), l.DiffID)
	must(t, err)
	defer unlock()
	why := errors.New("cancelled")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := s.Dir(ctx, l); !errors.Is(err, why) {
		t.Fatalf("Dir = %v", err)
	}
}

func TestUsedTreesAreSpared(t *testing.T) {
	s := newStore(t)
	l := adopt(t, s, plant(t, s, rich(t)))
	s.Wait()
	before := time.Now().Add(-time.Minute)
	must(t, s.DropOlder(t.Context(), l.DiffID, before))
	if trees, err := s.Trees(); err != nil || len(trees) != 1 || trees[0].DiffID != l.DiffID || trees[0].Used.Before(before) {
		t.Fatalf("Trees = %v, %v", trees, err)
	}
}
