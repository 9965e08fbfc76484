package php

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// version is a version by Composer's rules: up to four numbers and a
// stability.
type version struct {
	num   [4]int
	given int // how many numbers were written
	stab  stability
	stage int // the 2 of beta2
	named bool
}

// stability orders versions with the same numbers, as PHP's version_compare
// does.
type stability int

const (
	dev stability = iota
	alpha
	beta
	rc
	stable
	patch
)

var stabilities = map[string]stability{
	"dev": dev, "alpha": alpha, "a": alpha, "beta": beta, "b": beta, "rc": rc,
	"stable": stable, "": stable, "patch": patch, "pl": patch, "p": patch,
}

var versionText = regexp.MustCompile(`(?i)^v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?` +
	`(?:[._-]?(stable|beta|b|rc|alpha|a|patch|pl|p)((?:[.-]?\d+)*)?)?([.-]?dev)?(?:\+\S+)?$`)

// parseVersion reads a version.
func parseVersion(s string) (version, error) {
	m := versionText.FindStringSubmatch(s)
	if m == nil {
		return version{}, fmt.Errorf("%q is no version", s)
	}
	v := version{stab: stable}
	for i := range v.num {
		if m[i+1] == "" {
			break
		}
		v.num[i], _ = strconv.Atoi(m[i+1]) // nine digits fit
		v.given++
	}
	if m[5] != "" {
		v.stab, v.named = stabilities[strings.ToLower(m[5])], true
		digits := strings.TrimLeft(m[6], ".-")
		digits, _, _ = strings.Cut(digits, ".")
		v.stage, _ = strconv.Atoi(digits)
	}
	if m[7] != "" {
		v.stab, v.stage, v.named = dev, 0, true
	}
	return v, nil
}

// installedVersion reads the version of an extension, which may be anything.
func installedVersion(s string) version {
	s = s[:min(len(s), 64)]
	for s != "" {
		if v, err := parseVersion(s); err == nil {
			return v
		}
		i := strings.LastIndexAny(s, "-+~ .")
		if i < 0 {
			break
		}
		s = s[:i]
	}
	return version{stab: stable, given: 1}
}

func (v version) compare(w version) int {
	for i := range v.num {
		if d := cmp.Compare(v.num[i], w.num[i]); d != 0 {
			return d
		}
	}
	if d := cmp.Compare(v.stab, w.stab); d != 0 {
		return d
	}
	return cmp.Compare(v.stage, w.stage)
}

// lowest is v before all its prereleases, unless one was written.
func (v version) lowest() version {
	if !v.named {
		v.stab, v.stage = dev, 0
	}
	return v
}

// next is the lowest version after all that agree with v in n numbers.
func (v version) next(n int) version {
	w := version{given: 4, stab: dev}
	copy(w.num[:], v.num[:n])
	w.num[n-1]++
	return w
}
