package nodejs

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/Masterminds/semver/v3"

	"paas/buildpacks/builtin/classic"
	"paas/buildpacks/runtimes"
)

// versions are what is installed.
type versions struct {
	node, npm, manager string
}

// installBinaries installs Node.js, npm and the app's package manager.
func (b *build) installBinaries(ctx context.Context) error {
	b.Out.Step("Installing binaries")
	b.Out.Info("engines.node (package.json):   %s", unspecified(b.Engines["node"], "unspecified"))
	b.Out.Info("engines.npm (package.json):    %s", unspecified(b.Engines["npm"], "unspecified (use default)"))
	if b.manager == yarn || b.manager == berry {
		b.Out.Info("engines.yarn (package.json):   %s", unspecified(b.Engines["yarn"], "unspecified (use default)"))
	}
	if b.manager == pnpm {
		b.Out.Info("engines.pnpm (package.json):   %s", unspecified(b.Engines["pnpm"], "unspecified (use default)"))
	}
	if b.PackageManager != "" {
		b.Out.Info("packageManager (package.json): %s", b.PackageManager)
	}
	i := newInstaller(b.Call)
	if err := i.installNode(ctx, b.Engines["node"]); err != nil {
		return err
	}
	b.have.node = i.node
	if err := b.installNPM(ctx, i); err != nil {
		return err
	}
	b.have.manager = b.have.npm
	switch b.manager {
	case yarn:
		return b.installManager(ctx, i, "yarn", "1.22.x")
	case berry:
		return b.installBerry(ctx, i)
	case pnpm:
		if b.version == "" {
			b.Out.Warn("No pnpm version is set in package.json (packageManager or engines.pnpm): the newest")
			b.Out.Warn("one is used, and another one may be tomorrow.")
		}
		return b.installManager(ctx, i, "pnpm", "*")
	}
	return nil
}

func unspecified(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func (b *build) installNPM(ctx context.Context, i *installer) error {
	bundled := runtimes.BundledNPM(i.node)
	wish := strings.TrimSpace(b.Engines["npm"])
	if b.manager == npm {
		wish = b.version // packageManager can name one too
	}
	if wish == "" || wish == bundled {
		if b.Config["NODE_BINARY_URL"] != "" {
			return b.askNPM(ctx) // the archive holds one
		}
		b.Out.Info("Using default npm version: %s", bundled)
		wish = bundled
	} else {
		b.Out.Info("Bootstrapping npm %s (replacing %s)...", wish, bundled)
	}
	v, err := i.installTool(ctx, "npm", wish)
	b.have.npm = v
	return err
}

func (b *build) askNPM(ctx context.Context) error {
	v, err := b.Output(ctx, "npm", "--version")
	b.have.npm = strings.TrimSpace(v)
	return err
}

func (b *build) installManager(ctx context.Context, i *installer, pkg, otherwise string) error {
	v, err := i.installTool(ctx, pkg, unspecified(b.version, otherwise))
	b.have.manager = v
	return err
}

// installBerry uses the yarn in the repository if there is one. yarn 1 stands
// in front of it: it is what finds yarnPath, and it does so for every command
// that runs in the app's dynos.
func (b *build) installBerry(ctx context.Context, i *installer) error {
	if b.vendored != "" {
		if _, err := i.installTool(ctx, "yarn", "1.22.x"); err != nil {
			return err
		}
		v, err := b.Output(ctx, "yarn", "--version")
		if err != nil {
			return &classic.Failure{Message: "The yarn of .yarnrc.yml does not run.", Err: err}
		}
		b.have.manager = strings.TrimSpace(v)
		b.Out.Info("Using yarn %s (%s)", b.have.manager, b.vendored)
		return nil
	}
	return b.installManager(ctx, i, "@yarnpkg/cli-dist", ">=2")
}

// atLeast tells whether the package manager in use has at least that version.
func (b *build) atLeast(version string) bool {
	have, err := semver.NewVersion(b.have.manager)
	return err == nil && !have.LessThan(semver.MustParse(version))
}

// installDependencies runs the package manager.
func (b *build) installDependencies(ctx context.Context) error {
	b.Out.Step("Installing dependencies")
	if b.prebuilt && b.manager == npm {
		b.Out.Info("Prebuild detected (node_modules already exists)")
		b.Out.Info("Rebuilding any native modules")
		if err := b.run(ctx, "npm rebuild", "npm", "rebuild"); err != nil {
			return err
		}
		b.Out.Info("Installing any new modules (package.json)")
		return b.run(ctx, "npm install", b.npmInstall("install")...)
	}
	switch b.manager {
	case npm:
		verb, files := "install", "package.json"
		if b.lockfile != "" && b.npmMajor() >= 6 && b.Env.Get("USE_NPM_INSTALL") != "true" {
			verb = "ci"
			// The lockfile pins everything: what the cache holds need not be
			// asked for again.
			b.Env.Default("npm_config_prefer_offline", "true")
		}
		if b.lockfile != "" {
			files += " + " + b.lockfile
		}
		b.Out.Info("Installing node modules (%s)", files)
		return b.run(ctx, "npm "+verb, b.npmInstall(verb)...)
	case yarn:
		b.Out.Info("Installing node modules (yarn.lock)")
		return b.run(ctx, "yarn install", "yarn", "install", "--production="+b.or("YARN_PRODUCTION", "false"),
			"--frozen-lockfile", "--ignore-engines", "--prefer-offline")
	case berry:
		return b.installWithBerry(ctx)
	}
	b.Out.Info("Running 'pnpm install' with pnpm-lock.yaml")
	args := []string{"pnpm", "install", "--prod=false"}
	if b.lockfile != "" {
		args = append(args, "--frozen-lockfile")
	}
	return b.run(ctx, "pnpm install", args...)
}

func (b *build) installWithBerry(ctx context.Context) error {
	if b.Env.Get("YARN_PRODUCTION") != "" {
		return classic.Failf("Remove it: `paas config:unset YARN_PRODUCTION`. To keep development dependencies in the\nslug set YARN2_SKIP_PRUNING=true.",
			"YARN_PRODUCTION is set, which yarn 2 and later do not know.")
	}
	b.Out.Info("Running 'yarn install' with yarn.lock")
	args := []string{"yarn", "install"}
	if b.lockfile != "" {
		args = append(args, "--immutable")
	}
	if b.zero {
		args = append(args, "--immutable-cache")
	}
	return b.run(ctx, "yarn install", args...)
}

func (b *build) npmMajor() uint64 {
	v, err := semver.NewVersion(b.have.npm)
	if err != nil {
		return 0
	}
	return v.Major()
}

// npmInstall is the command line of npm install or npm ci. Development
// dependencies are installed although NODE_ENV is "production": build scripts
// need them. They are pruned later.
func (b *build) npmInstall(verb string) []string {
	args := []string{"npm", verb, "--production=" + b.or("NPM_CONFIG_PRODUCTION", "false")}
	if b.npmMajor() < 12 {
		args = append(args, "--unsafe-perm")
	}
	return append(args, "--userconfig", b.Path(".npmrc"))
}

func (b *build) or(key, otherwise string) string { return unspecified(b.Env.Get(key), otherwise) }

// run runs a package manager's command; what it prints says why it fails.
func (b *build) run(ctx context.Context, shown string, args ...string) error {
	err := b.Run(ctx, args...)
	if err == nil {
		return nil
	}
	return &classic.Failure{Message: fmt.Sprintf("`%s` failed (see above).", shown), Err: err, Hint: b.hint(shown)}
}

func (b *build) hint(shown string) string {
	switch shown {
	case "npm ci", "yarn install", "pnpm install":
		return fmt.Sprintf("If it complains about the lockfile: run the package manager here and now, commit %s,\nand push again.", b.lockfile)
	case "npm run build", "yarn run build", "pnpm run build":
		return "The build script runs with NODE_ENV=production and with development dependencies installed.\nTry `NODE_ENV=production npm run build` on a fresh checkout."
	}
	return ""
}

// hasScript tells whether package.json has a script.
func (b *build) hasScript(name string) bool {
	_, ok := b.Scripts[name]
	return ok
}

// script runs a script of package.json, if it is there.
func (b *build) script(ctx context.Context, name string, flags ...string) error {
	if !b.hasScript(name) {
		return nil
	}
	b.Out.Info("Running %s", name)
	if b.Scripts[name] == "" {
		return nil // yarn fails on an empty script
	}
	args := []string{b.manager.command(), "run", name}
	if len(flags) > 0 && b.manager == npm {
		args = append(args, "--")
	}
	return b.run(ctx, strings.Join(args[:3], " "), append(args, flags...)...)
}

// buildScripts runs heroku-postbuild or, without one, build.
func (b *build) buildScripts(ctx context.Context) error {
	b.Out.Step("Build")
	if b.hasScript("heroku-postbuild") {
		if b.hasScript("build") {
			b.Out.Info("Detected both \"build\" and \"heroku-postbuild\" scripts")
		}
		return b.script(ctx, "heroku-postbuild")
	}
	flags := strings.Fields(b.Env.Get("NODE_BUILD_FLAGS"))
	if len(flags) > 0 && b.hasScript("build") {
		b.Out.Info("Running with %s flags", strings.Join(flags, " "))
	}
	return b.script(ctx, "build", flags...)
}

// removeCachesFromSlug takes away what package managers leave in the app's
// home directory.
func (b *build) removeCachesFromSlug() error {
	for _, dir := range []string{b.Path(".npm"), b.Path(".cache", "yarn"), b.Path(".node-gyp")} {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}
