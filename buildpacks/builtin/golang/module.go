package golang

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"golang.org/x/mod/modfile"

	"paas/buildpacks/builtin/classic"
	"paas/buildpacks/runtimes"
)

// defaultGo is the line for a go.mod that names none.
const defaultGo = "go1.25"

// goMod is what a go.mod tells this buildpack.
type goMod struct {
	path      string
	goLine    string // "1.25" or "1.25.3", "" if there is none
	toolchain string // "go1.25.3", "" if there is none or "default"
	heroku    string // // +heroku goVersion go1.25
	install   []string
}

// directive is a comment that speaks to the buildpack.
var directive = regexp.MustCompile(`^//\s*\+heroku\s+(goVersion|install)\s+(.+)$`)

// parseGoMod reads a go.mod. It is lax about what it does not use: whether
// the file is right, go itself says best.
func parseGoMod(data []byte) (goMod, error) {
	var m goMod
	f, err := modfile.ParseLax("go.mod", data, nil)
	if err != nil {
		return m, err
	}
	if f.Module != nil {
		m.path = f.Module.Mod.Path
	}
	if f.Go != nil {
		m.goLine = f.Go.Version
	}
	// ParseLax drops the toolchain line, as it is no dependency's business.
	for _, stmt := range f.Syntax.Stmt {
		if line, ok := stmt.(*modfile.Line); ok && len(line.Token) == 2 && line.Token[0] == "toolchain" && line.Token[1] != "default" {
			m.toolchain = line.Token[1]
		}
	}
	for _, line := range strings.Split(string(data), "\n") {
		d := directive.FindStringSubmatch(strings.TrimSpace(line))
		if d == nil {
			continue
		}
		fields := strings.Fields(d[2])
		if d[1] == "install" {
			m.install = fields
			continue
		}
		m.heroku = fields[0]
	}
	return m, nil
}

// wanted is a Go version and where the app says so.
type wanted struct{ version, source string }

// chooseVersion decides which Go an app asks for: the GOVERSION config var,
// then the +heroku comment, then the newer of the go and toolchain lines.
func chooseVersion(m goMod, config map[string]string) (wanted, error) {
	w := wanted{defaultGo, "default"}
	switch {
	case strings.TrimSpace(config["GOVERSION"]) != "":
		w = wanted{strings.TrimSpace(config["GOVERSION"]), "config var GOVERSION"}
	case m.heroku != "":
		w = wanted{m.heroku, "+heroku goVersion in go.mod"}
	case m.goLine != "":
		w = wanted{m.goLine, "go line in go.mod"}
		if t, _, _ := strings.Cut(m.toolchain, "-"); runtimes.IsGoVersion(t) && runtimes.CompareGo("go"+m.goLine, t) < 0 {
			w = wanted{t, "toolchain line in go.mod"}
		}
	}
	if w.version[0] >= '0' && w.version[0] <= '9' {
		w.version = "go" + w.version
	}
	if !runtimes.IsGoVersion(w.version) {
		return w, classic.Failf("Write it as go1.25 (newest patch) or go1.25.3.",
			"%q (%s) is no Go version.", w.version, w.source)
	}
	return w, nil
}

func readGoMod(c *classic.Call) (goMod, error) {
	data, err := os.ReadFile(c.Path("go.mod"))
	if os.IsNotExist(err) {
		return goMod{}, classic.Failf(
			"Run `go mod init` and `go mod tidy`, commit go.mod and go.sum, and push again.",
			"This app is made for %s, which Go has replaced by modules.", packageManager(c))
	}
	if err != nil {
		return goMod{}, fmt.Errorf("cannot read go.mod: %w", err)
	}
	m, err := parseGoMod(data)
	if err != nil {
		return m, &classic.Failure{Message: "go.mod cannot be read.", Err: err, Hint: "Run `go mod tidy` and commit the result."}
	}
	return m, nil
}
