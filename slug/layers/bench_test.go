package layers

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"paas/slug"
	"paas/slug/blob"
)

// appTree writes 8,000 files of 62 MB that compress like source code.
func appTree(b *testing.B, dir string) {
	b.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	words := make([]string, 4000)
	for i := range words {
		words[i] = fmt.Sprintf("%x ", r.Uint64N(1<<(4+r.Uint64N(40))))
	}
	buf := make([]byte, 0, 64<<10)
	for i := range 8000 {
		buf = buf[:0]
		for size := 1 + int(r.ExpFloat64()*7750); len(buf) < size; {
			buf = append(buf, words[min(int(r.ExpFloat64()*120), len(words)-1)]...)
		}
		p := filepath.Join(dir, "app/node_modules", fmt.Sprintf("p%d/lib/d%d/f%d.js", i/40, i/8%5, i))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(p, buf, 0o644); err != nil {
			b.Fatal(err)
		}
	}
}

func benchStore(b *testing.B) *Store {
	root := b.TempDir()
	blobs, err := blob.Open(filepath.Join(root, "blobs"))
	if err != nil {
		b.Fatal(err)
	}
	s, err := Open(filepath.Join(root, "layers"), blobs)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Close)
	return s
}

func BenchmarkAdopt(b *testing.B) {
	s := benchStore(b)
	tree := filepath.Join(filepath.Dir(s.dir), "tree")
	appTree(b, tree)
	var l slug.Layer
	for i := 0; b.Loop(); i++ {
		var err error
		l, err = s.Adopt(b.Context(), tree, Options{Time: time.Unix(int64(i), 0)})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		dir, err := s.Dir(b.Context(), l)
		if err != nil {
			b.Fatal(err)
		}
		if err := os.Rename(dir, tree); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(l.Size)/1e6, "MB-packed")
}

func BenchmarkUnpack(b *testing.B) {
	s := benchStore(b)
	tree := filepath.Join(filepath.Dir(s.dir), "tree")
	appTree(b, tree)
	l, err := s.Adopt(b.Context(), tree, Options{Time: time.Unix(1, 0)})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		b.StopTimer()
		if err := s.DropOlder(b.Context(), l.DiffID, time.Now().Add(time.Hour)); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if _, err := s.Dir(b.Context(), l); err != nil {
			b.Fatal(err)
		}
	}
}
