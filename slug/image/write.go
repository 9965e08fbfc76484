package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"time"

	"github.com/opencontainers/go-digest"
	specspart "github.com/opencontainers/image-spec/specs-go"
	specs "github.com/opencontainers/image-spec/specs-go/v1"

	"paas/api"
	"paas/slug"
)

// Contents is what a slug is made of.
type Contents struct {
	Layers            []slug.Layer // lowest first, the app's last; their blobs are stored
	Processes         []api.ProcessType
	Stack             string
	Buildpacks        []string
	Description       string // what bin/detect said
	Commit            string // "" for a tarball
	CommitDescription string
	Time              time.Time // of the commit
}

// Write stores a slug's config and manifest, durably, and returns the digest
// that names it from now on.
func (s *Store) Write(ctx context.Context, c Contents) (string, error) {
	buildpacks, err := json.Marshal(c.Buildpacks)
	if err != nil {
		return "", fmt.Errorf("cannot write slug: %w", err)
	}
	created := time.Unix(c.Time.Unix(), 0).UTC()
	labels := map[string]string{
		slug.LabelProcesses:     slug.EncodeProcesses(c.Processes),
		slug.LabelStack:         c.Stack,
		slug.LabelBuildpacks:    string(buildpacks),
		slug.LabelDescription:   c.Description,
		specs.AnnotationCreated: created.Format(time.RFC3339),
	}
	if c.Commit != "" {
		labels[slug.LabelCommit] = c.Commit
		labels[slug.LabelCommitDescription] = c.CommitDescription
	}
	config := specs.Image{
		Created:  &created,
		Platform: specs.Platform{Architecture: runtime.GOARCH, OS: "linux"},
		Config: specs.ImageConfig{
			User: "1000:1000", WorkingDir: "/app", Labels: labels,
			Env: []string{"HOME=/app", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		},
		RootFS: specs.RootFS{Type: "layers"},
	}
	manifest := specs.Manifest{Versioned: specspart.Versioned{SchemaVersion: 2}, MediaType: specs.MediaTypeImageManifest}
	for _, l := range c.Layers {
		if st, err := s.blobs.Stat(l.Digest); errors.Is(err, fs.ErrNotExist) || err == nil && st.Size != l.Size {
			return "", fmt.Errorf("cannot write slug: layer %q (%s) is not stored", l.Name, l.Digest)
		} else if err != nil {
			return "", fmt.Errorf("cannot write slug: %w", err)
		}
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, digest.Digest(l.DiffID))
		config.History = append(config.History, specs.History{Created: &created, CreatedBy: "paas " + l.Name})
		manifest.Layers = append(manifest.Layers, specs.Descriptor{
			MediaType: l.MediaType, Digest: digest.Digest(l.Digest), Size: l.Size,
			Annotations: map[string]string{slug.AnnotationLayer: l.Name},
		})
	}
	manifest.Config, err = s.put(ctx, specs.MediaTypeImageConfig, config)
	if err != nil {
		return "", err
	}
	d, err := s.put(ctx, specs.MediaTypeImageManifest, manifest)
	return string(d.Digest), err
}

func (s *Store) put(ctx context.Context, mediaType string, v any) (specs.Descriptor, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return specs.Descriptor{}, fmt.Errorf("cannot write slug: %w", err)
	}
	if len(b) > maxDocument {
		return specs.Descriptor{}, fmt.Errorf("cannot write slug: its %s has %d bytes, more than %d", mediaType, len(b), maxDocument)
	}
	i, err := s.blobs.Put(ctx, bytes.NewReader(b), 0)
	if err != nil {
		return specs.Descriptor{}, err
	}
	return specs.Descriptor{MediaType: mediaType, Digest: digest.Digest(i.Digest), Size: i.Size}, nil
}
