package golang

import (
	"io/fs"
	"path/filepath"
	"strings"

	"paas/buildpacks/builtin/classic"
)

// Pack is the buildpack.
type Pack struct{}

// ancient are the files of the package managers before modules.
var ancient = []struct{ file, tool string }{
	{"Gopkg.lock", "dep"},
	{"Godeps/Godeps.json", "godep"},
	{"vendor/vendor.json", "govendor"},
	{"glide.yaml", "glide"},
}

// Detect accepts modules, and what came before them, so that such an app is
// told what to do instead of "no language detected".
func (Pack) Detect(c *classic.Call) (string, error) {
	if c.Exists("go.mod") || packageManager(c) != "" {
		return "Go", nil
	}
	return "", classic.Failf("", "no go.mod in the root directory")
}

// packageManager names the tool an app without go.mod was made for, or "".
func packageManager(c *classic.Call) string {
	for _, a := range ancient {
		if c.Exists(filepath.FromSlash(a.file)) {
			return a.tool
		}
	}
	found := ""
	_ = filepath.WalkDir(c.Path("src"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return filepath.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(path, ".go") {
			found = "gb"
			return filepath.SkipAll
		}
		return nil
	})
	return found
}
