package stack

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// distribution is what /etc/os-release says of the host.
type distribution struct {
	ID       string // debian, ubuntu
	Codename string // bookworm
	Title    string // Debian GNU/Linux 12 (bookworm)
}

func hostDistribution() (distribution, error) {
	b, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return distribution{}, fmt.Errorf("cannot tell the distribution: %w", err)
	}
	return parseOSRelease(string(b))
}

func parseOSRelease(text string) (distribution, error) {
	var d distribution
	for line := range strings.SplitSeq(text, "\n") {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(value, `"'`)
		switch key {
		case "ID":
			d.ID = value
		case "VERSION_CODENAME":
			d.Codename = value
		case "PRETTY_NAME":
			d.Title = value
		}
	}
	if d.ID != "debian" && d.ID != "ubuntu" {
		return d, fmt.Errorf("cannot make a stack of %q: stacks are made of Debian's or Ubuntu's packages", d.ID)
	}
	if d.Codename == "" {
		return d, errors.New("cannot tell the distribution's release: no VERSION_CODENAME in /etc/os-release")
	}
	return d, nil
}

// origin is the Origin field of the distribution's own Release files.
func (d distribution) origin() string {
	if d.ID == "ubuntu" {
		return "Ubuntu"
	}
	return "Debian"
}

// source is one apt source of the distribution itself.
type source struct {
	uri, suite string
	components []string
	signedBy   string // as its stanza says: paths, or a key; may be ""
}

// sources lists the sources of the host's apt that come from its distribution
// and belong to its release.
func (d distribution) sources(ctx context.Context) ([]source, error) {
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "Created-By: Packages").Output()
	if err != nil {
		return nil, fmt.Errorf("cannot list apt's sources: %w", err)
	}
	found := d.pick(parseTargets(out))
	if len(found) == 0 {
		return nil, fmt.Errorf("apt knows no source of %s itself: is one configured, and was apt-get update run?", d.Title)
	}
	return found, nil
}

// pick takes of apt's index targets those of the distribution's release, one
// source for each address and suite.
func (d distribution) pick(targets []map[string]string) []source {
	var all []source
	for _, t := range targets {
		suite := t["Release"]
		switch {
		case t["Origin"] != d.origin(),
			t["Repo-URI"] == "", t["Component"] == "",
			suite != d.Codename && suite != d.Codename+"-updates" && suite != d.Codename+"-security":
			continue
		}
		signedBy := readSignedBy(t["Sourcesentry"])
		i := len(all)
		for j, s := range all {
			if s.uri == t["Repo-URI"] && s.suite == suite {
				i = j
			}
		}
		if i == len(all) {
			all = append(all, source{uri: t["Repo-URI"], suite: suite, signedBy: signedBy})
		}
		all[i].components = appendNew(all[i].components, t["Component"])
	}
	return all
}

func appendNew(list []string, s string) []string {
	for _, have := range list {
		if have == s {
			return list
		}
	}
	return append(list, s)
}

// parseTargets reads the paragraphs of "Key: value" lines that apt prints.
func parseTargets(out []byte) []map[string]string {
	var all []map[string]string
	current := map[string]string{}
	scanner := bufio.NewScanner(bytes.NewReader(out))
	for scanner.Scan() {
		key, value, ok := strings.Cut(scanner.Text(), ":")
		if ok {
			current[key] = strings.TrimSpace(value)
			continue
		}
		if len(current) > 0 {
			all = append(all, current)
			current = map[string]string{}
		}
	}
	if len(current) > 0 {
		all = append(all, current)
	}
	return all
}

// readSignedBy finds which key a source is signed with; apt itself does not
// tell. entry is "file:number", the number being that of a line in a .list and
// of a paragraph in a .sources file.
func readSignedBy(entry string) string {
	file, number, ok := cutLast(entry, ":")
	if !ok {
		return ""
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 {
		return ""
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	if filepath.Ext(file) == ".sources" {
		return stanzaField(string(b), n, "Signed-By")
	}
	lines := strings.Split(string(b), "\n")
	if n > len(lines) {
		return ""
	}
	_, options, ok := strings.Cut(lines[n-1], "[")
	if !ok {
		return ""
	}
	options, _, _ = strings.Cut(options, "]")
	for option := range strings.FieldsSeq(options) {
		if value, ok := strings.CutPrefix(option, "signed-by="); ok {
			return value
		}
	}
	return ""
}

// stanzaField returns a field of paragraph n (from 1) of a deb822 text. The
// lines of a folded value are joined, a lone "." standing for an empty line.
func stanzaField(text string, n int, field string) string {
	paragraph, in := 0, false
	reading := false
	var value []string
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		if strings.TrimSpace(line) == "" {
			in, reading = false, false
			continue
		}
		if !in {
			in = true
			paragraph++
		}
		if paragraph != n {
			continue
		}
		if line[0] == ' ' || line[0] == '\t' {
			if reading {
				value = append(value, strings.TrimSuffix(strings.TrimSpace(line), "."))
			}
			continue
		}
		key, rest, _ := strings.Cut(line, ":")
		reading = strings.EqualFold(strings.TrimSpace(key), field)
		if reading {
			value = append(value, strings.TrimSpace(rest))
		}
	}
	return strings.TrimSpace(strings.Join(value, "\n"))
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// knownPackages says which of the names the host's apt knows as packages.
func knownPackages(ctx context.Context, choices []choice) (map[string]bool, error) {
	argv := []string{"--no-all-versions", "show"}
	for _, c := range choices {
		argv = append(argv, c.names...)
	}
	// It exits with 100 when it does not know one of them; what it prints of
	// the others is right all the same.
	out, err := exec.CommandContext(ctx, "apt-cache", argv...).Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, fmt.Errorf("cannot ask apt for packages: %w", err)
	}
	known := map[string]bool{}
	for line := range strings.SplitSeq(string(out), "\n") {
		if name, ok := strings.CutPrefix(line, "Package: "); ok {
			known[name] = true
		}
	}
	return known, nil
}
