package cmd_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// The house rules: who may import whom. They are what keeps an engine from
// knowing the platform and the CLI from linking a server; each has its reason,
// which the failure prints.

type rule struct {
	from   string // package, or a prefix that ends in "/..."
	deny   []string
	except []string
	why    string
}

var rules = []rule{
	{from: "paas/api", deny: []string{"paas/..."}, why: "api is the leaf: the vocabulary that everybody shares"},
	{from: "paas/api/v3", deny: []string{"paas/..."}, why: "the wire shapes are linked by every client"},
	{from: "paas/slug", deny: []string{"paas/..."}, except: []string{"paas/api"}, why: "base packages know only the vocabulary"},
	{from: "paas/dyno", deny: []string{"paas/..."}, except: []string{"paas/api"}, why: "base packages know only the vocabulary"},
	{from: "paas/router/...", deny: []string{"paas/..."}, except: []string{"paas/api", "paas/router/..."}, why: "the router is told routes; it asks nobody"},
	{from: "paas/buildpacks", deny: []string{"paas/..."}, except: []string{"paas/api", "paas/slug/procfile"}, why: "the runner works inside a sandbox and knows no engine"},
	{from: "paas/buildpacks/...", deny: []string{"paas/..."}, except: []string{"paas/api", "paas/buildpacks/...", "paas/buildpacks", "paas/slug/procfile"}, why: "buildpacks know nothing of the platform"},
	{from: "paas/slug/...", deny: []string{"paas/api/...", "paas/dyno/...", "paas/dyno", "paas/router/...", "paas/cmd/..."}, except: []string{"paas/api"}, why: "what makes slugs does not know who runs them"},
	{from: "paas/dyno/...", deny: []string{"paas/api/...", "paas/router/...", "paas/buildpacks/...", "paas/cmd/..."}, except: []string{"paas/api"}, why: "what runs dynos does not know who wants them"},
	{from: "paas/api/store", deny: []string{"paas/..."}, except: []string{"paas/api"}, why: "storage knows the nouns only"},
	{from: "paas/api/store/...", deny: []string{"paas/..."}, except: []string{"paas/api", "paas/api/store", "paas/api/store/..."}, why: "storage knows the nouns only"},
	{from: "paas/api/auth", deny: []string{"paas/..."}, except: []string{"paas/api", "paas/api/store"}, why: "access is decided from the nouns"},
	{from: "paas/api/platform", deny: []string{"paas/..."}, except: []string{"paas/api", "paas/api/store", "paas/api/auth", "paas/slug", "paas/dyno", "paas/router"}, why: "use cases see contracts, never an engine"},
	{from: "paas/api/server", deny: []string{"paas/slug/...", "paas/dyno/...", "paas/buildpacks/...", "paas/api/store/...", "paas/cmd/..."}, why: "handlers call use cases only"},
	{from: "paas/api/gitssh", deny: []string{"paas/dyno/...", "paas/router/...", "paas/slug/build", "paas/api/store/...", "paas/cmd/..."}, why: "the git door sees source and a deployer"},
	{from: "paas/api/client", deny: []string{"paas/..."}, except: []string{"paas/api", "paas/api/v3"}, why: "the client is linked by the CLI"},
	{from: "paas/cmd/internal/cli", deny: []string{"paas/..."}, except: []string{"paas/api", "paas/api/v3", "paas/api/client"}, why: "the CLI's only way in is the API"},

	{from: "paas/...", deny: []string{"github.com/gliderlabs/ssh"}, except: []string{"paas/api/gitssh"}, why: "SSH stays behind api/gitssh"},
	{from: "paas/...", deny: []string{"github.com/go-git/go-git/..."}, except: []string{"paas/slug/source"}, why: "git stays behind slug/source"},
	{from: "paas/...", deny: []string{"github.com/containerd/containerd/..."}, except: []string{"paas/dyno/containerd"}, why: "containerd stays behind dyno/containerd"},
	{from: "paas/...", deny: []string{"github.com/labstack/echo/..."}, except: []string{"paas/api/server", "paas/api/console"}, why: "echo's types stay at the edge"},
	{from: "paas/...", deny: []string{"modernc.org/sqlite", "database/sql"}, except: []string{"paas/api/store/sqlstore"}, why: "SQL stays behind api/store"},
}

type pkg struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func matches(pattern, path string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
		return strings.HasPrefix(path, prefix+"/") || pattern == "paas/..." && strings.HasPrefix(path, "paas")
	}
	return pattern == path
}

func matchesAny(patterns []string, path string) bool {
	for _, p := range patterns {
		if matches(p, path) {
			return true
		}
	}
	return false
}

func goList(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports"}, args...)...)
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("cannot list packages: %v", err)
	}
	var list []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	return list
}

func TestImports(t *testing.T) {
	all := goList(t, "./...")
	if len(all) < 10 {
		t.Fatalf("only %d packages found", len(all))
	}
	for _, r := range rules {
		for _, p := range all {
			if !matches(r.from, p.ImportPath) {
				continue
			}
			for _, imported := range p.Imports {
				own := matchesAny(r.except, imported) || matchesAny(r.except, p.ImportPath) && !strings.HasPrefix(imported, "paas")
				if matchesAny(r.deny, imported) && !own && imported != p.ImportPath {
					t.Errorf("%s must not import %s: %s", p.ImportPath, imported, r.why)
				}
			}
		}
	}
}

// The CLI is small and carries no server code, whatever it imports indirectly.
func TestCLILinksNoServer(t *testing.T) {
	for _, p := range goList(t, "-deps", "./cmd/paas") {
		for _, heavy := range []string{"github.com/containerd/", "github.com/go-git/", "modernc.org/sqlite", "github.com/labstack/echo", "github.com/gliderlabs/ssh", "paas/api/platform", "paas/api/server"} {
			if strings.HasPrefix(p.ImportPath, heavy) {
				t.Errorf("cmd/paas links %s", p.ImportPath)
			}
		}
	}
}

// The rules themselves must bite.
func TestMatches(t *testing.T) {
	tests := []struct {
		pattern, path string
		want          bool
	}{
		{"paas/...", "paas/api", true},
		{"paas/api", "paas/api/v3", false},
		{"paas/api/...", "paas/api/v3", true},
		{"paas/api/...", "paas/api", false},
		{"github.com/labstack/echo/...", "github.com/labstack/echo/v4", true},
		{"paas/slug/...", "paas/slugs", false},
	}
	for _, tt := range tests {
		if got := matches(tt.pattern, tt.path); got != tt.want {
			t.Errorf("matches(%q, %q) = %v", tt.pattern, tt.path, got)
		}
	}
}
