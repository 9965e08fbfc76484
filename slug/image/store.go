package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	specs "github.com/opencontainers/image-spec/specs-go/v1"

	"paas/slug"
	"paas/slug/blob"
	"paas/slug/layers"
)

// maxDocument bounds manifests and configs; those written here have a few kB.
const maxDocument = 4 << 20

// Store keeps slugs. All methods may be called concurrently.
type Store struct {
	blobs  *blob.FS
	layers *layers.Store
	keep   func(context.Context) ([]slug.Layer, error)
}

var _ slug.Store = (*Store)(nil)

// New makes a store. keep names the layers that Collect must spare although no
// slug has them: those of the stacks.
func New(blobs *blob.FS, l *layers.Store, keep func(context.Context) ([]slug.Layer, error)) *Store {
	return &Store{blobs: blobs, layers: l, keep: keep}
}

// CorruptError says that an image's bytes are not what its digest names, or
// are gone. Other errors are this machine's trouble.
type CorruptError struct {
	Image string
	Err   error
}

func (e *CorruptError) Error() string { return "slug " + e.Image + " is damaged: " + e.Err.Error() }
func (e *CorruptError) Unwrap() error { return e.Err }

// damaged gives err the image's name if it is damage.
func damaged(digest string, err error) error {
	var b *blob.CorruptError
	var l *layers.CorruptError
	if errors.As(err, &b) || errors.As(err, &l) {
		return &CorruptError{Image: digest, Err: err}
	}
	return fmt.Errorf("cannot read slug %s: %w", digest, err)
}

// Info implements slug.Store.
func (s *Store) Info(_ context.Context, digest string) (slug.Info, error) {
	_, info, err := s.read(digest)
	return info, err
}

func (s *Store) read(digest string) (specs.Manifest, slug.Info, error) {
	fail := func(err error) (specs.Manifest, slug.Info, error) { return specs.Manifest{}, slug.Info{}, err }
	var m specs.Manifest
	if err := s.document(digest, &m); err != nil {
		return fail(damaged(digest, err))
	}
	if m.MediaType != specs.MediaTypeImageManifest || m.Config.MediaType != specs.MediaTypeImageConfig {
		return fail(fmt.Errorf("cannot read slug %s: media types %q, %q are not an image's", digest, m.MediaType, m.Config.MediaType))
	}
	var c specs.Image
	if err := s.document(string(m.Config.Digest), &c); err != nil {
		return fail(damaged(digest, err))
	}
	if len(m.Layers) == 0 || len(m.Layers) != len(c.RootFS.DiffIDs) {
		return fail(fmt.Errorf("cannot read slug %s: %d layers but %d diff ids", digest, len(m.Layers), len(c.RootFS.DiffIDs)))
	}
	info := slug.Info{Digest: digest, Labels: c.Config.Labels}
	for i, d := range m.Layers {
		info.Layers = append(info.Layers, slug.Layer{
			Digest: string(d.Digest), DiffID: string(c.RootFS.DiffIDs[i]), Size: d.Size,
			MediaType: d.MediaType, Name: d.Annotations[slug.AnnotationLayer],
		})
	}
	return m, info, nil
}

// document reads a verified JSON blob.
func (s *Store) document(digest string, v any) error {
	b, err := s.blobs.ReadAll(digest, maxDocument)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// Lower returns the unpacked layers of a slug, lowest first, making those that
// are missing. They MUST NOT be changed, and stay while the slug is among the
// live ones that Collect is told. Damage is a *CorruptError.
func (s *Store) Lower(ctx context.Context, digest string) ([]string, error) {
	info, err := s.Info(ctx, digest)
	if err != nil {
		return nil, err
	}
	dirs := make([]string, 0, len(info.Layers))
	for _, l := range info.Layers {
		dir, err := s.layers.Dir(ctx, l)
		if err != nil {
			return nil, damaged(digest, err)
		}
		dirs = append(dirs, dir)
	}
	return slices.Clip(dirs), nil
}
