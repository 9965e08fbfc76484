package golang

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"paas/buildpacks/builtin/classic"
	"paas/buildpacks/runtimes"
)

// installGo finds the Go version an app wants, makes sure it is in the cache,
// and puts it into c.Env. It returns the version.
func installGo(ctx context.Context, c *classic.Call, m goMod) (string, error) {
	want, err := chooseVersion(m, c.Config)
	if err != nil {
		return "", err
	}
	proxy, err := runtimes.NewGoProxy(c.Env.Get, filepath.Join(cacheRoot(c), "sumdb"))
	if err != nil {
		return "", &classic.Failure{Message: "The Go settings of the build environment cannot be used.", Err: err}
	}
	cache := &runtimes.Cache{Dir: cacheRoot(c), Proxy: proxy}
	version, err := resolve(ctx, c, cache, want)
	if err != nil {
		return "", err
	}
	c.Out.Step("")
	c.Out.Info("Using %s (%s)", version, want.source)
	if !cache.Has(runtimes.Go, version) {
		if err := clean(c, cache); err != nil {
			return "", err
		}
		c.Out.Step("Installing %s", version)
		if !proxy.Verified() {
			c.Out.Warn("The checksum database is switched off (GOSUMDB): this Go is not verified.")
		}
	}
	start := time.Now()
	had := cache.Has(runtimes.Go, version)
	root, err := cache.Ensure(ctx, runtimes.Go, version)
	if err != nil {
		return "", explain(err, version)
	}
	if !had {
		c.Out.Info("done (%.1fs)", time.Since(start).Seconds())
	}
	if err := cache.Prune(runtimes.Go, version); err != nil {
		return "", err
	}
	c.Env.Set("GOROOT", root)
	c.Env.Set("GOPATH", filepath.Join(cacheRoot(c), "go-path"))
	c.Env.Set("GOMODCACHE", filepath.Join(cacheRoot(c), "go-path", "pkg", "mod"))
	c.Env.Set("GOCACHE", filepath.Join(cacheRoot(c), "go-build-cache"))
	c.Env.Prepend("PATH", filepath.Join(root, "bin"))
	return version, nil
}

// resolve turns the wanted version into one that exists. A full version that
// is in the cache needs no question; the newest patch of a line is asked for
// at most once an hour, and remembered for when nobody answers.
func resolve(ctx context.Context, c *classic.Call, cache *runtimes.Cache, want wanted) (string, error) {
	if cache.Has(runtimes.Go, want.version) {
		return want.version, nil
	}
	memory := &runtimes.Memory{Path: filepath.Join(cacheRoot(c), "resolved.json"), Now: time.Now}
	key := "go " + want.version
	last, age, known := memory.Recall(key)
	usable := known && cache.Has(runtimes.Go, last.Version)
	if usable && age >= 0 && age < runtimes.Fresh {
		return last.Version, nil
	}
	version, err := cache.Proxy.ResolveGo(ctx, want.version)
	if err == nil {
		return version, memory.Remember(key, runtimes.Resolved{Version: version})
	}
	var unavailable *runtimes.UnavailableError
	if usable && !errors.As(err, &unavailable) && ctx.Err() == nil {
		c.Out.Warn("No Go module proxy could be asked for the newest patch of %s;", want.version)
		c.Out.Warn("using %s, which was the newest %s ago.", last.Version, age.Round(time.Minute))
		return last.Version, nil
	}
	return "", explain(err, want.version+" ("+want.source+")")
}

func explain(err error, version string) error {
	var unavailable *runtimes.UnavailableError
	if errors.As(err, &unavailable) {
		return classic.Failf("Change the go line of go.mod, or set the config var GOVERSION.", "%s", unavailable.Error())
	}
	return &classic.Failure{
		Message: fmt.Sprintf("Go %s cannot be fetched.", version), Err: err,
		Hint: "Check GOPROXY and GOSUMDB in the build environment, and that the build can reach them.",
	}
}

// clean empties the cache for a new Go version: compiled packages and
// toolchains of another are of no use. Downloaded modules stay.
func clean(c *classic.Call, cache *runtimes.Cache) error {
	if err := cache.Prune(runtimes.Go); err != nil {
		return err
	}
	return removeAll(filepath.Join(cacheRoot(c), "go-build-cache"))
}
