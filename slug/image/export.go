package image

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	ocidigest "github.com/opencontainers/go-digest"
	specspart "github.com/opencontainers/image-spec/specs-go"
	specs "github.com/opencontainers/image-spec/specs-go/v1"
)

// Export implements slug.Store. What it writes is verified on the way: after
// an error w has got a torn archive.
func (s *Store) Export(ctx context.Context, digest, ref string, w io.Writer) error {
	m, info, err := s.read(digest)
	if err != nil {
		return err
	}
	st, err := s.blobs.Stat(digest)
	if err != nil {
		return damaged(digest, err)
	}
	root := specs.Descriptor{MediaType: m.MediaType, Digest: ocidigest.Digest(digest), Size: st.Size}
	if ref != "" {
		// The second name is the one that ctr looks for.
		root.Annotations = map[string]string{specs.AnnotationRefName: ref, "io.containerd.image.name": ref}
	}
	created, err := time.Parse(time.RFC3339, info.Labels[specs.AnnotationCreated])
	if err != nil {
		created = time.Unix(0, 0)
	}
	e := exporter{ctx: ctx, tar: tar.NewWriter(w), time: created.UTC()}
	index := specs.Index{Versioned: specspart.Versioned{SchemaVersion: 2}, MediaType: specs.MediaTypeImageIndex, Manifests: []specs.Descriptor{root}}
	err = errors.Join(
		e.json(specs.ImageLayoutFile, specs.ImageLayout{Version: specs.ImageLayoutVersion}),
		e.json(specs.ImageIndexFile, index),
		e.dir("blobs"), e.dir("blobs/sha256"),
	)
	if err != nil {
		return fmt.Errorf("cannot export slug: %w", err)
	}
	seen := map[string]bool{} // a tar names each blob once, an image may twice
	for _, d := range append([]specs.Descriptor{root, m.Config}, m.Layers...) {
		if seen[string(d.Digest)] {
			continue
		}
		seen[string(d.Digest)] = true
		if err := s.exportBlob(e, string(d.Digest), d.Size); err != nil {
			return damaged(digest, err)
		}
	}
	if err := e.tar.Close(); err != nil {
		return fmt.Errorf("cannot export slug: %w", err)
	}
	return nil
}

func (s *Store) exportBlob(e exporter, digest string, size int64) error {
	r, err := s.blobs.OpenVerified(digest)
	if err != nil {
		return err
	}
	defer r.Close()
	return e.file(path.Join("blobs/sha256", strings.TrimPrefix(digest, "sha256:")), size, r)
}

type exporter struct {
	ctx  context.Context
	tar  *tar.Writer
	time time.Time
}

func (e exporter) dir(name string) error {
	return e.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755, ModTime: e.time})
}

func (e exporter) file(name string, size int64, r io.Reader) error {
	if err := e.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: e.time}); err != nil {
		return err
	}
	buf := make([]byte, 256<<10)
	for {
		if e.ctx.Err() != nil {
			return context.Cause(e.ctx)
		}
		n, err := r.Read(buf)
		if n > 0 {
			if _, werr := e.tar.Write(buf[:n]); werr != nil {
				return werr
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

func (e exporter) json(name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return e.file(name, int64(len(b)), strings.NewReader(string(b)))
}
