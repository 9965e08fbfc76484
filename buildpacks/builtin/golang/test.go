package golang

import (
	"context"
	"os"
	"path/filepath"

	"paas/buildpacks/builtin/classic"
)

// TestCompile compiles, and leaves toolchain and modules in the tree for Test.
func (p Pack) TestCompile(ctx context.Context, c *classic.Call) error {
	for _, key := range []string{"GO_INSTALL_TOOLS_IN_IMAGE", "GO_SETUP_GOPATH_FOR_MODULE_CACHE"} {
		c.Config[key] = "true"
		if c.EnvDir != "" { // bin/test of this build reads them there
			if err := os.WriteFile(filepath.Join(c.EnvDir, key), []byte("true"), 0o600); err != nil {
				return err
			}
		}
	}
	return p.Compile(ctx, c)
}

// Test runs go test, then the benchmarks.
func (Pack) Test(ctx context.Context, c *classic.Call) (int, error) {
	setEnvironment(c)
	c.Env.Set("GOROOT", c.Path(".heroku", "go"))
	c.Env.Set("GOMODCACHE", c.Path(".heroku", "go-path", "pkg", "mod"))
	c.Env.Prepend("PATH", c.Path(".heroku", "go", "bin"))
	args := append([]string{"go", "test", "-race", "-v"}, vendorFlags(c)...)
	out := c.Out.Raw()
	err := c.Exec(ctx, classic.Command{Args: append(args, "./..."), Out: out})
	if err != nil || c.Env.Get("GO_TEST_SKIP_BENCHMARK") != "" {
		return classic.TestStatus(err)
	}
	args = append([]string{"go", "test", "-run", "^$", "-bench", "."}, vendorFlags(c)...)
	return classic.TestStatus(c.Exec(ctx, classic.Command{Args: append(args, "./..."), Out: out}))
}
