package layers

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// Whatever the sizes of the writes and the number of processors: the same
// bytes, and any decoder gets back what went in.
func TestFrames(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{1, frameSize - 1, frameSize, frameSize + 1, 3*frameSize + 17} {
		plain := make([]byte, size)
		for i := range plain {
			plain[i] = byte(rnd.IntN(4))
		}
		var first []byte
		for _, procs := range []int{1, 2, 5} {
			before := runtime.GOMAXPROCS(procs)
			var out bytes.Buffer
			f, err := newFrames(&out)
			runtime.GOMAXPROCS(before)
			if err != nil {
				t.Fatal(err)
			}
			for rest := plain; len(rest) > 0; {
				n := min(len(rest), 1+rnd.IntN(frameSize/2))
				if _, err := f.Write(rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = out.Bytes()
			}
			if !bytes.Equal(first, out.Bytes()) {
				t.Errorf("%d bytes on %d processors differ", size, procs)
			}
		}
		r, err := zstd.NewReader(bytes.NewReader(first))
		if err != nil {
			t.Fatal(err)
		}
		back, err := io.ReadAll(r)
		r.Close()
		if err != nil || !bytes.Equal(back, plain) {
			t.Errorf("%d bytes do not come back: %v", size, err)
		}
	}
}

type broken struct{ err error }

func (b broken) Write([]byte) (int, error) { return 0, b.err }

func TestFramesPassOnErrors(t *testing.T) {
	want := errors.New("disk full")
	f, err := newFrames(broken{want})
	if err != nil {
		t.Fatal(err)
	}
	var got error
	for i := 0; i < 100 && got == nil; i++ {
		_, got = f.Write(make([]byte, frameSize))
	}
	if end := f.Close(); !errors.Is(end, want) || got != nil && !errors.Is(got, want) {
		t.Errorf("Write: %v, Close: %v", got, end)
	}
}
