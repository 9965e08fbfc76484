package php

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"paas/buildpacks/builtin/classic"
)

// Pack is the buildpack.
type Pack struct{}

const (
	webCommand   = "heroku-php-apache2"
	nginxCommand = "heroku-php-nginx"
)

// Detect accepts an app with a composer.json or an index.php in its root.
func (Pack) Detect(c *classic.Call) (string, error) {
	for _, file := range []string{File(c.Env.Get), "composer.json", "index.php"} {
		if c.Exists(file) {
			return "PHP", nil
		}
	}
	return "", classic.Failf("", "no composer.json and no index.php in the root directory")
}

// Compile installs an app's packages and the boot scripts.
func (Pack) Compile(ctx context.Context, c *classic.Call) error { return compile(ctx, c, false) }

func compile(ctx context.Context, c *classic.Call, testing bool) error {
	if c.Exists(".heroku", "php") {
		return classic.Failf("Remove it from git: it is where buildpacks put PHP.", "The app has a directory .heroku/php.")
	}
	f := filesOf(c.Config)
	if err := ensureManifest(c, f); err != nil {
		return err
	}
	m, l, err := readComposer(c, f)
	if err != nil {
		return err
	}
	c.Out.Step("Bootstrapping...")
	setEnvironment(c)
	p, err := findPlatform(ctx, c)
	if err != nil {
		return err
	}
	if err := p.check(m, l); err != nil {
		return err
	}
	if err := announce(ctx, c, p, m, l); err != nil {
		return err
	}
	vendor, bin := m.dirs()
	if err := installPackages(ctx, c, m, vendor, testing); err != nil {
		return err
	}
	c.Out.Step("Preparing runtime environment...")
	if err := installBoot(c, vendor, bin); err != nil {
		return err
	}
	return c.Record(map[string]string{"php_version": p.Version})
}

// ensureManifest gives an app that is only an index.php a composer.json.
func ensureManifest(c *classic.Call, f files) error {
	info, err := os.Stat(c.Path(f.json))
	if os.IsNotExist(err) {
		c.Out.Warn("WARNING: No '%s' found.", f.json)
		c.Out.Warn("")
		c.Out.Warn("Using 'index.php' to declare PHP applications is considered legacy")
		c.Out.Warn("functionality. Add an empty file named '%s' to say that this is", f.json)
		c.Out.Warn("a PHP app.")
		return classic.Write(c.Path(f.json), 0o644, "{}\n")
	}
	if err != nil {
		return err
	}
	if info.Size() == 0 {
		return classic.Write(c.Path(f.json), 0o644, "{}\n")
	}
	return nil
}

func setEnvironment(c *classic.Call) {
	c.Env.AddConfig(c.Config)
	c.Env.Set("COMPOSER_HOME", c.Cached("composer"))
	c.Env.Set("COMPOSER_NO_INTERACTION", "1")
	c.Env.Default("COMPOSER_MIRROR_PATH_REPOS", "1") // a link would lead out of the slug
	c.Env.Default("COMPOSER_PROCESS_TIMEOUT", "0")   // the build has a limit of its own
	if token := c.Config["COMPOSER_GITHUB_OAUTH_TOKEN"]; token != "" && c.Env.Get("COMPOSER_AUTH") == "" {
		auth, _ := json.Marshal(map[string]any{"github-oauth": map[string]string{"github.com": token}})
		c.Env.Set("COMPOSER_AUTH", string(auth))
	}
}

// announce prints what the platform gives the app.
func announce(ctx context.Context, c *classic.Call, p platform, m manifest, l *lock) error {
	c.Out.Step("Preparing platform package installation...")
	asked := map[string]bool{}
	hasPHP := false
	for _, n := range needs(m, l) {
		hasPHP = hasPHP || n.name == "php" || n.name == "php-64bit"
		asked[n.name] = true
	}
	if !hasPHP {
		c.Out.Info("NOTICE: No runtime required in composer.json; using PHP %s", p.Version)
	}
	composer, err := c.Output(ctx, "composer", "--version", "--no-ansi")
	if err != nil {
		return &classic.Failure{Message: "Composer is not there, or does not run.", Err: err}
	}
	c.Out.Step("Installing platform packages...")
	c.Out.Info("- php (%s)", p.Version)
	for _, n := range needs(m, l) {
		if strings.HasPrefix(n.name, "ext-") && asked[n.name] {
			asked[n.name] = false
			c.Out.Info("- %s (%s)", n.name, p.Extensions[strings.TrimPrefix(n.name, "ext-")])
		}
	}
	c.Out.Info("- %s", strings.ToLower(strings.TrimSpace(composer)))
	return nil
}

// installPackages runs Composer, and the app's compile script.
func installPackages(ctx context.Context, c *classic.Call, m manifest, vendor string, testing bool) error {
	c.Out.Step("Installing dependencies...")
	if c.Exists(vendor, "autoload.php") && c.Exists(vendor, "composer") {
		c.Out.Warn("WARNING: Your Composer vendor dir is part of your Git repository.")
		c.Out.Warn("That directory should not be under version control; only 'composer.json' and")
		c.Out.Warn("'composer.lock' should be added, which will let Composer handle installation")
		c.Out.Warn("of dependencies on deploy. Remove it with `git rm -r --cached %s`.", vendor)
	}
	if err := useMirror(c); err != nil {
		return err
	}
	args := []string{"composer", "install", "--no-dev", "--prefer-dist", "--optimize-autoloader", "--no-progress", "--no-interaction", "--no-ansi"}
	if testing {
		args = append(args[:2:2], args[3:]...)
	}
	if err := c.Run(ctx, args...); err != nil {
		return &classic.Failure{Message: "Dependency installation failed! (see above)", Err: err,
			Hint: "If a package cannot be downloaded: check that the build can reach Packagist or the\nrepositories of composer.json, and COMPOSER_AUTH for private ones. If the lock file is\nout of date: run `composer update` and commit composer.lock."}
	}
	if _, ok := m.Scripts["compile"]; ok {
		args := []string{"composer", "run-script", "--no-interaction", "--no-ansi", "compile"}
		if !testing {
			args = append(args[:2:2], append([]string{"--no-dev"}, args[2:]...)...)
		}
		if err := c.Run(ctx, args...); err != nil {
			return &classic.Failure{Message: "The \"compile\" script of composer.json failed (see above).", Err: err}
		}
	}
	return nil
}

// useMirror lets the operator put another repository in the place of
// Packagist (COMPOSER_REPO_PACKAGIST in the build environment).
func useMirror(c *classic.Call) error {
	url := c.Env.Get("COMPOSER_REPO_PACKAGIST")
	path := c.Cached("composer", "config.json")
	if url == "" {
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			return err
		}
		return nil
	}
	data, err := json.Marshal(map[string]any{
		"repositories": map[string]any{"packagist.org": map[string]string{"type": "composer", "url": url}},
	})
	if err != nil {
		return fmt.Errorf("cannot configure Composer: %w", err)
	}
	return classic.Write(path, 0o644, string(data))
}

// Release runs Apache from the app's root.
func (Pack) Release(*classic.Call) (map[string]string, error) {
	return map[string]string{"web": webCommand}, nil
}
