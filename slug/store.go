package slug

import (
	"context"
	"io"
)

// Store keeps slugs, as OCI images, by digest.
type Store interface {
	// Info reads a slug's manifest and config.
	Info(ctx context.Context, digest string) (Info, error)
	// Export writes an OCI image layout as a tar that skopeo, crane and ctr
	// accept, with the given reference name. The stack's layers are included.
	Export(ctx context.Context, digest, ref string, w io.Writer) error
	// Collect deletes what no digest in live names, sparing anything younger
	// than an hour. It returns the bytes freed.
	Collect(ctx context.Context, live []string) (int64, error)
}

// Info is what a slug's image says of itself.
type Info struct {
	Digest string
	Layers []Layer // lowest first; the last one is the app's
	// Labels of the image config.
	Labels map[string]string
}

// Layer is one layer of an image.
type Layer struct {
	Digest    string // of the blob, "sha256:..."
	DiffID    string // of the uncompressed tar
	Size      int64  // of the blob, bytes
	MediaType string
	// Name says what it is: "run", "build", "php", "app".
	Name string
}
