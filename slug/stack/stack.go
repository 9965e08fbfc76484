package stack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"paas/api"
	"paas/slug"
	"paas/slug/layers"
)

// layerTime is the modification time of every file of every stack: 2025-10-09.
var layerTime = time.Unix(1760000000, 0).UTC()

// Profiles of a stack.
const (
	// ProfileFull has what Heroku's image has, as far as the distribution does.
	ProfileFull = ""
	// ProfileLite has little more than the platform itself needs: for tests.
	ProfileLite = "lite"
)

// Options are what an operator may choose.
type Options struct {
	Profile string
	// Environ is where apt's http_proxy, https_proxy and no_proxy are looked
	// for; the host's apt configuration comes second.
	Environ []string
}

// Stacks are the stacks of one host. All methods may be called concurrently,
// also from several processes with the same directory.
type Stacks struct {
	dir     string
	layers  *layers.Store
	profile string
	environ []string
	recipes fs.FS
	host    func() (distribution, error)
}

// definition is a stack that can be built.
type definition struct {
	name, title string
	languages   []string
}

// definitions lists all stacks. A Debian stack goes by the name heroku-22
// because buildpacks accept no names but Heroku's, and its C library and the
// versions of its shared libraries are at least those of that one.
func definitions() []definition {
	return []definition{
		{name: slug.DefaultStack, title: "Heroku-22", languages: []string{"php"}},
	}
}

// Open keeps stacks in dir, which must be on the file system of the layer
// store's directory.
func Open(dir string, store *layers.Store, o Options) (*Stacks, error) {
	switch o.Profile {
	case ProfileFull, ProfileLite:
	default:
		return nil, fmt.Errorf("cannot open stacks: unknown profile %q", o.Profile)
	}
	// 0700: trees that are still being made have set-user-id programs.
	if err := os.MkdirAll(filepath.Join(dir, "tmp"), 0o700); err != nil {
		return nil, fmt.Errorf("cannot open stacks: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot open stacks: %w", err)
	}
	return &Stacks{dir: dir, layers: store, profile: o.Profile, environ: o.Environ, recipes: embedded, host: hostDistribution}, nil
}

// Names lists the stacks there can be, the default first.
func (s *Stacks) Names() []string {
	var names []string
	for _, d := range definitions() {
		names = append(names, d.name)
	}
	return names
}

// Get returns a stack that has been built. An unknown name, and one that was
// not built yet, are *api.Error.
func (s *Stacks) Get(_ context.Context, name string) (slug.Stack, error) {
	d, err := find(name)
	if err != nil {
		return slug.Stack{}, err
	}
	run, err := s.load(d.name, runLayer)
	if err != nil {
		return slug.Stack{}, unbuilt(name, err)
	}
	build, err := s.load(d.name, buildLayer)
	if err != nil {
		return slug.Stack{}, unbuilt(name, err)
	}
	return slug.Stack{
		Name:  d.name,
		Title: d.title,
		Run:   []slug.Layer{run.Layer},
		Build: []slug.Layer{build.Layer},
	}, nil
}

// Layers returns every layer that a stack consists of now: what garbage
// collection must spare although no slug may name it.
func (s *Stacks) Layers() ([]slug.Layer, error) {
	var all []slug.Layer
	for _, d := range definitions() {
		for _, name := range append([]string{runLayer, buildLayer}, d.languages...) {
			r, err := s.load(d.name, name)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			all = append(all, r.Layer)
		}
	}
	return all, nil
}

func find(name string) (definition, error) {
	for _, d := range definitions() {
		if d.name == name {
			return d, nil
		}
	}
	return definition{}, api.Missing("stack")
}

func unbuilt(name string, cause error) error {
	if !errors.Is(cause, fs.ErrNotExist) {
		return cause
	}
	return api.Wrap(api.Unavailable, cause, fmt.Sprintf("Stack %s is not built on this host yet. Run: paasd stack:build", name))
}
