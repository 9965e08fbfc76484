package containerd

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// resolvers is what the host knows of name servers, in the form dynos need.
type resolvers struct {
	text    string       // of resolv.conf
	servers []netip.Addr // IPv4, not loopback
}

func (r resolvers) equal(s resolvers) bool {
	return r.text == s.text && slices.Equal(r.servers, s.servers)
}

// The host's own file, and the one in which systemd-resolved lists the servers
// behind its stub at 127.0.0.53.
var resolvConfs = []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"}

// findResolvers reads the first file that names a server which a dyno can
// reach. If there is none, the text has none: names do not resolve, all else
// works; Check tells.
func findResolvers(files []string) resolvers {
	var first resolvers
	for i, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		r := parseResolvConf(b)
		if len(r.servers) > 0 {
			return r
		}
		if i == 0 {
			first = r
		}
	}
	return first
}

// parseResolvConf keeps everything but the servers that mean something else, or
// nothing, inside a dyno: loopback and IPv6 ones.
func parseResolvConf(b []byte) resolvers {
	var r resolvers
	var out strings.Builder
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		if len(f) == 0 || strings.HasPrefix(f[0], "#") || strings.HasPrefix(f[0], ";") {
			continue
		}
		if f[0] == "nameserver" {
			if len(f) < 2 {
				continue
			}
			a, err := netip.ParseAddr(f[1])
			if err != nil || !a.Is4() || a.IsLoopback() || a.IsUnspecified() {
				continue
			}
			if !slices.Contains(r.servers, a) {
				r.servers = append(r.servers, a)
			}
		}
		out.WriteString(strings.Join(f, " ") + "\n")
	}
	r.text = out.String()
	return r
}

func (o *Options) resolvConf() string { return filepath.Join(o.RunDir, "resolv.conf") }

// write changes the file in place: dynos have this very file mounted.
func (r resolvers) write(file string) error {
	if b, err := os.ReadFile(file); err == nil && string(b) == r.text {
		return nil
	}
	if err := os.WriteFile(file, []byte(r.text), 0o644); err != nil {
		return fmt.Errorf("cannot write the dynos' resolv.conf: %w", err)
	}
	return nil
}
