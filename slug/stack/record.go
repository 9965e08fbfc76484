package stack

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"paas/slug"
)

// The layers that every stack has.
const (
	runLayer   = "run"
	buildLayer = "build"
)

// record is what is kept of a layer.
type record struct {
	// Recipe is the hash of all that decides the layer's content but the
	// versions of the packages.
	Recipe string
	// From names the distribution.
	From  string
	Layer slug.Layer
	// Packages are "name=version" of what the layer brought, sorted.
	Packages []string
}

func (s *Stacks) recordPath(stack, layer string) string {
	return filepath.Join(s.dir, stack+"."+layer+".json")
}

// load returns the record of a layer; fs.ErrNotExist when it was never built.
func (s *Stacks) load(stack, layer string) (record, error) {
	var r record
	b, err := os.ReadFile(s.recordPath(stack, layer))
	if err != nil {
		return r, fmt.Errorf("cannot read layer %s of stack %s: %w", layer, stack, err)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("cannot read layer %s of stack %s: %w", layer, stack, err)
	}
	return r, nil
}

// save records a layer durably.
func (s *Stacks) save(stack, layer string, r record) error {
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return fmt.Errorf("cannot record layer %s of stack %s: %w", layer, stack, err)
	}
	if err := replaceFile(s.recordPath(stack, layer), append(b, '\n')); err != nil {
		return fmt.Errorf("cannot record layer %s of stack %s: %w", layer, stack, err)
	}
	return nil
}

// replaceFile writes temp + fsync + rename + fsync of the directory.
func replaceFile(path string, content []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	if _, err := f.Write(content); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
