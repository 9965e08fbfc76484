package runtimes

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// UnavailableError says that a version cannot be had. It is a sentence for
// the app's owner.
type UnavailableError struct {
	What   string   // "Node.js"
	Wanted string   // the constraint as it was written
	Asked  []string // the sources
	Have   []string // some versions that there are, newest first
}

func (e *UnavailableError) Error() string {
	s := fmt.Sprintf("%s %q is not available from %s.", e.What, e.Wanted, strings.Join(e.Asked, ", "))
	if len(e.Have) > 0 {
		s += "\nAvailable are, among others: " + strings.Join(e.Have, ", ") + "."
	}
	return s
}

// newestOfEach returns the newest stable version of each of the last n major
// versions, newest first.
func newestOfEach(versions []string, n int) []string {
	best := map[uint64]*semver.Version{}
	for _, text := range versions {
		v, err := semver.StrictNewVersion(text)
		if err != nil || v.Prerelease() != "" {
			continue
		}
		if b := best[v.Major()]; b == nil || b.LessThan(v) {
			best[v.Major()] = v
		}
	}
	newest := slices.Collect(maps.Values(best))
	slices.SortFunc(newest, func(a, b *semver.Version) int { return b.Compare(a) })
	var list []string
	for _, v := range newest[:min(n, len(newest))] {
		list = append(list, v.Original())
	}
	return list
}
