package runtimes

import (
	"context"
	"fmt"
	"go/version"
	"slices"
	"strconv"
	"strings"
)

// IsGoVersion tells whether v is a Go version with its prefix: "go1.25",
// "go1.25.3", "go1.26rc1".
func IsGoVersion(v string) bool {
	return version.IsValid(v) && !strings.Contains(v, "-")
}

// CompareGo orders two Go versions.
func CompareGo(a, b string) int { return version.Compare(a, b) }

// maxProbes bounds how many patch versions beyond a proxy's list are asked
// for.
const maxProbes = 8

// ResolveGo turns a Go version as apps write it into one that exists: "go1.25"
// is the newest patch of 1.25, "go1.20.0" is what is published as go1.20, any
// other full version is itself.
func (g *GoProxy) ResolveGo(ctx context.Context, want string) (string, error) {
	if !IsGoVersion(want) {
		return "", fmt.Errorf("%q is no Go version", want)
	}
	line := version.Lang(want)
	if want != line {
		return g.exact(ctx, want)
	}
	list, err := g.Versions(ctx)
	if err != nil {
		return "", err
	}
	best := ""
	for _, v := range list {
		if version.Lang(v) == line && !prerelease(v) && (best == "" || version.Compare(best, v) < 0) {
			best = v
		}
	}
	if best == "" {
		return "", g.unavailable(want, list)
	}
	// Newer patches may be served and not listed.
	for range maxProbes {
		next := nextPatch(best)
		if ok, err := g.Has(ctx, next); err != nil || !ok {
			break // not knowing of a newer one is no reason to fail
		}
		best = next
	}
	return best, nil
}

// exact returns want if it can be had, in the spelling it is published under.
func (g *GoProxy) exact(ctx context.Context, want string) (string, error) {
	if line, ok := strings.CutSuffix(want, ".0"); ok && version.Compare(line, "go1.21") < 0 {
		want = line // the first release of a line had no third number then
	}
	ok, err := g.Has(ctx, want)
	if err != nil {
		return "", fmt.Errorf("cannot ask for %s: %w", want, err)
	}
	if ok {
		return want, nil
	}
	list, err := g.Versions(ctx)
	if err != nil {
		return "", err
	}
	return "", g.unavailable(want, list)
}

func (g *GoProxy) unavailable(want string, list []string) error {
	newest := map[string]string{}
	for _, v := range list {
		if line := version.Lang(v); !prerelease(v) && version.Compare(newest[line], v) < 0 {
			newest[line] = v
		}
	}
	var have []string
	for _, v := range newest {
		have = append(have, v)
	}
	slices.SortFunc(have, func(a, b string) int { return version.Compare(b, a) })
	return &UnavailableError{What: "Go", Wanted: want, Asked: g.Sources(), Have: have[:min(6, len(have))]}
}

func prerelease(v string) bool { return strings.Contains(v, "rc") || strings.Contains(v, "beta") }

// nextPatch is the version after v: go1.25.3 -> go1.25.4, go1.20 -> go1.20.1.
func nextPatch(v string) string {
	line := version.Lang(v)
	n, _ := strconv.Atoi(strings.TrimPrefix(strings.TrimPrefix(v, line), "."))
	return line + "." + strconv.Itoa(n+1)
}
