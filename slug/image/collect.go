package image

import (
	"context"
	"fmt"
	"time"
)

// grace is how long an unnamed blob or tree is spared: a build stores a slug's
// parts before the database names them.
const grace = time.Hour

// Collect implements slug.Store. If a live slug cannot be read nothing is
// collected: its dynos may still run on layers that nothing else names.
func (s *Store) Collect(ctx context.Context, live []string) (int64, error) {
	before := time.Now().Add(-grace)
	blobs, trees := map[string]bool{}, map[string]bool{}
	for _, digest := range live {
		m, info, err := s.read(digest)
		blobs[digest] = true
		if err != nil {
			return 0, fmt.Errorf("cannot collect slugs: %w", err)
		}
		blobs[string(m.Config.Digest)] = true
		for _, l := range info.Layers {
			blobs[l.Digest], trees[l.DiffID] = true, true
		}
	}
	kept, err := s.keep(ctx)
	if err != nil {
		return 0, fmt.Errorf("cannot collect slugs: %w", err)
	}
	for _, l := range kept {
		blobs[l.Digest], trees[l.DiffID] = true, true
	}
	freed, err := s.collectBlobs(ctx, blobs, before)
	if err != nil {
		return freed, err
	}
	return freed, s.collectTrees(ctx, trees, before)
}

func (s *Store) collectBlobs(ctx context.Context, live map[string]bool, before time.Time) (freed int64, err error) {
	all, err := s.blobs.All(ctx)
	if err != nil {
		return 0, err
	}
	for _, b := range all {
		if live[b.Digest] || !b.Time.Before(before) {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return freed, err
		}
		n, err := s.blobs.DeleteOlder(b.Digest, before)
		freed += n
		if err != nil {
			return freed, err
		}
	}
	return freed, nil
}

// collectTrees does not count what it frees: the trees are a cache of the
// blobs, which were counted.
func (s *Store) collectTrees(ctx context.Context, live map[string]bool, before time.Time) error {
	all, err := s.layers.Trees()
	if err != nil {
		return err
	}
	for _, t := range all {
		if live[t.DiffID] || !t.Used.Before(before) {
			continue
		}
		if err := s.layers.DropOlder(ctx, t.DiffID, before); err != nil {
			return err
		}
	}
	return nil
}
