package supervisor

import (
	"cmp"
	"slices"
	"time"

	"paas/dyno"
)

// standing is how far a dyno is, as far as a plan is concerned.
type standing int

const (
	crashed standing = iota // ended; a record that waits to be started again
	coming                  // started, or about to be
	adopted                 // found running after a restart of paasd, not probed yet
	ready                   // up
)

// have is a dyno of a formation that is not retired.
type have struct {
	id       string
	typ      string
	number   int
	version  int
	image    string
	command  string
	size     string
	standing standing
	// replace: a newer one is to take its place (ps:restart, cycling).
	replace bool
	// due: for a crashed dyno, when to start it again; for a ready one, when to
	// cycle it (zero = never).
	due time.Time
	// born orders dynos by age.
	born uint64
}

// want is what should run.
type want struct {
	current, candidate *dyno.Release
	// failed: the candidate did not come up; nothing more is started for it.
	failed bool
}

type verb int

const (
	start  verb = iota // a dyno of release for process, number; in place of the crashed id, if set
	retire             // id; down says that nothing takes its place
	cycle              // id: mark it to be replaced, then plan again
)

// action is one step towards what is wanted.
type action struct {
	verb    verb
	id      string
	down    bool
	release *dyno.Release
	process dyno.Process
	number  int
}

// plan says what to do now, and when to ask again even if nothing happens
// (zero = never). It does no I/O and its answer depends on nothing else.
func plan(w want, dynos []have, now time.Time) (actions []action, wake time.Time) {
	p := planner{now: now, kept: map[string]bool{}, wanted: map[slot]bool{}}
	if w.current != nil {
		for _, process := range w.current.Processes {
			for n := 1; n <= process.Quantity; n++ {
				p.current(w, dynos, process, n)
			}
		}
	}
	if w.candidate != nil {
		for _, process := range w.candidate.Processes {
			for n := 1; n <= process.Quantity; n++ {
				p.candidate(w, dynos, process, n)
			}
		}
	}
	p.retireRest(dynos)
	return p.actions, p.wake
}

// slot is a place in a formation; its name is that of the dyno in it.
type slot struct {
	typ    string
	number int
}

type planner struct {
	now     time.Time
	kept    map[string]bool
	wanted  map[slot]bool
	actions []action
	wake    time.Time
}

// current fills a slot of the current release. Of the dynos in the slot, one
// that fits is the fresh one. One other, which may be up, is kept until the
// fresh one is up: a dyno being replaced, one of another size, or one of an
// older release.
func (p *planner) current(w want, dynos []have, process dyno.Process, n int) {
	p.wanted[slot{process.Type, n}] = true
	var fresh, old *have
	for i := range dynos {
		d := &dynos[i]
		switch {
		case d.typ != process.Type || d.number != n:
		case w.candidate != nil && d.version == w.candidate.Version:
		case !d.replace && fits(d, w.current, process):
			if better(d, fresh, w.current.Version) {
				d, fresh = fresh, d
			}
			old = olderOf(old, d, w.current.Version)
		default:
			old = olderOf(old, d, w.current.Version)
		}
	}
	if fresh == nil {
		p.start(w.current, process, n, "")
		p.keep(old)
		return
	}
	p.keep(fresh)
	switch fresh.standing {
	case ready:
		if !fresh.due.IsZero() && p.due(fresh.due) {
			p.actions = append(p.actions, action{verb: cycle, id: fresh.id})
		}
	case crashed:
		if p.due(fresh.due) {
			p.start(w.current, process, n, fresh.id)
		}
		// Requests go to the current release only, so an older one is of no use
		// any more.
		if old != nil && old.version == w.current.Version {
			p.keep(old)
		}
	default:
		p.keep(old)
	}
}

// candidate fills a slot of the candidate: started once, never again.
func (p *planner) candidate(w want, dynos []have, process dyno.Process, n int) {
	p.wanted[slot{process.Type, n}] = true
	var fresh *have
	for i := range dynos {
		d := &dynos[i]
		if d.typ == process.Type && d.number == n && fits(d, w.candidate, process) && better(d, fresh, w.candidate.Version) {
			fresh = d
		}
	}
	if fresh == nil && !w.failed {
		p.start(w.candidate, process, n, "")
	}
	p.keep(fresh)
}

// retireRest retires what no slot keeps, highest numbers first.
func (p *planner) retireRest(dynos []have) {
	var rest []have
	for _, d := range dynos {
		if !p.kept[d.id] {
			rest = append(rest, d)
		}
	}
	slices.SortFunc(rest, func(a, b have) int {
		return cmp.Or(cmp.Compare(a.typ, b.typ), cmp.Compare(b.number, a.number), cmp.Compare(a.born, b.born))
	})
	for _, d := range rest {
		p.actions = append(p.actions, action{verb: retire, id: d.id, down: !p.wanted[slot{d.typ, d.number}]})
	}
}

func (p *planner) start(r *dyno.Release, process dyno.Process, n int, instead string) {
	p.actions = append(p.actions, action{verb: start, id: instead, release: r, process: process, number: n})
}

func (p *planner) keep(d *have) {
	if d != nil {
		p.kept[d.id] = true
	}
}

// due reports whether a time has come, and else remembers to wake then.
func (p *planner) due(at time.Time) bool {
	if !at.After(p.now) {
		return true
	}
	if p.wake.IsZero() || at.Before(p.wake) {
		p.wake = at
	}
	return false
}

// fits reports whether a dyno is one that would be started for the process
// now. Env is part of the version; what the platform adds to it may differ from
// one paasd to the next without a restart.
func fits(d *have, r *dyno.Release, process dyno.Process) bool {
	return d.version == r.Version && d.image == r.Image && d.command == process.Command && d.size == process.Size.Name
}

// better reports whether a is to be preferred to b (nil = nothing): one of the
// version, then one that is further, then the younger.
func better(a, b *have, version int) bool {
	if a == nil || b == nil {
		return a != nil
	}
	av, bv := a.version == version, b.version == version
	if av != bv {
		return av
	}
	return cmp.Or(cmp.Compare(a.standing, b.standing), cmp.Compare(a.born, b.born)) > 0
}

// olderOf is the better of two dynos to keep beside a fresh one; only one that
// is or may be up is of use there.
func olderOf(old, d *have, version int) *have {
	if d == nil || d.standing < adopted || !better(d, old, version) {
		return old
	}
	return d
}
