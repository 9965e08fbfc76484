package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"paas/slug"
)

// keyVersion changes when builds of this package come to differ for the same
// input.
const keyVersion = 2

// reuse looks for a slug that was made of the very same input. One that is
// damaged is built again, which repairs it.
func (j *job) reuse(ctx context.Context) error {
	if len(j.packs) == 0 || j.key != "" {
		return nil // too early, or asked before
	}
	key, err := j.buildKey()
	if err != nil || key == "" {
		return err
	}
	j.key = key
	s, ok := j.r.Reuse(key)
	if !ok {
		return nil
	}
	if _, err := j.Images.Lower(ctx, s.Digest); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		j.Log.Error("cannot use a slug again, building it anew", "app", j.r.AppName, "err", err)
		return nil
	}
	fmt.Fprintf(j.out, "-----> Nothing has changed since slug %s was built: using it again\n", s.ID)
	j.result, j.done = slug.BuildResult{Slug: s, Reused: true}, true
	return nil
}

// buildKey is "" for a source that does not say which tree it is.
func (j *job) buildKey() (string, error) {
	type pack struct{ Name, Version string }
	input := struct {
		Version    int
		Tree       string
		StackName  string
		Run, Build []string
		Detect     bool
		Packs      []pack
		Config     map[string]string
		Env        map[string]string
	}{Version: keyVersion, Tree: j.r.Source.Revision().Tree, StackName: j.stack.Name, Detect: j.detect, Config: j.r.Config, Env: j.environment()}
	if input.Tree == "" {
		return "", nil
	}
	for _, l := range j.stack.Run {
		input.Run = append(input.Run, l.DiffID)
	}
	for _, l := range j.stack.Build {
		input.Build = append(input.Build, l.DiffID)
	}
	for _, p := range j.packs {
		input.Packs = append(input.Packs, pack{p.Name, p.Version})
	}
	b, err := json.Marshal(input) // maps are written in the order of their keys
	if err != nil {
		return "", fmt.Errorf("cannot make the build's key: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}
