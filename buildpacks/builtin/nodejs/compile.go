package nodejs

import (
	"context"
	"strings"

	"paas/buildpacks/builtin/classic"
)

// build is one compile.
type build struct {
	*classic.Call
	project
	have  versions
	cache cacheState
}

// buildMemory lets Node.js use more of the build container than its default.
const buildMemory = "--max_old_space_size=2560"

// Compile installs Node.js and the app's dependencies and runs its build
// scripts.
func (Pack) Compile(ctx context.Context, c *classic.Call) error {
	p, err := inspect(c)
	if err != nil {
		return err
	}
	b := &build{Call: c, project: p}
	defer func() {
		_ = c.Record(map[string]string{
			"node_version": b.have.node, "npm_version": b.have.npm,
			"package_manager": b.manager.command(), "package_manager_version": b.have.manager,
		})
	}()
	b.setEnvironment()
	for _, step := range []func(context.Context) error{
		b.installBinaries,
		func(context.Context) error { return b.openCache() },
		b.prebuild,
		b.installDependencies,
		b.buildScripts,
		b.saveCache,
		b.prune,
		b.cleanup,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if err := b.removeCachesFromSlug(); err != nil {
		return err
	}
	if err := b.writeScripts(); err != nil {
		return err
	}
	b.Out.Step("Build succeeded!")
	b.warnStart()
	return nil
}

// setEnvironment prepares the environment of all commands and shows the part
// that apps can change.
func (b *build) setEnvironment() {
	b.Env.AddConfig(b.Config)
	b.Env.Default("NPM_CONFIG_LOGLEVEL", "error")
	b.Env.Default("NODE_VERBOSE", "false")
	b.Env.Default("NODE_ENV", "production")
	b.Env.Default("NODE_MODULES_CACHE", "true")
	b.Env.Default("NODE_OPTIONS", buildMemory)
	shown := []string{"NPM_CONFIG_LOGLEVEL", "NODE_VERBOSE", "NODE_ENV", "NODE_MODULES_CACHE"}
	if b.manager == yarn || b.manager == berry {
		b.Env.Default("USE_YARN_CACHE", "true")
		shown = append(shown, "USE_YARN_CACHE")
	}
	b.Env.Set("npm_config_update_notifier", "false")
	b.Env.Set("npm_config_nodedir", b.Path(".heroku", "node")) // until Node.js is installed
	b.Env.Set("NODE_HOME", b.Path(".heroku", "node"))
	b.Env.Set("COREPACK_ENABLE_STRICT", "0")
	b.Env.Prepend("PATH", b.Path(".heroku", "node", "bin"), b.Path(".heroku", "yarn", "bin"))
	b.Out.Step("Creating runtime environment")
	b.Out.Info("")
	for _, key := range shown {
		b.Out.Info("%s=%s", key, b.Env.Get(key))
	}
	b.Out.Info("")
}

func (b *build) prebuild(ctx context.Context) error {
	if !b.hasScript("heroku-prebuild") {
		return nil
	}
	b.Out.Step("Prebuild")
	return b.script(ctx, "heroku-prebuild")
}

func (b *build) cleanup(ctx context.Context) error {
	if !b.hasScript("heroku-cleanup") {
		return nil
	}
	b.Out.Step("Cleanup")
	return b.script(ctx, "heroku-cleanup")
}

// warnStart tells an app that nothing can start it.
func (b *build) warnStart() {
	if b.Exists("Procfile") || b.hasScript("start") || b.Exists("server.js") {
		return
	}
	b.Out.Warn("This app may not specify any way to start a node process: it has no Procfile, no")
	b.Out.Warn("\"start\" script in package.json and no server.js.")
}

// TestCompile installs with development dependencies and keeps them.
func (p Pack) TestCompile(ctx context.Context, c *classic.Call) error {
	for key, value := range map[string]string{"NPM_CONFIG_PRODUCTION": "false", "NODE_ENV": "test"} {
		if _, set := c.Config[key]; !set {
			c.Config[key] = value
		}
	}
	return p.Compile(ctx, c)
}

// Test runs the package manager's test command.
func (Pack) Test(ctx context.Context, c *classic.Call) (int, error) {
	p, err := inspect(c)
	if err != nil {
		return 1, err
	}
	c.Env.AddConfig(c.Config)
	c.Env.Default("NODE_ENV", "test")
	c.Env.Prepend("PATH", c.Path(".heroku", "node", "bin"), c.Path("node_modules", ".bin"))
	if strings.TrimSpace(p.Scripts["test"]) == "" {
		return 1, classic.Failf("Add one, or give the command in app.json.", "package.json has no \"test\" script.")
	}
	return classic.TestStatus(c.Exec(ctx, classic.Command{Args: []string{p.manager.command(), "test"}, Out: c.Out.Raw()}))
}
