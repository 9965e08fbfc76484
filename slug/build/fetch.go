package build

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	ignore "github.com/sabhiram/go-gitignore"

	"paas/buildpacks"
)

// maxSmall bounds the small text files that the host reads of a source.
const maxSmall = 1 << 20

// fetch exports the source and drops what .slugignore names, before any
// buildpack sees it (Heroku: "Slug Compiler").
func (j *job) fetch(ctx context.Context) error {
	dir := j.path("b", "build")
	if err := j.r.Source.Export(ctx, dir); err != nil {
		return err
	}
	b, err := readBuilt(dir, ".slugignore", maxSmall)
	if err != nil || b == nil {
		return err
	}
	removed, err := slugIgnore(dir, string(b))
	if err == nil && removed > 0 {
		fmt.Fprintf(j.r.Output, "-----> Deleting %d files matching .slugignore patterns.\n", removed)
	}
	return err
}

// slugIgnore removes what the patterns match and counts it. Negations are
// ignored, as at Heroku.
func slugIgnore(dir, patterns string) (removed int, err error) {
	var lines []string
	for line := range strings.Lines(patterns) {
		if line = strings.TrimRight(line, " \t\r\n"); line != "" && !strings.HasPrefix(line, "!") && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return 0, nil
	}
	matcher := ignore.CompileIgnoreLines(lines...)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if !matcher.MatchesPath(rel + "/") {
				return nil
			}
			removed++
			if err := os.RemoveAll(path); err != nil {
				return err
			}
			return fs.SkipDir
		}
		if matcher.MatchesPath(rel) {
			removed++
			return os.Remove(path)
		}
		return nil
	})
	if err != nil {
		return removed, fmt.Errorf("cannot apply .slugignore: %w", err)
	}
	return removed, nil
}

// resolve decides which buildpacks to run: the app's list, a .buildpacks file,
// BUILDPACK_URL, or those built in, to choose from.
func (j *job) resolve(ctx context.Context) error {
	refs := j.r.Buildpacks
	if len(refs) == 0 {
		b, err := readBuilt(j.path("b", "build"), buildpacks.ListFile, maxSmall)
		if err != nil {
			return err
		}
		refs = buildpacks.ParseList(string(b))
	}
	if url := strings.TrimSpace(j.r.Config["BUILDPACK_URL"]); len(refs) == 0 && url != "" {
		refs = []string{url}
	}
	if len(refs) == 0 {
		j.packs, j.detect = j.Packs.Builtins(), true
		return nil
	}
	for _, ref := range refs {
		p, err := j.Packs.Resolve(ctx, ref)
		if err != nil {
			return err
		}
		j.packs = append(j.packs, p)
	}
	return nil
}

// tellBuildpacks says which buildpacks will run, in Heroku's words.
func (j *job) tellBuildpacks() {
	switch {
	case j.detect:
		fmt.Fprint(j.r.Output, "-----> Determining which buildpack to use for this app\n")
	case len(j.packs) == 1:
		fmt.Fprintf(j.r.Output, "-----> Using buildpack: %s\n", j.packs[0].Name)
	default:
		fmt.Fprint(j.r.Output, "-----> Using buildpacks:\n")
		for i, p := range j.packs {
			fmt.Fprintf(j.r.Output, "       %d. %s\n", i+1, p.Name)
		}
	}
}
