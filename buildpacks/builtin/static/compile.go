package static

import (
	"context"
	"fmt"
	"os"

	"paas/buildpacks/builtin/classic"
)

// Pack is the buildpack.
type Pack struct{}

// Detect accepts an app that has a static.json, or pages where they are
// looked for without one.
func (Pack) Detect(c *classic.Call) (string, error) {
	if c.Exists(configName) || c.Exists("index.html") || c.Exists("public_html", "index.html") {
		return "Static HTML", nil
	}
	return "", classic.Failf("", "no static.json and no index.html in the root directory or in public_html")
}

// program is where the web server lies in the slug.
const program = ".heroku/static/paas-buildpack"

// bootScript is the command of the web process, as in Heroku's buildpack.
const bootScript = `#!/bin/sh
exec "$HOME/` + program + `" serve-static "$HOME"
`

// Compile checks static.json and adds the web server.
func (Pack) Compile(_ context.Context, c *classic.Call) error {
	config, unknown, err := LoadConfig(c.BuildDir)
	if err != nil {
		return &classic.Failure{Message: "The site's configuration cannot be used.", Err: err}
	}
	for _, name := range unknown {
		c.Out.Warn("static.json: there is no setting %q; it is ignored.", name)
	}
	if c.Exists("config", "nginx.conf") || c.Exists("config", "nginx.conf.erb") {
		c.Out.Warn("config/nginx.conf is not used: this buildpack serves sites without nginx.")
	}
	if info, err := os.Stat(c.Path(config.Root)); err != nil || !info.IsDir() {
		return classic.Failf("Create it, set \"root\" in static.json, or put the buildpack that makes it before this one.",
			"The site's root directory %q does not exist.", config.Root)
	}
	c.Out.Step("Installing the static web server")
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find the web server: %w", err)
	}
	if err := classic.Copy(self, c.Path(program)); err != nil {
		return fmt.Errorf("cannot install the web server: %w", err)
	}
	if err := os.Chmod(c.Path(program), 0o755); err != nil {
		return err
	}
	c.Out.Info("Serving %s", config.Root)
	return classic.Write(c.Path("bin", "boot"), 0o755, bootScript)
}

// Release starts the web server.
func (Pack) Release(*classic.Call) (map[string]string, error) {
	return map[string]string{"web": "bin/boot"}, nil
}
