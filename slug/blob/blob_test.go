package blob

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func open(t *testing.T) *FS {
	t.Helper()
	f, err := Open(filepath.Join(t.TempDir(), "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func put(t *testing.T, f *FS, s string) Info {
	t.Helper()
	i, err := f.Put(t.Context(), strings.NewReader(s), 0)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestPutThenRead(t *testing.T) {
	f := open(t)
	i := put(t, f, "hello")
	if want := Digest([]byte("hello")); i.Digest != want || i.Size != 5 {
		t.Fatalf("Put = %+v, want digest %s and size 5", i, want)
	}
	if b, err := f.ReadAll(i.Digest, 5); err != nil || string(b) != "hello" {
		t.Fatalf("ReadAll = %q, %v", b, err)
	}
	if _, err := f.ReadAll(i.Digest, 4); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("ReadAll over the limit: %v", err)
	}
	all, err := f.All(t.Context())
	if err != nil || len(all) != 1 || all[0].Digest != i.Digest {
		t.Fatalf("All = %v, %v", all, err)
	}
	if st, err := f.Stat(i.Digest); err != nil || st.Size != 5 {
		t.Fatalf("Stat = %+v, %v", st, err)
	}
}

func TestPutIsBounded(t *testing.T) {
	f := open(t)
	if _, err := f.Put(t.Context(), strings.NewReader("12345"), 5); err != nil {
		t.Fatalf("at the limit: %v", err)
	}
	if _, err := f.Put(t.Context(), strings.NewReader("123456"), 5); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("over the limit: %v", err)
	}
	assertNoTemp(t, f)
}

func TestInterruptedPutLeavesNothing(t *testing.T) {
	f := open(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the pusher left")
	cancel(why)
	if _, err := f.Put(ctx, strings.NewReader("x"), 0); !errors.Is(err, why) {
		t.Fatalf("Put with an ended context: %v", err)
	}
	broken := io.MultiReader(strings.NewReader("x"), errReader{io.ErrUnexpectedEOF})
	if _, err := f.Put(t.Context(), broken, 0); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("Put of a broken stream: %v", err)
	}
	assertNoTemp(t, f)
	if all, _ := f.All(t.Context()); len(all) != 0 {
		t.Fatalf("blobs after failed puts: %v", all)
	}
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

func assertNoTemp(t *testing.T, f *FS) {
	t.Helper()
	if left, err := os.ReadDir(f.tmp()); err != nil || len(left) != 0 {
		t.Fatalf("temporary files left: %v, %v", left, err)
	}
}

func TestOpenRemovesWhatADeadProcessLeft(t *testing.T) {
	f := open(t)
	stale := filepath.Join(f.dir, "tmp/of-1/put-1")
	if err := os.MkdirAll(stale, 0o700); err != nil {
		t.Fatal(err)
	}
	again, err := Open(f.dir)
	if err != nil {
		t.Fatal(err)
	}
	assertNoTemp(t, again)
	if _, err := os.Stat(stale); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%s is still there: %v", stale, err)
	}
}

func TestDamageIsFoundAndHealed(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"flipped":   func(p string) error { return os.WriteFile(p, []byte("hellO"), 0o600) },
		"truncated": func(p string) error { return os.Truncate(p, 2) },
		"gone":      os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t)
			i := put(t, f, "hello")
			p, _ := f.path(i.Digest)
			if err := damage(p); err != nil {
				t.Fatal(err)
			}
			var corrupt *CorruptError
			if _, err := f.ReadAll(i.Digest, 100); !errors.As(err, &corrupt) || corrupt.Digest != i.Digest {
				t.Fatalf("ReadAll of a damaged blob: %v", err)
			}
			put(t, f, "hello")
			if b, err := f.ReadAll(i.Digest, 100); err != nil || string(b) != "hello" {
				t.Fatalf("after putting it again: %q, %v", b, err)
			}
		})
	}
}

func TestPutAgainSparesFromCollection(t *testing.T) {
	f := open(t)
	i := put(t, f, "hello")
	p, _ := f.path(i.Digest)
	old := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(p, old, old); err != nil {
		t.Fatal(err)
	}
	hourAgo := time.Now().Add(-time.Hour)
	put(t, f, "hello")
	if n, err := f.DeleteOlder(i.Digest, hourAgo); n != 0 || err != nil {
		t.Fatalf("a refreshed blob was deleted: %d, %v", n, err)
	}
	if n, err := f.DeleteOlder(i.Digest, time.Now().Add(time.Hour)); n != 5 || err != nil {
		t.Fatalf("DeleteOlder = %d, %v, want 5 bytes", n, err)
	}
	if _, err := f.Stat(i.Digest); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Stat of a deleted blob: %v", err)
	}
	if n, err := f.DeleteOlder(i.Digest, time.Now()); n != 0 || err != nil {
		t.Fatalf("deleting what is not there: %d, %v", n, err)
	}
}

func TestDigestsAreProvedBeforeTheyArePaths(t *testing.T) {
	f := open(t)
	for _, d := range []string{"", "sha256:", "sha256:../../etc/passwd", "sha512:" + strings.Repeat("a", 64), "sha256:" + strings.Repeat("A", 64), strings.Repeat("a", 64)} {
		if _, err := f.Open(d); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Open(%q) = %v, want a refusal of the name", d, err)
		}
	}
}

func TestConcurrentPutsOfTheSame(t *testing.T) {
	f := open(t)
	content := bytes.Repeat([]byte("paas"), 50_000)
	errs := make(chan error)
	for range 8 {
		go func() {
			_, err := f.Put(context.Background(), bytes.NewReader(content), 0)
			errs <- err
		}()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if b, err := f.ReadAll(Digest(content), int64(len(content))); err != nil || !bytes.Equal(b, content) {
		t.Fatalf("after concurrent puts: %v", err)
	}
	assertNoTemp(t, f)
}
