package nodejs

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"paas/buildpacks/builtin/classic"
)

// manifest is what this buildpack reads of a package.json. Fields that old
// packages spell in other ways (engines as a list) count as not there.
type manifest struct {
	Name             string
	Engines          map[string]string
	Scripts          map[string]string
	PackageManager   string
	CacheDirectories []string
	Workspaces       bool
}

// parseManifest reads a package.json. Only its being no JSON object is an
// error.
func parseManifest(data []byte) (manifest, error) {
	var fields map[string]json.RawMessage
	var m manifest
	data = []byte(strings.TrimPrefix(string(data), "\ufeff"))
	if err := json.Unmarshal(data, &fields); err != nil {
		return m, err
	}
	if fields == nil {
		return m, fmt.Errorf("it holds no JSON object")
	}
	_ = json.Unmarshal(fields["name"], &m.Name)
	_ = json.Unmarshal(fields["packageManager"], &m.PackageManager)
	m.Engines = stringFields(fields["engines"])
	m.Scripts = stringFields(fields["scripts"])
	if json.Unmarshal(fields["cacheDirectories"], &m.CacheDirectories) != nil || len(m.CacheDirectories) == 0 {
		m.CacheDirectories = nil
		_ = json.Unmarshal(fields["cache_directories"], &m.CacheDirectories)
	}
	w := strings.TrimSpace(string(fields["workspaces"]))
	m.Workspaces = w != "" && w != "null"
	return m, nil
}

func stringFields(raw json.RawMessage) map[string]string {
	var all map[string]json.RawMessage
	_ = json.Unmarshal(raw, &all)
	text := map[string]string{}
	for k, v := range all {
		var s string
		if json.Unmarshal(v, &s) == nil {
			text[k] = s
		}
	}
	return text
}

// declared splits the packageManager field: "pnpm@9.1.0+sha512.abc" is pnpm
// and 9.1.0.
func (m manifest) declared() (name, version string) {
	name, version, _ = strings.Cut(strings.TrimSpace(m.PackageManager), "@")
	version, _, _ = strings.Cut(version, "+")
	return name, version
}

func readManifest(c *classic.Call) (manifest, error) {
	data, err := os.ReadFile(c.Path("package.json"))
	if err != nil {
		return manifest{}, fmt.Errorf("cannot read package.json: %w", err)
	}
	m, err := parseManifest(data)
	if err != nil {
		return m, &classic.Failure{Message: "package.json cannot be read: it is no valid JSON.", Err: err,
			Hint: "Check it with `node -e \"require('./package.json')\"`, commit, and push again."}
	}
	return m, nil
}

// Pack is the buildpack.
type Pack struct{}

// Detect accepts an app with a package.json in its root.
func (Pack) Detect(c *classic.Call) (string, error) {
	if c.Exists("package.json") {
		return "Node.js", nil
	}
	for _, file := range []string{".slugignore", ".gitignore"} {
		data, _ := os.ReadFile(c.Path(file))
		for _, line := range strings.Split(string(data), "\n") {
			if l := strings.TrimSpace(line); l == "package.json" || l == "/package.json" {
				return "", classic.Failf("", "no package.json in the root directory: it is listed in %s", file)
			}
		}
	}
	return "", classic.Failf("", "no package.json in the root directory")
}

// Release runs `npm start` unless the app is a tool server, whose process is
// declared in its Procfile.
func (Pack) Release(c *classic.Call) (map[string]string, error) {
	if c.HasProcess(func(name string) bool { return strings.HasPrefix(name, "mcp") }) {
		return nil, nil
	}
	return map[string]string{"web": "npm start"}, nil
}
