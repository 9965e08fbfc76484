package layers

import (
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// frameSize is how many bytes go into one zstd frame. It decides the blob's
// bytes, and so its digest: it must not depend on the machine.
const frameSize = 4 << 20

// frames compresses a stream as a row of independent zstd frames, which is one
// zstd stream to every decoder (RFC 8878, section 3). Frames are compressed on
// all processors at once, where the encoder's own concurrency keeps little more
// than one of them busy: a Node.js runtime is packed in half the time. Memory is
// bounded by a few frames per processor.
type frames struct {
	enc   *zstd.Encoder
	buf   []byte
	queue chan chan []byte // results in order; its capacity bounds the work under way
	free  chan []byte      // buffers to use again
	done  chan struct{}

	mu  sync.Mutex
	err error // of the writer behind
}

func newFrames(w io.Writer) (*frames, error) {
	workers := runtime.GOMAXPROCS(0)
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(workers), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("cannot compress: %w", err)
	}
	f := &frames{enc: enc, queue: make(chan chan []byte, workers), free: make(chan []byte, 2*workers), done: make(chan struct{})}
	go f.write(w)
	return f, nil
}

// write passes finished frames on, in order, until there are no more; after an
// error it only drains.
func (f *frames) write(w io.Writer) {
	defer close(f.done)
	for result := range f.queue {
		frame := <-result
		if f.failed() != nil {
			continue
		}
		if _, err := w.Write(frame); err != nil {
			f.mu.Lock()
			f.err = err
			f.mu.Unlock()
		}
	}
}

func (f *frames) failed() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *frames) Write(p []byte) (int, error) {
	if err := f.failed(); err != nil {
		return 0, err
	}
	n := len(p)
	for len(p) > 0 {
		if f.buf == nil {
			select {
			case f.buf = <-f.free:
			default:
				f.buf = make([]byte, 0, frameSize)
			}
		}
		part := p[:min(len(p), frameSize-len(f.buf))]
		f.buf, p = append(f.buf, part...), p[len(part):]
		if len(f.buf) == frameSize {
			f.frame()
		}
	}
	return n, nil
}

// frame sends what has been collected to be compressed.
func (f *frames) frame() {
	plain := f.buf
	f.buf = nil
	result := make(chan []byte, 1)
	f.queue <- result
	go func() {
		result <- f.enc.EncodeAll(plain, nil)
		select {
		case f.free <- plain[:0]:
		default:
		}
	}()
}

// Close compresses the rest and returns when all has been written. It must be
// called, and once.
func (f *frames) Close() error {
	if len(f.buf) > 0 {
		f.frame()
	}
	close(f.queue)
	<-f.done
	return f.failed()
}
