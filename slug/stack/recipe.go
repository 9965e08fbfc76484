package stack

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"strings"
)

// recipeVersion changes when this code makes another tree of the same lists.
const recipeVersion = "1"

// embedded holds the package lists and scripts. It is written by the compiler
// alone.
//
//go:embed recipes
var embedded embed.FS

// recipe is what a layer is made of.
type recipe struct {
	layer    string
	packages []choice
	finish   string // a script to run inside the tree at the end; may be ""
	hash     string
}

// choice is one line of a package list: the first name that the distribution
// has is installed.
type choice struct {
	names    []string
	optional bool
}

// recipeFor reads the recipe of a layer. below is the layer under it, "" for
// the run layer.
func (s *Stacks) recipeFor(d distribution, layer, below string) (recipe, error) {
	base := layer
	if s.profile != ProfileFull && (layer == runLayer || layer == buildLayer) {
		base = s.profile + "-" + layer
	}
	list, err := s.readRecipe(base + ".txt")
	if err != nil {
		return recipe{}, err
	}
	packages, err := parseList(list)
	if err != nil {
		return recipe{}, fmt.Errorf("cannot read package list %q: %w", base, err)
	}
	script := "layer.sh"
	if layer == runLayer {
		script = "customize.sh"
	}
	made, err := s.readRecipe(script)
	if err != nil {
		return recipe{}, err
	}
	finish, err := s.readRecipe("finish-" + layer + ".sh")
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // most have none
		return recipe{}, err
	}
	h := sha256.New()
	for _, part := range []string{recipeVersion, runtime.GOARCH, d.ID, d.Codename, below, list, made, finish} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return recipe{layer: layer, packages: packages, finish: finish, hash: hex.EncodeToString(h.Sum(nil))}, nil
}

func (s *Stacks) readRecipe(name string) (string, error) {
	b, err := fs.ReadFile(s.recipes, path.Join("recipes", name))
	if err != nil {
		return "", fmt.Errorf("cannot read recipe: %w", err)
	}
	return string(b), nil
}

// parseList reads a package list: one choice a line, "#" comments.
func parseList(list string) ([]choice, error) {
	var all []choice
	for n, line := range strings.Split(list, "\n") {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		var c choice
		for name := range strings.SplitSeq(line, "|") {
			name = strings.TrimSpace(name)
			switch {
			case c.optional:
				return nil, fmt.Errorf("line %d: %q after -", n+1, name)
			case name == "-":
				c.optional = true
			case !validPackage(name):
				return nil, fmt.Errorf("line %d: %q is no package name", n+1, name)
			default:
				c.names = append(c.names, name)
			}
		}
		all = append(all, c)
	}
	return all, nil
}

// validPackage says whether name is one by Debian policy 5.6.1. So it is
// neither an option of apt-get nor a list separator of mmdebstrap.
func validPackage(name string) bool {
	if len(name) < 2 {
		return false
	}
	for i, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
		case i > 0 && (r == '+' || r == '-' || r == '.'):
		default:
			return false
		}
	}
	return true
}

// resolve picks one name of each choice.
func resolve(choices []choice, known map[string]bool) ([]string, error) {
	var names []string
next:
	for _, c := range choices {
		for _, name := range c.names {
			if known[name] {
				names = append(names, name)
				continue next
			}
		}
		if !c.optional {
			return nil, fmt.Errorf("the distribution has no package %s", strings.Join(c.names, " or "))
		}
	}
	return names, nil
}
