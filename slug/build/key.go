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
const keyVersion = 1

// reuse looks for a slug that was made of the very same input.
func (j *job) reuse(context.Context) error {
	key, err := j.buildKey()
	if err != nil {
		return err
	}
	j.key = key
	s, ok := j.r.Reuse(key)
	if !ok {
		j.tellBuildpacks()
		return nil
	}
	if _, err := j.Images.Info(context.Background(), s.Digest); err != nil {
		j.tellBuildpacks() // its bytes are damaged: build it again
		return nil
	}
	fmt.Fprintf(j.r.Output, "-----> Nothing has changed since slug %s was built: using it again\n", s.ID)
	j.result, j.done = slug.BuildResult{Slug: s, Reused: true}, true
	return nil
}

func (j *job) buildKey() (string, error) {
	type pack struct{ Name, Version string }
	input := struct {
		Version int
		Tree    string
		Stack   []string
		Detect  bool
		Packs   []pack
		Config  map[string]string
		Env     map[string]string
	}{Version: keyVersion, Tree: j.r.Source.Revision().Tree, Detect: j.detect, Config: j.r.Config, Env: j.Env}
	for _, l := range append(j.stack.Run[:len(j.stack.Run):len(j.stack.Run)], j.stack.Build...) {
		input.Stack = append(input.Stack, l.DiffID)
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
