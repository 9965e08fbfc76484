package php

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"paas/buildpacks/builtin/classic"
)

// platform is the PHP that builds and dynos have.
type platform struct {
	Version    string            `json:"version"`
	Bits       int               `json:"bits"`
	Extensions map[string]string `json:"extensions"`
}

// askPlatform is run by the PHP in question.
const askPlatform = `$e = []; foreach (get_loaded_extensions() as $n) { $e[$n] = (string) phpversion($n); } ` +
	`foreach (get_loaded_extensions(true) as $n) { $e[$n] = (string) phpversion($n); } ` +
	`echo json_encode(["version" => PHP_VERSION, "bits" => PHP_INT_SIZE * 8, "extensions" => $e]);`

func findPlatform(ctx context.Context, c *classic.Call) (platform, error) {
	var p platform
	out, err := c.Output(ctx, "php", "-d", "display_errors=stderr", "-r", askPlatform)
	if err != nil {
		return p, &classic.Failure{Message: "PHP is not there, or does not run.", Err: err,
			Hint: "The stack layer \"php\" has to be part of this build."}
	}
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		return p, fmt.Errorf("cannot read what PHP says of itself: %w", err)
	}
	return p.normalised(), nil
}

// normalised spells extensions as Composer does.
func (p platform) normalised() platform {
	names := make(map[string]string, len(p.Extensions))
	for name, v := range p.Extensions {
		names[strings.ReplaceAll(strings.ToLower(name), " ", "-")] = v
	}
	if v, ok := names["zend-opcache"]; ok {
		names["opcache"] = v
	}
	p.Extensions = names
	return p
}

// need is one requirement that a package has of the platform.
type need struct {
	by, name, constraint string
}

// needs collects what an app's packages want of PHP and its extensions. What
// another package provides (a polyfill) is not wanted of the platform.
func needs(m manifest, l *lock) []need {
	var list []need
	add := func(by string, r requirements) {
		for name, constraint := range r {
			name = strings.ToLower(name)
			if name == "php" || name == "php-64bit" || strings.HasPrefix(name, "ext-") && !strings.HasSuffix(name, ".native") {
				list = append(list, need{by, name, constraint})
			}
		}
	}
	provided := map[string]bool{}
	if l == nil {
		add("composer.json", m.Require)
	} else {
		add("composer.json", l.Platform)
		for _, p := range l.Packages {
			add(p.Name, p.Require)
			for name := range maps.Keys(p.Provide) {
				provided[strings.ToLower(name)] = true
			}
			for name := range maps.Keys(p.Replace) {
				provided[strings.ToLower(name)] = true
			}
		}
	}
	list = slices.DeleteFunc(list, func(n need) bool { return n.name != "php" && provided[n.name] })
	sort.Slice(list, func(i, j int) bool {
		a, b := list[i], list[j]
		return a.name+"\x00"+a.by < b.name+"\x00"+b.by
	})
	return list
}

// problem says why a need is not met, or "".
func (p platform) problem(n need) string {
	have, there := p.Version, true
	switch {
	case n.name == "php-64bit":
		there = p.Bits == 64
	case n.name != "php":
		have, there = p.Extensions[strings.TrimPrefix(n.name, "ext-")], false
		_, there = p.Extensions[strings.TrimPrefix(n.name, "ext-")]
	}
	who := fmt.Sprintf("%s requires %s %s", n.by, n.name, n.constraint)
	if !there {
		return who + ", which is not available"
	}
	c, err := ParseConstraint(n.constraint)
	if err != nil {
		return who + ": " + err.Error()
	}
	if !c.contains(installedVersion(have)) {
		if have == "" {
			have = "of unknown version"
		}
		return fmt.Sprintf("%s, but the platform has %s %s", who, n.name, have)
	}
	return ""
}

// check compares an app's needs with the platform.
func (p platform) check(m manifest, l *lock) error {
	if err := misplacedPHP(m, l); err != nil {
		return err
	}
	var problems []string
	missing := false
	for _, n := range needs(m, l) {
		if why := p.problem(n); why != "" {
			problems = append(problems, "- "+why+".")
			missing = missing || strings.HasPrefix(n.name, "ext-")
		}
	}
	if len(problems) == 0 {
		return nil
	}
	hint := fmt.Sprintf("This platform has PHP %s only. Widen the constraint in composer.json, run\n`composer update`, test, and commit composer.json and composer.lock.", p.Version)
	if missing {
		hint += "\nExtensions: " + wrap(slices.Sorted(maps.Keys(p.Extensions)), 78)
	}
	return classic.Failf(hint, "Failed to install system dependencies!\n\nYour requirements could not be resolved to an installable set of packages:\n%s",
		strings.Join(problems, "\n"))
}

// misplacedPHP refuses an app that names PHP for development only: it would
// be tested with one PHP and run with another.
func misplacedPHP(m manifest, l *lock) error {
	_, inDev := m.RequireDev["php"]
	if _, in := m.Require["php"]; in || !inDev {
		return nil
	}
	for _, n := range needs(m, l) {
		if n.name == "php" {
			return nil
		}
	}
	return classic.Failf("Move it to \"require\", run `composer update`, and commit composer.json and composer.lock.",
		"composer.json requires php in \"require-dev\" only.")
}

// wrap joins words by spaces into lines.
func wrap(words []string, width int) string {
	var b strings.Builder
	column := len("Extensions: ")
	for i, w := range words {
		switch {
		case i == 0:
		case column+1+len(w) > width:
			b.WriteString("\n  ")
			column = 2
		default:
			b.WriteString(" ")
			column++
		}
		b.WriteString(w)
		column += len(w)
	}
	return b.String()
}
