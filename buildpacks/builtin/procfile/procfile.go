// Package procfile is the built-in buildpack heroku/procfile: apps that come
// ready to run, with a Procfile that says how. Nothing is compiled.
package procfile

import (
	"context"
	"os"
	"regexp"

	"paas/buildpacks/builtin/classic"
)

// Pack is the buildpack.
type Pack struct{}

// Detect accepts an app with a Procfile in its root.
func (Pack) Detect(c *classic.Call) (string, error) {
	if info, err := os.Stat(c.Path("Procfile")); err == nil && info.Mode().IsRegular() {
		return "Procfile", nil
	}
	return "", classic.Failf("", "no Procfile in the root directory")
}

// process is a line of a Procfile that declares a process type.
var process = regexp.MustCompile(`(?m)^[[:space:]]*[a-zA-Z0-9_-]+:?[ \t]+\S`)

// Compile checks that there is something to run.
func (Pack) Compile(_ context.Context, c *classic.Call) error {
	data, err := os.ReadFile(c.Path("Procfile"))
	if err != nil {
		return classic.Failf("Add a line such as: web: ./server", "The Procfile cannot be read.")
	}
	if !process.Match(data) {
		return classic.Failf("Add a line such as: web: ./server", "The Procfile declares no process type.")
	}
	c.Out.Step("Nothing to build: the app runs as it is, by its Procfile")
	return nil
}

// Release adds nothing to the Procfile.
func (Pack) Release(*classic.Call) (map[string]string, error) { return nil, nil }
