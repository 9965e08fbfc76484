package nodejs

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"paas/buildpacks/builtin/classic"
)

// The caches of package managers lie in the build cache and are used in
// place. A signature of everything their content depends on decides whether
// they may be used.

// tidyEvery is after how many builds a cache is cleaned of what no build asked
// for lately: none of the package managers does that by itself.
const tidyEvery = 30

type cacheState struct {
	Signature string `json:"signature"`
	Builds    int    `json:"builds"`
}

func (b *build) cacheDir(elem ...string) string {
	return b.Cached(append([]string{"node", "cache"}, elem...)...)
}

func (b *build) signature() string {
	return fmt.Sprintf("v3; %s; %s; %s; %s %s; %t", b.Env.Get("STACK"), b.have.node, b.have.npm, b.manager, b.have.manager, b.prebuilt)
}

// openCache prepares the caches and points the package manager at them.
func (b *build) openCache() error {
	if b.Env.Get("NODE_MODULES_CACHE") == "false" {
		b.Out.Step("Restoring cache")
		b.Out.Info("Caching has been disabled because NODE_MODULES_CACHE=false")
		if err := os.RemoveAll(b.cacheDir()); err != nil {
			return err
		}
	}
	data, err := os.ReadFile(b.cacheDir("state.json"))
	if err == nil && json.Unmarshal(data, &b.cache) == nil && b.cache.Signature == b.signature() {
		b.Out.Step("Restoring cache")
		return b.useCache()
	}
	if err == nil {
		b.Out.Step("Restoring cache")
		b.Out.Info("Cached directories were not restored due to a change in version of node, npm, yarn, pnpm or stack")
		b.Out.Info("Module installation may take longer for this build")
	}
	if err := os.RemoveAll(b.cacheDir()); err != nil {
		return err
	}
	b.cache = cacheState{}
	return b.useCache()
}

func (b *build) useCache() error {
	if err := os.MkdirAll(b.cacheDir(), 0o755); err != nil {
		return err
	}
	if b.cache.Builds > 0 {
		b.Out.Info("- %s", b.cacheName())
		if err := b.restoreDirectories(); err != nil {
			return err
		}
	}
	switch b.manager {
	case npm:
		b.Env.Set("npm_config_cache", b.cacheDir("npm"))
	case yarn:
		b.Env.Set("YARN_CACHE_FOLDER", b.cacheDir("yarn"))
	case berry:
		return b.useBerryCache()
	case pnpm:
		for _, prefix := range []string{"npm_config_", "pnpm_config_"} {
			b.Env.Set(prefix+"store_dir", b.cacheDir("pnpm-store"))
			b.Env.Set(prefix+"cache_dir", b.cacheDir("pnpm"))
			// A hard link would let the next build change this slug.
			b.Env.Set(prefix+"package_import_method", "clone-or-copy")
			b.Env.Set(prefix+"confirm_modules_purge", "false") // there is nobody to ask
		}
	}
	return nil
}

func (b *build) cacheName() string {
	switch b.manager {
	case yarn, berry:
		return "yarn cache"
	case pnpm:
		return "pnpm cache"
	}
	return "npm cache"
}

// useBerryCache: with Plug'n'Play the app runs from the cache, so it has to
// be in the app's tree; otherwise it is used in place like the others.
func (b *build) useBerryCache() error {
	b.Env.Set("YARN_ENABLE_TELEMETRY", "0")
	b.Env.Set("YARN_GLOBAL_FOLDER", b.cacheDir("berry"))
	b.Env.Default("YARN_ENABLE_GLOBAL_CACHE", "false")
	switch {
	case b.zero:
		return nil
	case b.linker == "node-modules" || b.linker == "pnpm":
		b.Env.Set("YARN_CACHE_FOLDER", b.cacheDir("yarn"))
		return nil
	}
	b.Env.Set("YARN_CACHE_FOLDER", b.Path(".yarn", "cache"))
	if _, err := os.Stat(b.cacheDir("yarn")); err != nil {
		return nil
	}
	return classic.Copy(b.cacheDir("yarn"), b.Path(".yarn", "cache"))
}

// directories are what package.json wants kept between builds.
func (b *build) directories() ([]string, error) {
	dirs := b.CacheDirectories
	if len(dirs) == 0 && b.manager != pnpm {
		dirs = []string{"bower_components"}
	}
	for _, d := range dirs {
		if !filepath.IsLocal(d) {
			return nil, classic.Failf("Name directories inside of the app.", "cacheDirectories in package.json names %q.", d)
		}
	}
	return dirs, nil
}

func (b *build) restoreDirectories() error {
	dirs, err := b.directories()
	if err != nil {
		return err
	}
	for _, d := range dirs {
		from := b.cacheDir("directories", d)
		if _, err := os.Lstat(from); err != nil {
			continue
		}
		if b.Exists(d) {
			b.Out.Info("- %s (exists - skipping)", d)
			continue
		}
		b.Out.Info("- %s", d)
		if err := classic.Move(from, b.Path(d)); err != nil {
			return err
		}
	}
	return nil
}

// saveCache marks the caches as good for the next build.
func (b *build) saveCache(ctx context.Context) error {
	if b.Env.Get("NODE_MODULES_CACHE") == "false" {
		return nil
	}
	b.Out.Step("Caching build")
	b.Out.Info("- %s", b.cacheName())
	dirs, err := b.directories()
	if err != nil {
		return err
	}
	if err := os.RemoveAll(b.cacheDir("directories")); err != nil {
		return err
	}
	for _, d := range dirs {
		if !b.Exists(d) {
			if len(b.CacheDirectories) > 0 {
				b.Out.Info("- %s (nothing to cache)", d)
			}
			continue
		}
		b.Out.Info("- %s", d)
		if err := classic.Copy(b.Path(d), b.cacheDir("directories", d)); err != nil {
			return err
		}
	}
	if b.manager == berry && !b.zero && b.Exists(".yarn", "cache") {
		if err := os.RemoveAll(b.cacheDir("yarn")); err != nil {
			return err
		}
		if err := classic.Copy(b.Path(".yarn", "cache"), b.cacheDir("yarn")); err != nil {
			return err
		}
	}
	b.cache.Builds++
	if b.cache.Builds%tidyEvery == 0 {
		b.tidy(ctx)
	}
	b.cache.Signature = b.signature()
	data, err := json.Marshal(b.cache)
	if err != nil {
		return err
	}
	return classic.Write(b.cacheDir("state.json"), 0o644, string(data))
}

// tidy removes what is of no use from a package manager's cache. Failing to
// is no reason to fail a build.
func (b *build) tidy(ctx context.Context) {
	args := map[manager][]string{
		npm:   {"npm", "cache", "verify"},
		yarn:  {"yarn", "cache", "clean"},
		berry: {"yarn", "cache", "clean"},
		pnpm:  {"pnpm", "store", "prune"},
	}[b.manager]
	b.Out.Info("Cleaning up: %s", strings.Join(args, " "))
	if _, err := b.Output(ctx, args...); err != nil {
		b.Out.Warn("The %s could not be cleaned up.", b.cacheName())
	}
}
