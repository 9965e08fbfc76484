package php

import (
	"fmt"
	"regexp"
	"strings"
)

// Constraint is a version constraint in Composer's language.
type Constraint struct {
	sets [][]bound // all of one set
}

type bound struct {
	op string // < <= > >= = !=
	v  version
}

const maxConstraint = 1000

var (
	orSign      = regexp.MustCompile(`\s*\|\|?\s*`)
	stabFlag    = regexp.MustCompile(`(?i)@(stable|rc|beta|alpha|dev)$`)
	alias       = regexp.MustCompile(`\s+as\s+\S+$`)
	gapAfterOp  = regexp.MustCompile(`([<>=!~^])\s+`)
	hyphen      = regexp.MustCompile(`^(\S+)\s+-\s+(\S+)$`)
	hyphenIn    = regexp.MustCompile(`([^\s,]+)\s+-\s+([^\s,]+)`)
	branch      = regexp.MustCompile(`(?i)^(dev-.+|v?\d+(\.\d+)*\.x-dev)$`)
	everything  = regexp.MustCompile(`^v?[xX*](\.[xX*])*$`)
	xRange      = regexp.MustCompile(`^v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?((?:\.[xX*])+)$`)
	operatorEnd = regexp.MustCompile(`^(<>|!=|>=|<=|==|<|>|=)?\s*(.*)$`)
)

// ParseConstraint reads a constraint.
func ParseConstraint(text string) (Constraint, error) {
	var c Constraint
	if len(text) > maxConstraint {
		return c, fmt.Errorf("a constraint of %d characters is too long", len(text))
	}
	for _, part := range orSign.Split(strings.TrimSpace(text), -1) {
		set, err := parseAll(part)
		if err != nil {
			return c, fmt.Errorf("%q is no version constraint: %w", text, err)
		}
		c.sets = append(c.sets, set)
	}
	return c, nil
}

// parseAll reads constraints that must all hold, separated by commas or
// spaces.
func parseAll(text string) ([]bound, error) {
	text = alias.ReplaceAllString(strings.TrimSpace(text), "")
	if text == "" {
		return nil, fmt.Errorf("it is empty")
	}
	// A hyphen range has spaces of its own: keep it in one piece.
	text = hyphenIn.ReplaceAllString(text, "$1\x00-\x00$2")
	text = gapAfterOp.ReplaceAllString(text, "$1")
	var set []bound
	for _, token := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' }) {
		bounds, err := parseOne(strings.ReplaceAll(token, "\x00", " "))
		if err != nil {
			return nil, err
		}
		set = append(set, bounds...)
	}
	return set, nil
}

func parseOne(s string) ([]bound, error) {
	flag := ""
	if m := stabFlag.FindStringSubmatch(s); m != nil {
		flag, s = strings.ToLower(m[1]), s[:len(s)-len(m[0])]
	}
	if i := strings.Index(s, "#"); i > 0 {
		s = s[:i] // a reference into a repository
	}
	if s == "" || everything.MatchString(s) {
		return nil, nil
	}
	if m := hyphen.FindStringSubmatch(s); m != nil {
		return parseHyphen(m[1], m[2])
	}
	if m := xRange.FindStringSubmatch(s); m != nil {
		v, err := parseVersion(strings.TrimSuffix(strings.TrimPrefix(s, "v"), m[4]))
		if err != nil {
			return nil, err
		}
		return []bound{{">=", v.lowest()}, {"<", v.next(v.given)}}, nil
	}
	switch s[0] {
	case '~':
		v, err := parseVersion(strings.TrimPrefix(s[1:], ">"))
		if err != nil {
			return nil, err
		}
		return []bound{{">=", v.lowest()}, {"<", v.next(max(1, v.given-1))}}, nil
	case '^':
		v, err := parseVersion(s[1:])
		if err != nil {
			return nil, err
		}
		n := 1
		for n < min(v.given, 3) && v.num[n-1] == 0 {
			n++
		}
		return []bound{{">=", v.lowest()}, {"<", v.next(n)}}, nil
	}
	return parseComparison(s, flag)
}

func parseComparison(s, flag string) ([]bound, error) {
	m := operatorEnd.FindStringSubmatch(s)
	if branch.MatchString(m[2]) {
		return []bound{{"never", version{}}}, nil // no release is a branch
	}
	v, err := parseVersion(m[2])
	if err != nil {
		return nil, err
	}
	if flag != "" && flag != "stable" && !v.named {
		v.stab, v.named = stabilities[flag], true
	}
	switch op := m[1]; op {
	case "", "==":
		return []bound{{"=", v}}, nil
	case "<>":
		return []bound{{"!=", v}}, nil
	case "<", ">=":
		return []bound{{op, v.lowest()}}, nil
	default:
		return []bound{{op, v}}, nil
	}
}

func parseHyphen(from, to string) ([]bound, error) {
	low, err := parseVersion(from)
	if err != nil {
		return nil, err
	}
	high, err := parseVersion(to)
	if err != nil {
		return nil, err
	}
	if high.given >= 3 || high.named {
		return []bound{{">=", low.lowest()}, {"<=", high}}, nil
	}
	return []bound{{">=", low.lowest()}, {"<", high.next(high.given)}}, nil
}

// contains tells whether v satisfies the constraint.
func (c Constraint) contains(v version) bool {
	for _, set := range c.sets {
		if containsAll(set, v) {
			return true
		}
	}
	return false
}

func containsAll(set []bound, v version) bool {
	for _, b := range set {
		d := v.compare(b.v)
		ok := false
		switch b.op {
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
		case "!=":
			ok = d != 0
		}
		if !ok {
			return false
		}
	}
	return true
}
