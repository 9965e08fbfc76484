package nodejs

import (
	"os"
	"strings"

	"paas/buildpacks/builtin/classic"
)

// manager is a package manager.
type manager string

const (
	npm   manager = "npm"
	yarn  manager = "yarn"  // version 1
	berry manager = "berry" // yarn from version 2 on
	pnpm  manager = "pnpm"
)

// project is what is known of an app before anything is installed.
type project struct {
	manifest
	manager  manager
	version  string // range of the package manager that the app asks for; "" for the default
	lockfile string // "" if there is none
	prebuilt bool   // node_modules is committed
	vendored string // Berry: the yarn program in the repository
	zero     bool   // Berry: the cache is in the repository
	linker   string // Berry: nodeLinker, "" is Plug'n'Play
}

var lockfiles = []struct {
	file string
	by   manager
}{
	{"package-lock.json", npm},
	{"npm-shrinkwrap.json", npm},
	{"yarn.lock", yarn},
	{"pnpm-lock.yaml", pnpm},
}

// inspect reads the app and refuses what cannot be meant.
func inspect(c *classic.Call) (project, error) {
	var p project
	for _, path := range []string{".heroku", ".heroku/node"} {
		if info, err := os.Lstat(c.Path(path)); err == nil && !info.IsDir() {
			return p, classic.Failf("Node.js is installed in .heroku/node: remove or rename the file.", "%s is a file.", path)
		}
	}
	m, err := readManifest(c)
	if err != nil {
		return p, err
	}
	p.manifest = m
	p.prebuilt = c.Exists("node_modules")
	if m.Engines["iojs"] != "" {
		return p, classic.Failf("Replace engines.iojs by engines.node in package.json.", "io.js is not supported: it became Node.js again in 2015.")
	}
	if err := p.findLockfile(c); err != nil {
		return p, err
	}
	if err := p.findManager(); err != nil {
		return p, err
	}
	return p, p.inspectYarn(c)
}

func (p *project) findLockfile(c *classic.Call) error {
	var found []string
	for _, l := range lockfiles {
		if c.Exists(l.file) {
			found = append(found, l.file)
			if p.lockfile == "" || l.file != "npm-shrinkwrap.json" {
				p.lockfile, p.manager = l.file, l.by
			}
		}
	}
	if len(found) > 1 {
		return classic.Failf("Keep the one of the package manager you use, remove the others from git, and push\nagain: two lockfiles lead to different dependencies here and on your machine.",
			"The app has more than one lockfile: %s.", strings.Join(found, ", "))
	}
	return nil
}

// findManager compares what the app declares with its lockfile. Every app has
// npm, so a wish for a version of npm excludes no other package manager.
func (p *project) findManager() error {
	declared, declaredVersion := p.declared()
	var asked []manager
	var where []string
	for _, name := range []manager{yarn, pnpm} {
		byEngines := strings.TrimSpace(p.Engines[string(name)]) != ""
		if byEngines {
			where = append(where, "engines."+string(name))
		}
		if byEngines || declared == string(name) {
			asked = append(asked, name)
		}
	}
	if len(asked) > 1 || len(asked) == 1 && declared == string(npm) {
		return classic.Failf("Declare the one you use, and remove the others from package.json.",
			"package.json declares more than one package manager: %s.", strings.Join(append(where, "packageManager"), ", "))
	}
	if len(asked) == 1 {
		if p.lockfile != "" && p.manager != asked[0] {
			return classic.Failf("Remove the lockfile or the declaration that is not meant.",
				"package.json declares %s, but the lockfile is %s.", asked[0], p.lockfile)
		}
		p.manager = asked[0]
	}
	if p.manager == "" {
		p.manager = npm
	}
	p.version = strings.TrimSpace(p.Engines[string(p.manager)])
	if declared == string(p.manager) && declaredVersion != "" {
		p.version = declaredVersion
	}
	return nil
}

// inspectYarn tells Berry from yarn 1. Berry's lockfile says so; without one
// the version does.
func (p *project) inspectYarn(c *classic.Call) error {
	if p.manager != yarn {
		return nil
	}
	lock, err := os.ReadFile(c.Path("yarn.lock"))
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	rc := berryConfig(c)
	p.vendored = rc["yarnPath"]
	p.linker = rc["nodeLinker"]
	modern := strings.Contains(string(lock), "\n__metadata:") || strings.HasPrefix(string(lock), "__metadata:")
	if len(lock) == 0 {
		first := strings.TrimLeft(p.version, "^~>=v ")
		modern = p.vendored != "" || first != "" && first[0] >= '2' && first[0] <= '9'
	}
	if !modern {
		return nil
	}
	p.manager = berry
	p.zero = c.Exists(".yarn", "cache")
	if p.vendored != "" && !c.Exists(p.vendored) {
		return classic.Failf("Commit it (it must not be in .gitignore), or remove yarnPath from .yarnrc.yml.",
			"The yarn program that .yarnrc.yml names (%s) is not in the repository.", p.vendored)
	}
	return nil
}

// berryConfig reads the top-level scalars of .yarnrc.yml; the file is YAML,
// but the two settings of interest are always written on one line.
func berryConfig(c *classic.Call) map[string]string {
	settings := map[string]string{}
	data, _ := os.ReadFile(c.Path(".yarnrc.yml"))
	for _, line := range strings.Split(string(data), "\n") {
		key, value, ok := strings.Cut(line, ":")
		if !ok || key != strings.TrimSpace(key) || strings.HasPrefix(key, "#") {
			continue
		}
		value, _, _ = strings.Cut(value, " #")
		settings[strings.Trim(key, `"'`)] = strings.Trim(strings.TrimSpace(value), `"'`)
	}
	return settings
}

// command is the program's name.
func (m manager) command() string {
	if m == berry {
		return "yarn"
	}
	return string(m)
}
