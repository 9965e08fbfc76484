package layers

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// archive writes headers, with content "evil" for files.
func archive(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if h.Typeflag == tar.TypeReg {
			h.Size = 4
		}
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := w.Write([]byte("evil")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// escapes are archives that try to reach outside of where they are unpacked.
func escapes(t testing.TB) map[string][]byte {
	return map[string][]byte{
		"absolute":       archive(t, tar.Header{Typeflag: tar.TypeReg, Name: "/victim/f"}),
		"dots":           archive(t, tar.Header{Typeflag: tar.TypeReg, Name: "../victim/f"}),
		"inner dots":     archive(t, tar.Header{Typeflag: tar.TypeDir, Name: "a"}, tar.Header{Typeflag: tar.TypeReg, Name: "a/../../victim/f"}),
		"through link":   archive(t, tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "../victim"}, tar.Header{Typeflag: tar.TypeReg, Name: "l/f"}),
		"dir over link":  archive(t, tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "../victim"}, tar.Header{Typeflag: tar.TypeDir, Name: "l"}, tar.Header{Typeflag: tar.TypeReg, Name: "l/f"}),
		"write via link": archive(t, tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "../victim/secret"}, tar.Header{Typeflag: tar.TypeReg, Name: "l"}),
		"hard link":      archive(t, tar.Header{Typeflag: tar.TypeLink, Name: "h", Linkname: "../victim/secret"}),
		"link via link":  archive(t, tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "../victim"}, tar.Header{Typeflag: tar.TypeLink, Name: "h", Linkname: "l/secret"}),
		"opaque outside": archive(t, tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "../victim"}, tar.Header{Typeflag: tar.TypeReg, Name: "l/.wh..wh..opq"}),
		"whiteout dots":  archive(t, tar.Header{Typeflag: tar.TypeReg, Name: ".wh..."}),
		"root is a link": archive(t, tar.Header{Typeflag: tar.TypeSymlink, Name: ".", Linkname: "../victim"}),
	}
}

// guard makes a directory with a victim beside the place to unpack to, and
// returns that place and a check that the victim is as before.
func guard(t testing.TB) (dir string, check func()) {
	root := t.TempDir()
	victim := filepath.Join(root, "victim")
	if err := os.Mkdir(victim, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(victim, "secret"), []byte("s"), 0o600); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "to"), func() {
		t.Helper()
		entries, err := os.ReadDir(root)
		if err != nil || len(entries) > 2 {
			t.Fatalf("something was made outside: %v, %v", entries, err)
		}
		entries, err = os.ReadDir(victim)
		if err != nil || len(entries) != 1 {
			t.Fatalf("something was made in the victim: %v, %v", entries, err)
		}
		st, err := os.Lstat(filepath.Join(victim, "secret"))
		if err != nil || st.Size() != 1 || st.Mode() != 0o600 {
			t.Fatalf("the victim was changed: %v, %v", st, err)
		}
		var links int
		_ = filepath.WalkDir(filepath.Join(root, "to"), func(p string, d os.DirEntry, err error) error {
			if err == nil {
				if other, err := os.Lstat(p); err == nil && os.SameFile(st, other) {
					links++
				}
			}
			return nil
		})
		if links > 0 {
			t.Fatal("the victim was linked into the tree")
		}
	}
}

func TestNothingEscapes(t *testing.T) {
	for name, b := range escapes(t) {
		t.Run(name, func(t *testing.T) {
			dir, check := guard(t)
			if err := unpackTar(t.Context(), bytes.NewReader(b), dir); err == nil {
				t.Error("no error")
			}
			check()
		})
	}
}

func TestMissingParentsAreMade(t *testing.T) {
	dir, check := guard(t)
	b := archive(t, tar.Header{Typeflag: tar.TypeReg, Name: "./a/b/c/f"}, tar.Header{Typeflag: tar.TypeReg, Name: "g"}, tar.Header{Typeflag: tar.TypeDir, Name: "a/b", Mode: 0o700})
	if err := unpackTar(t.Context(), bytes.NewReader(b), dir); err != nil {
		t.Fatal(err)
	}
	check()
	if b, err := os.ReadFile(filepath.Join(dir, "a/b/c/f")); err != nil || string(b) != "evil" {
		t.Fatalf("%q, %v", b, err)
	}
	if st, err := os.Stat(filepath.Join(dir, "a/b")); err != nil || st.Mode().Perm() != 0o700 {
		t.Fatalf("%v, %v", st, err)
	}
}

func FuzzUnpack(f *testing.F) {
	for _, b := range escapes(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		// Device nodes of the host and gigabytes of zeroes are no escapes, but
		// nothing to make in a test.
		for r := tar.NewReader(bytes.NewReader(b)); ; {
			h, err := r.Next()
			if err != nil {
				break
			}
			if h.Typeflag == tar.TypeChar || h.Typeflag == tar.TypeBlock || h.Size > 1<<20 {
				return
			}
		}
		dir, check := guard(t)
		_ = unpackTar(t.Context(), bytes.NewReader(b), dir)
		check()
	})
}
