package logplex

import "bytes"

// Filter says which lines of a stream are wanted.
type Filter struct {
	// Lines is how many of the last matching lines to begin with.
	Lines int
	// After, if not 0, is the id of a line to go on after; Lines is not looked
	// at then.
	After int64
	// Source is "app", "heroku" or "" for both.
	Source string
	// Dyno is a dyno ("web.1"), a process type ("web", also "router"), or "" for
	// all.
	Dyno string
}

func (f *Filter) match(l line) bool {
	if f.Source != "" && string(l.source) != f.Source {
		return false
	}
	if f.Dyno == "" {
		return true
	}
	rest, ok := bytes.CutPrefix(l.proc, []byte(f.Dyno))
	return ok && (len(rest) == 0 || rest[0] == '.')
}
