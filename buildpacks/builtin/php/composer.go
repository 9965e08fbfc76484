package php

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"paas/buildpacks/builtin/classic"
)

// manifest is what this buildpack reads of a composer.json.
type manifest struct {
	Require    requirements               `json:"require"`
	RequireDev requirements               `json:"require-dev"`
	Scripts    map[string]json.RawMessage `json:"-"`
	Config     struct {
		VendorDir string `json:"vendor-dir"`
		BinDir    string `json:"bin-dir"`
	} `json:"config"`
}

// requirements are package names and version constraints. PHP writes an empty
// object as a list, so a list is no requirements.
type requirements map[string]string

func (r *requirements) UnmarshalJSON(data []byte) error {
	if list := strings.TrimSpace(string(data)); strings.HasPrefix(list, "[") {
		return nil
	}
	var m map[string]string
	err := json.Unmarshal(data, &m)
	*r = m
	return err
}

func parseManifest(data []byte) (manifest, error) {
	var m manifest
	if strings.TrimSpace(string(data)) == "" {
		data = []byte("{}")
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, err
	}
	var rest struct{ Scripts json.RawMessage }
	_ = json.Unmarshal(data, &rest)
	_ = json.Unmarshal(rest.Scripts, &m.Scripts) // an empty list is no scripts
	return m, nil
}

// dirs are the vendor and bin directories relative to the app.
func (m manifest) dirs() (vendor, bin string) {
	vendor = strings.TrimSuffix(m.Config.VendorDir, "/")
	if vendor == "" {
		vendor = "vendor"
	}
	bin = strings.TrimSuffix(m.Config.BinDir, "/")
	if bin == "" {
		bin = path.Join(vendor, "bin")
	}
	bin = strings.NewReplacer("{$vendor-dir}", vendor, "$vendor-dir", vendor).Replace(bin)
	return path.Clean(vendor), path.Clean(bin)
}

// Dirs returns the vendor and bin directories of the app in dir. Apps that
// are started without a composer.json have the usual ones.
func Dirs(dir, file string) (vendor, bin string) {
	data, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return manifest{}.dirs()
	}
	m, err := parseManifest(data)
	if err != nil {
		return manifest{}.dirs()
	}
	return m.dirs()
}

// lock is what this buildpack reads of a composer.lock.
type lock struct {
	Platform requirements `json:"platform"`
	Packages []struct {
		Name    string       `json:"name"`
		Require requirements `json:"require"`
		Provide requirements `json:"provide"`
		Replace requirements `json:"replace"`
	} `json:"packages"`
	PlatformDev requirements `json:"platform-dev"`
}

// files are the names of an app's Composer files.
type files struct{ json, lock string }

// File is the name of an app's composer.json, which the COMPOSER variable can
// change.
func File(getenv func(string) string) string {
	if name := getenv("COMPOSER"); name != "" {
		return name
	}
	return "composer.json"
}

func filesOf(config map[string]string) files {
	name := File(func(key string) string { return config[key] })
	return files{json: name, lock: strings.TrimSuffix(name, ".json") + ".lock"}
}

// readComposer reads composer.json and composer.lock and refuses what
// Composer would trip over later.
func readComposer(c *classic.Call, f files) (manifest, *lock, error) {
	if !filepath.IsLocal(f.json) {
		return manifest{}, nil, classic.Failf("Name a file inside of the app.", "The config var COMPOSER is %q.", f.json)
	}
	data, err := os.ReadFile(c.Path(f.json))
	if err != nil {
		return manifest{}, nil, fmt.Errorf("cannot read %s: %w", f.json, err)
	}
	m, err := parseManifest(data)
	if err != nil {
		return m, nil, &classic.Failure{Message: fmt.Sprintf("Basic validation failed: %s is no valid JSON.", f.json), Err: err,
			Hint: "Run `composer validate` and commit the result."}
	}
	vendor, bin := m.dirs()
	if !filepath.IsLocal(vendor) || !filepath.IsLocal(bin) {
		return m, nil, classic.Failf("Use directories inside of the app.", "%s sets vendor-dir or bin-dir to a directory outside of the app.", f.json)
	}
	data, err = os.ReadFile(c.Path(f.lock))
	if os.IsNotExist(err) {
		if len(m.Require) == 0 {
			return m, nil, nil
		}
		return m, nil, classic.Failf(
			"Run `composer update` locally and commit "+f.lock+" (it must not be in .gitignore).\nThe lock file is what makes a build use the versions that you have tested.",
			"No %s found, although %s requires packages.", f.lock, f.json)
	}
	if err != nil {
		return m, nil, fmt.Errorf("cannot read %s: %w", f.lock, err)
	}
	l := new(lock)
	if err := json.Unmarshal(data, l); err != nil {
		return m, nil, &classic.Failure{Message: fmt.Sprintf("Basic validation failed: %s is no valid JSON.", f.lock), Err: err,
			Hint: "A merge may have left its marks. Run `composer update --lock` and commit the result."}
	}
	return m, l, nil
}
