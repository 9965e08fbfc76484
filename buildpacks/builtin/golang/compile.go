package golang

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"paas/buildpacks/builtin/classic"
	"paas/buildpacks/runtimes"
)

// Compile builds the app's programs into bin.
func (Pack) Compile(ctx context.Context, c *classic.Call) error {
	facts := map[string]string{}
	defer func() { _ = c.Record(facts) }()
	m, err := readGoMod(c)
	if err != nil {
		return err
	}
	if info, err := os.Stat(c.Path("bin")); err == nil && !info.IsDir() {
		return classic.Failf("Go's programs go into a directory of that name: rename the file.", "bin is a file.")
	}
	setEnvironment(c)
	c.Out.Step("")
	c.Out.Info("Detected go modules via go.mod")
	if m.path != "" {
		c.Out.Step("")
		c.Out.Info("Detected Module Name: %s", m.path)
	}
	version, err := installGo(ctx, c, m)
	if err != nil {
		return err
	}
	facts["go_version"] = version
	if c.Env.Get("GO_SETUP_GOPATH_FOR_MODULE_CACHE") == "true" {
		c.Env.Set("GOMODCACHE", c.Path(".heroku", "go-path", "pkg", "mod"))
	}
	c.Env.Set("GOBIN", c.Path("bin"))
	if err := hook(ctx, c, "go-pre-compile"); err != nil {
		return err
	}
	vendor := vendorFlags(c)
	packages, err := mainPackages(ctx, c, m, vendor)
	if err != nil {
		return err
	}
	if err := install(ctx, c, version, vendor, packages, facts); err != nil {
		return err
	}
	if err := hook(ctx, c, "go-post-compile"); err != nil {
		return err
	}
	if err := writeProcfile(ctx, c, vendor, packages); err != nil {
		return err
	}
	if c.Env.Get("GO_INSTALL_TOOLS_IN_IMAGE") == "true" {
		if err := shipTools(c); err != nil {
			return err
		}
	}
	if err := bound(ctx, c); err != nil {
		return err
	}
	if err := c.ProfileScript("go.sh", "PATH=$PATH:$HOME/bin\n"); err != nil {
		return err
	}
	return c.Export("export PATH=" + classic.Quote(filepath.Join(c.Env.Get("GOROOT"), "bin")) + ":\"$PATH\"\n" +
		exports(c, "GOROOT", "GOPATH", "GOCACHE", "GOMODCACHE", "GOTOOLCHAIN"))
}

func exports(c *classic.Call, keys ...string) string {
	var b strings.Builder
	for _, k := range keys {
		b.WriteString("export " + k + "=" + classic.Quote(c.Env.Get(k)) + "\n")
	}
	return b.String()
}

// vendorFlags chooses committed dependencies over downloaded ones.
func vendorFlags(c *classic.Call) []string {
	sum, err := os.Stat(c.Path("go.sum"))
	if err != nil || sum.Size() == 0 || !c.Exists("vendor") || c.Exists("go.work") {
		return nil
	}
	return []string{"-mod=vendor"}
}

func install(ctx context.Context, c *classic.Call, version string, vendor, packages []string, facts map[string]string) error {
	args := []string{"go", "install", "-v", "-tags", "heroku"}
	if symbol := c.Env.Get("GO_LINKER_SYMBOL"); symbol != "" {
		value := c.Env.Get("GO_LINKER_VALUE")
		if value == "" {
			value = c.Env.Get("SOURCE_VERSION")
		}
		args = append(args, "-ldflags", "-X "+symbol+"="+value)
	}
	args = append(args, vendor...)
	args = append(args, packages...)
	c.Out.Step("Running: %s", strings.Join(args, " "))
	// Ours, and not shown: see the package's documentation.
	quiet := []string{"-trimpath"}
	if runtimes.CompareGo(version, "go1.18") >= 0 {
		quiet = append(quiet, "-buildvcs=false")
	}
	args = append(args[:2:2], append(quiet, args[2:]...)...)
	start := time.Now()
	if err := c.Run(ctx, args...); err != nil {
		return &classic.Failure{Message: "go install failed (see above).", Err: err,
			Hint: "If a module cannot be found: commit go.mod and go.sum after `go mod tidy`. For a private\nmodule set GOPRIVATE and GO_GIT_CRED__HTTPS__<HOST> as config vars."}
	}
	facts["go_install_seconds"] = time.Since(start).Round(time.Millisecond).String()
	return nil
}

// hook runs bin/<name> of the app, if it has one.
func hook(ctx context.Context, c *classic.Call, name string) error {
	info, err := os.Stat(c.Path("bin", name))
	if err != nil || info.IsDir() {
		return nil
	}
	if err := os.Chmod(c.Path("bin", name), info.Mode().Perm()|0o700); err != nil {
		return err
	}
	c.Out.Step("Running bin/%s hook", name)
	env := c.Env.Clone()
	env.Set("GO_BUILD_DIR", c.BuildDir)
	if err := c.Exec(ctx, classic.Command{Args: []string{c.Path("bin", name)}, Env: env, Out: c.Out.Indented()}); err != nil {
		return &classic.Failure{Message: "bin/" + name + " failed (see above).", Err: err}
	}
	return nil
}

// shipTools puts the toolchain into the slug, for apps that compile at run
// time.
func shipTools(c *classic.Call) error {
	c.Out.Step("Copying go tool chain to $GOROOT=$HOME/.heroku/go")
	if err := classic.Copy(c.Env.Get("GOROOT"), c.Path(".heroku", "go")); err != nil {
		return err
	}
	return c.ProfileScript("goroot.sh", "export GOROOT=$HOME/.heroku/go\nPATH=$PATH:$GOROOT/bin\n")
}

// moduleCacheLimit is the number of module versions that are kept before
// downloaded modules are dropped: they would gather for ever.
const moduleCacheLimit = 2000

// bound keeps the cache from growing without end. Go trims its build cache
// itself; of the module cache the downloads stay (they are what costs time)
// unless there are too many.
func bound(ctx context.Context, c *classic.Call) error {
	zips, err := filepath.Glob(filepath.Join(cacheRoot(c), "go-path", "pkg", "mod", "cache", "download", "*", "*", "*", "@v", "*.zip"))
	if err != nil || len(zips) < moduleCacheLimit {
		return err
	}
	_, err = c.Output(ctx, "go", "clean", "-modcache")
	return err
}

// Release has no process types: Compile wrote a Procfile.
func (Pack) Release(*classic.Call) (map[string]string, error) { return nil, nil }
