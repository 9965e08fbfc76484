package supervisor

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"paas/dyno"
)

// app is what the supervisor knows of one app; guarded by Supervisor.mu.
type app struct {
	id       string
	manifest *dyno.Manifest // nil = not known yet; its dynos are left alone
	removed  bool           // everything is to be stopped
	dynos    map[string]*instance
	// failure of the candidate, kept after it was dropped so that a Ready that
	// comes late hears of it.
	failure *failure
	wake    time.Time // when to plan again, zero = not by time
}

type failure struct {
	version int
	err     *dyno.RolloutError
}

func (a *app) current() *dyno.Release {
	if a.manifest == nil {
		return nil
	}
	return a.manifest.Current
}

// candidate is nil also when the manifest names one release twice.
func (a *app) candidate() *dyno.Release {
	if a.manifest == nil || a.manifest.Candidate == nil {
		return nil
	}
	if c := a.manifest.Current; c != nil && c.Version == a.manifest.Candidate.Version {
		return nil
	}
	return a.manifest.Candidate
}

// release finds the current release or the candidate by its version.
func (a *app) release(version int) *dyno.Release {
	for _, r := range []*dyno.Release{a.current(), a.candidate()} {
		if r != nil && r.Version == version {
			return r
		}
	}
	return nil
}

func (a *app) serves(version int) bool { return a.release(version) != nil }

func (a *app) isCandidate(version int) bool {
	c := a.candidate()
	return c != nil && c.Version == version
}

// failed reports whether the candidate did not come up.
func (a *app) failed() bool {
	c := a.candidate()
	return c != nil && a.failure != nil && a.failure.version == c.Version
}

// formation lists the dynos that a plan is about, oldest first.
func (a *app) formation() []*instance {
	var list []*instance
	for _, i := range a.dynos {
		if !i.spec.OneOff && !i.retired {
			list = append(list, i)
		}
	}
	slices.SortFunc(list, func(x, y *instance) int { return cmp.Compare(x.born, y.born) })
	return list
}

// selected lists the dynos that a selector means, by name.
func (a *app) selected(s dyno.Selector) []*instance {
	var list []*instance
	for _, i := range a.dynos {
		if !i.retired && (s.Name == "" || s.Name == i.spec.Name) && (s.Type == "" || s.Type == i.spec.Type) {
			list = append(list, i)
		}
	}
	sortByName(list)
	return list
}

func sortByName(list []*instance) {
	slices.SortFunc(list, func(x, y *instance) int {
		return cmp.Or(strings.Compare(x.spec.Type, y.spec.Type), cmp.Compare(x.number, y.number), cmp.Compare(x.born, y.born))
	})
}
