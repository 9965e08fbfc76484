package runtimes

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Range is a set of versions in the language of node-semver, which npm, yarn
// and pnpm share: "22.x", "^1.2.3 || >=2 <3", "1.2 - 1.4", "*".
type Range struct {
	text string
	sets [][]comparator // a version must satisfy all of one set
}

type comparator struct {
	op string // < <= > >= =
	v  *semver.Version
}

func (r Range) String() string { return r.text }

const maxRange = 256 // npm's own limit for a version string

var (
	hyphenRange = regexp.MustCompile(`^\s*(\S+)\s+-\s+(\S+)\s*$`)
	gapAfterOp  = regexp.MustCompile(`([<>=~^])\s+`)
	rangeToken  = regexp.MustCompile(`^(<=|>=|<|>|=|~>|~|\^)?[v=]*(.*)$`)
	digit       = regexp.MustCompile(`\d`)
	partial     = regexp.MustCompile(`^(x|X|\*|0|[1-9]\d*)(?:\.(x|X|\*|0|[1-9]\d*)(?:\.(x|X|\*|0|[1-9]\d*)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?)?)?$`)
)

// ParseRange reads a range. The empty string is every version.
func ParseRange(text string) (Range, error) {
	r := Range{text: strings.TrimSpace(text)}
	if len(text) > maxRange {
		return r, fmt.Errorf("a version range of %d characters is too long", len(text))
	}
	for _, part := range strings.Split(text, "||") {
		set, err := parseSet(part)
		if err != nil {
			return r, fmt.Errorf("%q is no valid version range: %w", text, err)
		}
		r.sets = append(r.sets, set)
	}
	return r, nil
}

func parseSet(text string) ([]comparator, error) {
	if m := hyphenRange.FindStringSubmatch(text); m != nil {
		return parseHyphen(m[1], m[2])
	}
	text = gapAfterOp.ReplaceAllString(strings.TrimSpace(text), "$1")
	var set []comparator
	for _, token := range strings.Fields(text) {
		m := rangeToken.FindStringSubmatch(token)
		if m[2] == "" {
			return nil, fmt.Errorf("%q is no version", token)
		}
		p, err := parsePartial(m[2])
		if err != nil {
			return nil, err
		}
		if p.ragged && !strings.ContainsAny(m[1], "~^") {
			return nil, fmt.Errorf("%q has a number behind an x", token)
		}
		set = append(set, p.comparators(m[1])...)
	}
	return set, nil
}

func parseHyphen(from, to string) ([]comparator, error) {
	low, err := parsePartial(strings.TrimLeft(from, "v="))
	if err != nil {
		return nil, err
	}
	high, err := parsePartial(strings.TrimLeft(to, "v="))
	if err != nil {
		return nil, err
	}
	var set []comparator
	if low.given > 0 {
		set = append(set, comparator{">=", low.floor()})
	}
	switch {
	case high.given == 3:
		set = append(set, comparator{"<=", high.floor()})
	case high.given > 0:
		set = append(set, comparator{"<", high.next(high.given)})
	}
	return set, nil
}

// partialVersion is a version of which the last parts may be missing or "x".
type partialVersion struct {
	num    [3]uint64
	given  int // how many numbers are there
	pre    string
	ragged bool // there is a number behind an x
}

func parsePartial(s string) (partialVersion, error) {
	var p partialVersion
	if s == "" {
		return p, nil
	}
	m := partial.FindStringSubmatch(s)
	if m == nil {
		return p, fmt.Errorf("%q is no version", s)
	}
	for i := range p.num {
		if m[i+1] == "" || strings.ContainsAny(m[i+1], "xX*") {
			p.ragged = digit.MatchString(strings.Join(m[i+1:4], ""))
			return p, nil
		}
		if len(m[i+1]) > 15 { // npm's limit is 2^53 - 1
			return p, fmt.Errorf("%q has too large a number", s)
		}
		for _, c := range m[i+1] {
			p.num[i] = p.num[i]*10 + uint64(c-'0')
		}
		p.given++
	}
	p.pre = m[4]
	if p.pre != "" {
		if _, err := semver.StrictNewVersion(fmt.Sprintf("%d.%d.%d-%s", p.num[0], p.num[1], p.num[2], p.pre)); err != nil {
			return p, fmt.Errorf("%q is no version", s)
		}
	}
	return p, nil
}

// floor is the lowest version that p covers.
func (p partialVersion) floor() *semver.Version {
	return semver.New(p.num[0], p.num[1], p.num[2], p.pre, "")
}

// next is the lowest version above all that agree with p in the first n
// numbers. It is a prerelease ("-0"), which sorts before every real version
// of those numbers, so that no prerelease slips in below it.
func (p partialVersion) next(n int) *semver.Version {
	num := [3]uint64{}
	copy(num[:], p.num[:n])
	num[n-1]++
	return semver.New(num[0], num[1], num[2], "0", "")
}

// comparators turns an operator and a partial version into comparators.
func (p partialVersion) comparators(op string) []comparator {
	none := []comparator{{"<", semver.New(0, 0, 0, "0", "")}}
	if p.given == 0 {
		if op == "<" || op == ">" {
			return none
		}
		return nil
	}
	switch op {
	case "^":
		n := 1
		for n < p.given && p.num[n-1] == 0 {
			n++
		}
		return []comparator{{">=", p.floor()}, {"<", p.next(n)}}
	case "~", "~>":
		return []comparator{{">=", p.floor()}, {"<", p.next(min(p.given, 2))}}
	case "", "=":
		if p.given == 3 {
			return []comparator{{"=", p.floor()}}
		}
		return []comparator{{">=", p.floor()}, {"<", p.next(p.given)}}
	case ">":
		if p.given < 3 {
			v := p.next(p.given)
			return []comparator{{">=", semver.New(v.Major(), v.Minor(), v.Patch(), "", "")}}
		}
	case "<=":
		if p.given < 3 {
			return []comparator{{"<", p.next(p.given)}}
		}
	case "<":
		if p.given < 3 {
			f := p.floor()
			return []comparator{{"<", semver.New(f.Major(), f.Minor(), f.Patch(), "0", "")}}
		}
	}
	return []comparator{{op, p.floor()}}
}

// Contains tells whether v is in the range. As in npm, a prerelease is only
// in a range that names a prerelease of the same three numbers.
func (r Range) Contains(v *semver.Version) bool {
	for _, set := range r.sets {
		if contains(set, v) {
			return true
		}
	}
	return false
}

func contains(set []comparator, v *semver.Version) bool {
	for _, c := range set {
		d := v.Compare(c.v)
		ok := false
		switch c.op {
		case "<":
			ok = d < 0
		case "<=":
			ok = d <= 0
		case ">":
			ok = d > 0
		case ">=":
			ok = d >= 0
		case "=":
			ok = d == 0
		}
		if !ok {
			return false
		}
	}
	if v.Prerelease() == "" {
		return true
	}
	for _, c := range set {
		if c.v.Prerelease() != "" && c.v.Major() == v.Major() && c.v.Minor() == v.Minor() && c.v.Patch() == v.Patch() {
			return true
		}
	}
	return false
}

// Exact returns the one version that the range names, if it is written as
// such ("22.3.0", "=22.3.0", "v22.3.0").
func (r Range) Exact() (string, bool) {
	if len(r.sets) == 1 && len(r.sets[0]) == 1 && r.sets[0][0].op == "=" {
		return r.sets[0][0].v.String(), true
	}
	return "", false
}

// Best returns the highest of versions that the range contains; versions
// that are no semantic versions do not count.
func (r Range) Best(versions []string) (string, bool) {
	var best *semver.Version
	for _, text := range versions {
		v, err := semver.StrictNewVersion(text)
		if err == nil && r.Contains(v) && (best == nil || best.LessThan(v)) {
			best = v
		}
	}
	if best == nil {
		return "", false
	}
	return best.Original(), true
}
