package build

import (
	"context"
	"fmt"
	"strings"

	"paas/api"
	"paas/buildpacks"
)

// maxPacks bounds a list of buildpacks.
const maxPacks = 20

// listed takes the buildpacks that the app was told to use.
func (j *job) listed(ctx context.Context) error {
	if len(j.r.Buildpacks) == 0 {
		return nil
	}
	return j.resolve(ctx, j.r.Buildpacks)
}

// unnamed is for an app without a list: a .buildpacks file, BUILDPACK_URL, or
// those built in, to choose from.
func (j *job) unnamed(ctx context.Context) error {
	if len(j.r.Buildpacks) > 0 {
		return nil
	}
	b, err := readBuilt(j.path("b", "build"), buildpacks.ListFile, maxSmall)
	if err != nil {
		return err
	}
	refs := buildpacks.ParseList(string(b))
	if url := strings.TrimSpace(j.r.Config["BUILDPACK_URL"]); len(refs) == 0 && url != "" {
		refs = []string{url}
	}
	if len(refs) > 0 {
		return j.resolve(ctx, refs)
	}
	j.packs, j.detect = j.Packs.Builtins(), true
	fmt.Fprint(j.out, "-----> Determining which buildpack to use for this app\n")
	return nil
}

// resolve finds the buildpacks of a list, and says which they are, in Heroku's
// words.
func (j *job) resolve(ctx context.Context, refs []string) error {
	if len(refs) > maxPacks {
		return api.Errorf(api.InvalidParams, "The app names %d buildpacks; %d are possible.", len(refs), maxPacks)
	}
	for _, ref := range refs {
		p, err := j.Packs.Resolve(ctx, ref)
		if err != nil {
			return err
		}
		j.packs = append(j.packs, p)
	}
	if len(refs) == 1 {
		fmt.Fprintf(j.out, "-----> Using buildpack: %s\n", j.packs[0].Name)
		return nil
	}
	fmt.Fprint(j.out, "-----> Using buildpacks:\n")
	for i, p := range j.packs {
		fmt.Fprintf(j.out, "       %d. %s\n", i+1, p.Name)
	}
	return nil
}
