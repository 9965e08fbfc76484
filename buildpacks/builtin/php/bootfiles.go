package php

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"paas/buildpacks/builtin/classic"
)

//go:embed conf
var conf embed.FS

// home is where the boot scripts and their configuration lie, below the
// vendor directory: the place of Heroku's own package.
const home = "heroku/heroku-buildpack-php"

// installBoot adds the boot scripts, their configuration, and what makes a
// dyno find them.
func installBoot(c *classic.Call, vendor, bin string) error {
	base := path.Join(vendor, home)
	if err := os.RemoveAll(c.Path(base)); err != nil {
		return err
	}
	if err := writeConf(c.Path(base)); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find the boot scripts: %w", err)
	}
	program := path.Join(base, "bin", webCommand)
	if err := classic.Copy(self, c.Path(program)); err != nil {
		return err
	}
	if err := os.Chmod(c.Path(program), 0o755); err != nil {
		return err
	}
	if err := classic.Symlink(webCommand, c.Path(base, "bin", nginxCommand)); err != nil {
		return err
	}
	for _, name := range []string{webCommand, nginxCommand} {
		target, err := filepath.Rel(bin, path.Join(base, "bin", name))
		if err != nil {
			return err
		}
		if err := classic.Symlink(target, c.Path(bin, name)); err != nil {
			return err
		}
	}
	if !c.Exists("Procfile") {
		c.Out.Info("NOTICE: No Procfile, using 'web: %s'.", webCommand)
		if err := classic.Write(c.Path("Procfile"), 0o644, "web: "+webCommand+"\n"); err != nil {
			return err
		}
	}
	if err := c.ProfileScript("100-php.sh", "export PATH=\"$HOME/"+bin+":$PATH\"\n"); err != nil {
		return err
	}
	// The boot scripts compute WEB_CONCURRENCY themselves; this file takes the
	// place of one that another buildpack wrote.
	if err := c.ProfileScript("WEB_CONCURRENCY.sh", ""); err != nil {
		return err
	}
	return c.Export("export PATH=" + classic.Quote(c.Path(bin)) + ":\"$PATH\"\n" +
		"export COMPOSER_HOME=" + classic.Quote(c.Cached("composer")) + "\n")
}

// writeConf writes the configuration files below base.
func writeConf(base string) error {
	return fs.WalkDir(conf, "conf", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := conf.ReadFile(name)
		if err != nil {
			return err
		}
		return classic.Write(filepath.Join(base, filepath.FromSlash(name)), 0o644, string(data))
	})
}
