package golang

import (
	"context"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"paas/buildpacks/builtin/classic"
)

// mainPackages are the import paths (or patterns) to install.
func mainPackages(ctx context.Context, c *classic.Call, m goMod, flags []string) ([]string, error) {
	c.Out.Step("Determining packages to install")
	if spec := strings.Fields(c.Env.Get("GO_INSTALL_PACKAGE_SPEC")); len(spec) > 0 {
		c.Out.Info("Using $GO_INSTALL_PACKAGE_SPEC: %s", strings.Join(spec, " "))
		return checked(spec)
	}
	if len(m.install) > 0 {
		c.Out.Info("Using +heroku install of go.mod: %s", strings.Join(m.install, " "))
		return checked(m.install)
	}
	args := append([]string{"go", "list", "-find", "-tags", "heroku"}, flags...)
	out, err := c.Output(ctx, append(args, "-f", `{{if eq .Name "main"}}{{.ImportPath}}{{end}}`, "./...")...)
	if err != nil {
		return nil, &classic.Failure{Message: "go list cannot read the app's packages.", Err: err}
	}
	found := strings.Fields(out)
	if len(found) == 0 {
		c.Out.Warn("Installing package '.' (default)")
		c.Out.Warn("")
		c.Out.Warn("No main packages found. To install a package by name, set the config")
		c.Out.Warn("var GO_INSTALL_PACKAGE_SPEC or a `// +heroku install` comment in go.mod.")
		return []string{"."}, nil
	}
	c.Out.Info("Detected the following main packages to install:")
	for _, p := range found {
		c.Out.Info("  %s", p)
	}
	return found, nil
}

// checked refuses a package that go would read as a flag.
func checked(spec []string) ([]string, error) {
	for _, s := range spec {
		if strings.HasPrefix(s, "-") {
			return nil, classic.Failf("Name packages only; flags go into GOFLAGS.", "%q is no package.", s)
		}
	}
	return spec, nil
}

// writeProcfile writes the Procfile of an app that has none: one program is
// its web process, several are process types by their names.
func writeProcfile(ctx context.Context, c *classic.Call, flags, packages []string) error {
	if c.Exists("Procfile") {
		return nil
	}
	args := append([]string{"go", "list", "-find", "-tags", "heroku"}, flags...)
	out, err := c.Output(ctx, append(append(args, "-f", `{{if eq .Name "main"}}{{.Target}}{{end}}`), packages...)...)
	if err != nil {
		return err
	}
	var names []string
	for _, target := range strings.Fields(out) {
		names = append(names, path.Base(target))
	}
	slices.Sort(names)
	text := procfile(slices.Compact(names))
	if text == "" {
		return nil
	}
	c.Out.Step("Writing a Procfile, as the app has none")
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		c.Out.Info("%s", line)
	}
	return classic.Write(c.Path("Procfile"), 0o644, text)
}

func procfile(names []string) string {
	if len(names) == 1 {
		return "web: bin/" + names[0] + "\n"
	}
	var b strings.Builder
	for _, n := range names {
		b.WriteString(n + ": bin/" + n + "\n")
	}
	return b.String()
}

// removeAll removes a tree that can hold read-only directories, as Go's
// module cache does.
func removeAll(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil || !os.IsPermission(err) {
		return err
	}
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(p, 0o755)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
