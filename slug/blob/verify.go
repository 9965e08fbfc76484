package blob

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
)

// CorruptError says that a blob's bytes are not what its name says, or that it
// is gone although something names it.
type CorruptError struct {
	Digest string
	Err    error
}

func (e *CorruptError) Error() string { return fmt.Sprintf("blob %s is damaged: %v", e.Digest, e.Err) }
func (e *CorruptError) Unwrap() error { return e.Err }

// Verified reads a blob and hashes what passes.
type Verified struct {
	digest string
	file   io.ReadCloser
	hash   hash.Hash
	err    error // what Read found at the end
}

// OpenVerified opens a blob for readers that act on its content. The last Read
// returns a *CorruptError instead of io.EOF if the bytes are wrong, so nothing
// read before may be used for good until then. A missing blob is a
// *CorruptError too: it is opened because something names it.
func (f *FS) OpenVerified(digest string) (*Verified, error) {
	file, err := f.Open(digest)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &CorruptError{Digest: digest, Err: err}
	case err != nil:
		return nil, err
	}
	return &Verified{digest: digest, file: file, hash: sha256.New()}, nil
}

// Read implements io.Reader.
func (v *Verified) Read(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	n, err := v.file.Read(p)
	v.hash.Write(p[:n])
	if err == io.EOF {
		if got := algorithm + hex.EncodeToString(v.hash.Sum(nil)); got != v.digest {
			err = &CorruptError{Digest: v.digest, Err: errors.New("its bytes have digest " + got)}
		}
	}
	v.err = err
	return n, err
}

// Verify reads what is left and returns nil if the whole blob is right.
func (v *Verified) Verify() error {
	if _, err := io.Copy(io.Discard, v); err != nil {
		return err
	}
	return nil
}

// Close implements io.Closer.
func (v *Verified) Close() error { return v.file.Close() }

// ReadAll returns a verified blob of at most limit bytes.
func (f *FS) ReadAll(digest string, limit int64) ([]byte, error) {
	v, err := f.OpenVerified(digest)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	b, err := io.ReadAll(io.LimitReader(v, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("cannot read blob %s: %w (%d bytes)", digest, ErrTooLarge, limit)
	}
	// LimitReader may have stopped before the end was seen.
	return b, v.Verify()
}
