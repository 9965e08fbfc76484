package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"paas/slug"
	"paas/slug/layers"
)

// Build makes the layers of a stack that are missing or whose recipe has
// changed, and tells progress about each.
func (s *Stacks) Build(ctx context.Context, name string, progress io.Writer) error {
	return s.ensure(ctx, name, progress, false)
}

// Update makes all layers of a stack again from the packages of today, those
// of languages included that were made before.
func (s *Stacks) Update(ctx context.Context, name string, progress io.Writer) error {
	return s.ensure(ctx, name, progress, true)
}

func (s *Stacks) ensure(ctx context.Context, name string, progress io.Writer, again bool) error {
	d, err := find(name)
	if err != nil {
		return err
	}
	tell := narrator{w: progress}
	unlock, err := s.lock(ctx, name, func() { tell.waiting(name) })
	if err != nil {
		return err
	}
	defer unlock()
	run, err := s.layer(ctx, d, runLayer, nil, tell, again)
	if err != nil {
		return err
	}
	if _, err := s.layer(ctx, d, buildLayer, &run, tell, again); err != nil {
		return err
	}
	if !again {
		return nil
	}
	for _, language := range d.languages {
		if _, err := s.load(name, language); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if _, err := s.layer(ctx, d, language, &run, tell, again); err != nil {
			return err
		}
	}
	return nil
}

// Language returns a language layer of a stack, made when it is first needed.
// Progress is told in the words of a build's output. Callers that come
// meanwhile wait for the one that is making it; when that one gives up, the
// next does it.
func (s *Stacks) Language(ctx context.Context, stackName, layerName string, progress io.Writer) (slug.Layer, error) {
	d, err := find(stackName)
	if err != nil {
		return slug.Layer{}, err
	}
	if !slices.Contains(d.languages, layerName) {
		return slug.Layer{}, fmt.Errorf("cannot get layer %q: stack %s has no such layer", layerName, stackName)
	}
	current, err := s.Get(ctx, stackName)
	if err != nil {
		return slug.Layer{}, err
	}
	if r, err := s.current(ctx, d, layerName, &current.Run[0]); err == nil {
		return r.Layer, nil
	}
	tell := narrator{w: progress, push: true}
	unlock, err := s.lock(ctx, stackName, func() { tell.waiting(d.title) })
	if err != nil {
		return slug.Layer{}, err
	}
	defer unlock()
	if current, err = s.Get(ctx, stackName); err != nil { // it may have been built anew
		return slug.Layer{}, err
	}
	return s.layer(ctx, d, layerName, &current.Run[0], tell, false)
}

// errStale is the error of current for a layer that must be made.
var errStale = errors.New("layer is not there or of another recipe")

// current returns the record of a layer if it is of today's recipe and its
// files are there.
func (s *Stacks) current(ctx context.Context, d definition, name string, below *slug.Layer) (record, error) {
	r, err := s.load(d.name, name)
	if err != nil {
		return r, errStale
	}
	host, err := s.host()
	if err != nil {
		return r, err
	}
	rec, err := s.recipeFor(host, name, diffID(below))
	if err != nil {
		return r, err
	}
	if rec.hash != r.Recipe {
		return r, errStale
	}
	if _, err := s.layers.Dir(ctx, r.Layer); err != nil {
		return r, errStale
	}
	return r, nil
}

func diffID(l *slug.Layer) string {
	if l == nil {
		return ""
	}
	return l.DiffID
}

// layer returns a layer, made when needed. The caller holds the lock.
func (s *Stacks) layer(ctx context.Context, d definition, name string, below *slug.Layer, tell narrator, again bool) (slug.Layer, error) {
	if r, err := s.current(ctx, d, name, below); err == nil && !again {
		tell.unchanged(name)
		return r.Layer, nil
	}
	start := time.Now()
	r, err := s.make(ctx, d, name, below, tell)
	if err != nil {
		return slug.Layer{}, fmt.Errorf("cannot build layer %s of stack %s: %w", name, d.name, err)
	}
	if err := s.save(d.name, name, r); err != nil {
		return slug.Layer{}, err
	}
	tell.done(name, r, time.Since(start))
	return r.Layer, nil
}

// make builds a layer in a directory of its own and hands it to the store.
func (s *Stacks) make(ctx context.Context, d definition, name string, below *slug.Layer, tell narrator) (record, error) {
	host, err := s.host()
	if err != nil {
		return record{}, err
	}
	rec, err := s.recipeFor(host, name, diffID(below))
	if err != nil {
		return record{}, err
	}
	sources, err := host.sources(ctx)
	if err != nil {
		return record{}, err
	}
	known, err := knownPackages(ctx, rec.packages)
	if err != nil {
		return record{}, err
	}
	packages, err := resolve(rec.packages, known)
	if err != nil {
		return record{}, err
	}
	work, err := s.workDir(d.name)
	if err != nil {
		return record{}, err
	}
	defer os.RemoveAll(work)
	if err := writeApt(filepath.Join(work, "apt"), sources); err != nil {
		return record{}, fmt.Errorf("cannot prepare apt: %w", err)
	}
	tell.begins(name, len(packages), host)

	env := aptEnviron(ctx, s.environ)
	var tree string
	before := map[string]bool{}
	if below == nil {
		tree, err = s.makeBase(ctx, env, work, host, packages)
	} else {
		var lower string
		if lower, err = s.layers.Dir(ctx, *below); err != nil {
			return record{}, err
		}
		for _, p := range installed(lower) {
			before[p] = true
		}
		tree, err = s.makeOver(ctx, env, work, lower, rec.finish, packages)
	}
	if err != nil {
		return record{}, err
	}
	if err := tidy(tree, below == nil); err != nil {
		return record{}, err
	}
	brought := slices.DeleteFunc(installed(tree), func(p string) bool { return before[p] })
	layer, err := s.layers.Adopt(ctx, tree, layers.Options{Name: name, Time: layerTime})
	if err != nil {
		return record{}, err
	}
	return record{Recipe: rec.hash, From: host.Title, Layer: layer, Packages: brought}, nil
}

// workDir makes a directory to build in. What an interrupted build of the same
// stack left is removed: the caller holds the lock.
func (s *Stacks) workDir(stack string) (string, error) {
	left, err := filepath.Glob(filepath.Join(s.dir, "tmp", stack+"-*"))
	if err != nil {
		return "", err
	}
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			return "", fmt.Errorf("cannot remove what a build left: %w", err)
		}
	}
	return os.MkdirTemp(filepath.Join(s.dir, "tmp"), stack+"-")
}

// makeBase makes a whole root file system.
func (s *Stacks) makeBase(ctx context.Context, env []string, work string, d distribution, packages []string) (string, error) {
	tree := filepath.Join(work, "tree")
	script, err := s.readRecipe("run.sh")
	if err != nil {
		return "", err
	}
	customize, err := s.readRecipe("customize.sh")
	if err != nil {
		return "", err
	}
	hook := filepath.Join(work, "customize")
	if err := os.WriteFile(hook, []byte(customize), 0o700); err != nil {
		return "", err
	}
	return tree, isolated(ctx, env, script,
		"--quiet", "--mode=root", "--format=directory", "--variant=minbase",
		"--keyring="+filepath.Join(work, "apt", "trusted"),
		`--aptopt=APT::Install-Recommends "false"`,
		`--aptopt=Acquire::Retries "3"`,
		"--dpkgopt=path-exclude=/usr/share/man/*",
		"--dpkgopt=path-exclude=/usr/share/doc/*",
		"--dpkgopt=path-include=/usr/share/doc/*/copyright",
		"--dpkgopt=path-exclude=/usr/share/locale/*",
		"--dpkgopt=path-include=/usr/share/locale/locale.alias",
		"--include="+strings.Join(packages, ","),
		"--customize-hook="+hook,
		d.Codename, tree, filepath.Join(work, "apt", "sources.host"))
}

// makeOver installs packages over a tree and returns what that changed.
func (s *Stacks) makeOver(ctx context.Context, env []string, work, lower, finish string, packages []string) (string, error) {
	script, err := s.readRecipe("layer.sh")
	if err != nil {
		return "", err
	}
	for _, dir := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(work, dir), 0o755); err != nil {
			return "", err
		}
	}
	// A link, so that no character of the path can pass for a mount option.
	if err := os.Symlink(lower, filepath.Join(work, "lower")); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(work, "apt", "finish"), []byte(finish), 0o644); err != nil {
		return "", err
	}
	return filepath.Join(work, "upper"), isolated(ctx, env, script, append([]string{work}, packages...)...)
}

// installed lists "name=version" of what dpkg's database in a tree has, sorted.
func installed(tree string) []string {
	b, err := os.ReadFile(filepath.Join(tree, "var/lib/dpkg/status"))
	if err != nil {
		return nil // nothing was installed over the layer below
	}
	var all []string
	var name string
	for line := range strings.SplitSeq(string(b), "\n") {
		if v, ok := strings.CutPrefix(line, "Package: "); ok {
			name = v
		}
		if v, ok := strings.CutPrefix(line, "Version: "); ok {
			all = append(all, name+"="+v)
		}
	}
	slices.Sort(all)
	return all
}
