package router

import "strings"

// maxHost is the longest host name there can be (RFC 1035).
const maxHost = 253

// canonicalHost brings a Host header to the form of Table.Hosts: lower case,
// no port, no trailing dot. It returns "" for what cannot be a host name.
func canonicalHost(h string) string {
	if i := strings.LastIndexByte(h, ':'); i >= 0 && strings.IndexByte(h[i:], ']') < 0 {
		for j := i + 1; j < len(h); j++ {
			if h[j] < '0' || h[j] > '9' {
				return ""
			}
		}
		h = h[:i]
	}
	h = strings.TrimSuffix(h, ".")
	if len(h) > maxHost {
		return ""
	}
	for i := 0; i < len(h); i++ {
		if 'A' <= h[i] && h[i] <= 'Z' {
			return lowerASCII(h)
		}
	}
	return h
}

// lowerASCII leaves other bytes alone, unlike strings.ToLower, which could make
// two different hosts of one.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// lookup finds the route of a canonical host: exact, else the longest wildcard
// above it. A wildcard stands for one label or more.
func (s *snapshot) lookup(host string) *route {
	if rt := s.exact[host]; rt != nil || len(s.wild) == 0 {
		return rt
	}
	for i := 0; i < len(host); i++ {
		if host[i] == '.' && i > 0 {
			if rt := s.wild[host[i:]]; rt != nil {
				return rt
			}
		}
	}
	return nil
}
