package source

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
)

// scp is git's short form of an ssh URL: [user@]host:path.
var scp = regexp.MustCompile(`^(?:[A-Za-z0-9_.][A-Za-z0-9_.-]*@)?[A-Za-z0-9_.][A-Za-z0-9_.-]*:[^:].*$`)

// resolveURL says where a submodule comes from. base is its parent's URL, ""
// for the app's own repository. local allows paths and file://.
func resolveURL(raw, base string, local bool) (string, error) {
	if raw == "" || strings.HasPrefix(raw, "-") || strings.ContainsFunc(raw, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", fmt.Errorf("%q is not a URL", raw)
	}
	if strings.HasPrefix(raw, "./") || strings.HasPrefix(raw, "../") {
		if base == "" {
			return "", fmt.Errorf("its URL %s is relative, and this repository has none. Give the whole URL in .gitmodules", raw)
		}
		return relativeURL(base, raw)
	}
	if !strings.Contains(raw, "://") && scp.MatchString(raw) {
		return raw, nil
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "", fmt.Errorf("%q is not a URL", redact(raw))
	}
	switch {
	case (u.Scheme == "https" || u.Scheme == "ssh" || u.Scheme == "git") && u.Hostname() != "" && !strings.HasPrefix(u.Host, "-") && !strings.HasPrefix(u.User.Username(), "-"):
		return raw, nil
	case local && (u.Scheme == "file" || filepath.IsAbs(raw)):
		return raw, nil
	}
	return "", fmt.Errorf("only https://, ssh:// and git:// URLs are fetched, not %s", redact(raw))
}

// relativeURL applies "./" and "../" steps to base, as git-submodule does.
func relativeURL(base, rel string) (string, error) {
	at := strings.TrimRight(base, "/")
	for {
		if rest, ok := strings.CutPrefix(rel, "./"); ok {
			rel = rest
			continue
		}
		rest, ok := strings.CutPrefix(rel, "../")
		if !ok {
			break
		}
		rel = rest
		i := strings.LastIndexByte(at, '/')
		if i <= 0 || strings.HasSuffix(at[:i+1], "://") {
			return "", fmt.Errorf("its relative URL leads out of %s", redact(base))
		}
		at = at[:i]
	}
	return at + "/" + rel, nil
}

// hostOf is the host of a URL that resolveURL has let pass; "" for a path.
func hostOf(from string) string {
	if !strings.Contains(from, "://") {
		host, _, ok := strings.Cut(from, ":")
		if !ok || strings.Contains(host, "/") {
			return ""
		}
		return host[strings.LastIndexByte(host, '@')+1:]
	}
	u, err := url.Parse(from)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// checkPublic refuses addresses that only this machine or its network can
// reach: a push must not make the platform's host talk to them. A name that
// does not resolve is left to git, which may know a proxy.
func checkPublic(ctx context.Context, from string) error {
	host := hostOf(from)
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil
	}
	for _, a := range addrs {
		if a = a.Unmap(); !public(a) {
			return fmt.Errorf("%s is a private address. An operator can allow that", host)
		}
	}
	return nil
}

func public(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !carrierGrade.Contains(a)
}

var carrierGrade = netip.MustParsePrefix("100.64.0.0/10")

// redact takes credentials out of a URL.
func redact(raw string) string {
	if u, err := url.Parse(raw); err == nil && u.User != nil {
		u.User = url.User("***")
		return u.String()
	}
	if at := strings.LastIndexByte(raw, '@'); at > 0 && strings.Contains(raw, "://") {
		return raw[:strings.Index(raw, "://")+3] + "***" + raw[at:]
	}
	return raw
}
