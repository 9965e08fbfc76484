package stack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// aptPlace is where an apt directory is seen inside a tree (layer.sh).
const aptPlace = "/run/apt"

// writeApt makes dir what apt needs to fetch packages of the distribution:
// sources.list (paths as seen inside the tree), sources.host (paths as seen on
// the host), apt.conf, keys. Nothing of it stays in a tree.
func writeApt(dir string, sources []source) error {
	for _, sub := range []string{"", "keys", "trusted"} {
		// 0755, 0644: apt drops its rights to the user _apt.
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	var inside, host strings.Builder
	for i, s := range sources {
		keys, err := writeKeys(dir, i, s.signedBy)
		if err != nil {
			return err
		}
		inside.WriteString(s.line(aptPlace, keys))
		host.WriteString(s.line(dir, keys))
	}
	conf := fmt.Sprintf(`Dir::Etc::sourcelist "%[1]s/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::trustedparts "%[1]s/trusted";
Acquire::Retries "3";
Dpkg::Options { "--force-unsafe-io"; "--force-confold"; };
`, aptPlace)
	if ca, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt"); err == nil {
		conf += fmt.Sprintf("Acquire::https::CAInfo \"%s/ca.crt\";\n", aptPlace)
		if err := os.WriteFile(filepath.Join(dir, "ca.crt"), ca, 0o644); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{
		"sources.list": inside.String(), "sources.host": host.String(), "apt.conf": conf,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	// The keys that the host trusts for every source.
	entries, err := os.ReadDir("/etc/apt/trusted.gpg.d")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if err := copyFile(filepath.Join("/etc/apt/trusted.gpg.d", e.Name()), filepath.Join(dir, "trusted", e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// line is the source in the one-line format. apt is the directory of keys.
func (s source) line(apt string, keys []string) string {
	options := ""
	if len(keys) > 0 {
		var paths []string
		for _, k := range keys {
			paths = append(paths, filepath.Join(apt, "keys", k))
		}
		options = "[signed-by=" + strings.Join(paths, ",") + "] "
	}
	return fmt.Sprintf("deb %s%s %s %s\n", options, s.uri, s.suite, strings.Join(s.components, " "))
}

// writeKeys puts the keys of source i into dir/keys and returns their names;
// none when the source is signed with any key that the host trusts.
func writeKeys(dir string, i int, signedBy string) ([]string, error) {
	if strings.Contains(signedBy, "BEGIN PGP PUBLIC KEY BLOCK") {
		name := strconv.Itoa(i) + ".asc"
		return []string{name}, os.WriteFile(filepath.Join(dir, "keys", name), []byte(signedBy+"\n"), 0o644)
	}
	var names []string
	for j, path := range strings.FieldsFunc(signedBy, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' }) {
		if !filepath.IsAbs(path) {
			continue // the fingerprint of a trusted key
		}
		name := fmt.Sprintf("%d-%d%s", i, j, filepath.Ext(path))
		if err := copyFile(path, filepath.Join(dir, "keys", name)); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o644)
}

// aptEnviron is the whole environment of the commands that make a tree.
// environ is where proxies are looked for first.
func aptEnviron(ctx context.Context, environ []string) []string {
	env := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root",
		"LC_ALL=C.UTF-8",
		"DEBIAN_FRONTEND=noninteractive",
		// Makes times inside files constant, and Python's compiled files valid
		// whatever the times of their sources.
		"SOURCE_DATE_EPOCH=" + strconv.FormatInt(layerTime.Unix(), 10),
	}
	set := map[string]bool{}
	for _, kv := range environ {
		key, value, _ := strings.Cut(kv, "=")
		switch lower := strings.ToLower(key); lower {
		case "http_proxy", "https_proxy", "no_proxy":
			if value != "" && !set[lower] {
				set[lower] = true
				env = append(env, lower+"="+value)
			}
		}
	}
	for _, scheme := range []string{"http", "https"} {
		if set[scheme+"_proxy"] {
			continue
		}
		out, err := exec.CommandContext(ctx, "apt-config", "dump", "--format", "%v%n", "Acquire::"+scheme+"::Proxy").Output()
		if proxy := strings.TrimSpace(string(out)); err == nil && strings.HasPrefix(proxy, "http") {
			env = append(env, scheme+"_proxy="+proxy)
		}
	}
	return env
}
