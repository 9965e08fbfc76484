package catalog

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

type kind int

const (
	kindGit kind = iota
	kindArchive
	kindRegistry
)

// ref is a parsed reference to a buildpack that is not built in.
type ref struct {
	kind    kind
	url     string // for kindRegistry "ns/name"
	commit  string // branch, tag or commit; "" = the default branch
	display string // without secrets
}

var (
	shorthand = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]*/[a-z0-9][a-z0-9_.-]*$`)
	scpLike   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[^:].*$`)
	committed = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./+-]{0,254}$`)
	fullHash  = regexp.MustCompile(`^[0-9a-f]{40}$`)
	someHash  = regexp.MustCompile(`^[0-9a-f]{7,39}$`)
)

// parse reads a reference that is none of the built-in names.
func parse(text string, allowFile bool) (ref, error) {
	if text == "" || len(text) > 2048 || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return ref{}, errors.New("it is empty, too long or has blanks in it")
	}
	if shorthand.MatchString(text) && !strings.Contains(text, "..") {
		return ref{kind: kindRegistry, url: text, display: text}, nil
	}
	r := ref{display: redact(text)}
	i := strings.LastIndexByte(text, '#')
	if i < 0 {
		i = len(text)
	} else if r.commit = text[i+1:]; r.commit != "" && (!committed.MatchString(r.commit) || strings.Contains(r.commit, "..")) {
		return ref{}, fmt.Errorf("%q is no branch, tag or commit", r.commit)
	}
	r.url = text[:i]
	if scpLike.MatchString(r.url) && !strings.Contains(r.url, "://") {
		return r, nil
	}
	u, err := url.Parse(r.url)
	switch {
	case err != nil:
		return ref{}, errors.New("it is neither a shorthand nor a URL")
	case u.Scheme == "file" && !allowFile:
		return ref{}, errors.New("file:// URLs are not allowed")
	case u.Scheme == "file":
	case u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "ssh" && u.Scheme != "git":
		return ref{}, errors.New("it is neither a shorthand such as heroku/nodejs nor a URL that begins with https://, http://, git:// or ssh://")
	case u.Hostname() == "" || strings.HasPrefix(u.Host, "-") || strings.HasPrefix(u.User.Username(), "-"):
		return ref{}, errors.New("its URL has no host")
	}
	if archiveFormat(u.Path) != "" && (u.Scheme == "https" || u.Scheme == "http") {
		if r.commit != "" {
			return ref{}, errors.New("an archive has no branches")
		}
		r.kind = kindArchive
	}
	return r, nil
}

// redact cuts the user part out of a URL: tokens stand there.
func redact(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return text
	}
	authority, path := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		user, _, _ := strings.Cut(authority[:i], ":")
		authority = authority[i+1:]
		if scheme == "ssh" { // "git", no secret
			authority = user + "@" + authority
		}
	}
	return scheme + "://" + authority + path
}
