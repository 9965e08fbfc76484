package nodejs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"

	"paas/buildpacks/builtin/classic"
	"paas/buildpacks/runtimes"
)

// installer puts Node.js and package managers into an app.
type installer struct {
	*classic.Call
	cache  *runtimes.Cache
	memory *runtimes.Memory
	node   string // the version, once it is installed
}

func newInstaller(c *classic.Call) *installer {
	return &installer{
		Call: c,
		cache: &runtimes.Cache{
			Dir:      c.Cached("node", "runtimes"),
			Registry: runtimes.NewRegistry(c.Env.Get),
		},
		memory: &runtimes.Memory{Path: c.Cached("node", "resolved.json"), Now: time.Now},
	}
}

func (i *installer) home() string { return i.Path(".heroku", "node") }

// installNode installs Node.js, by the engines.node range.
func (i *installer) installNode(ctx context.Context, wish string) error {
	if url := i.Config["NODE_BINARY_URL"]; url != "" {
		return i.installFrom(ctx, url)
	}
	text := strings.TrimSpace(wish)
	if text == "" {
		text = fmt.Sprintf("%d.x", runtimes.RecommendedNode)
	}
	want, err := runtimes.ParseRange(text)
	if err != nil {
		return &classic.Failure{Message: "engines.node in package.json cannot be read.", Err: err,
			Hint: fmt.Sprintf("Write for example \"%d.x\".", runtimes.RecommendedNode)}
	}
	i.Out.Info("")
	if _, exact := want.Exact(); !exact {
		i.Out.Info("Resolving node version %s...", text)
	}
	wideOK := i.Config["NODEJS_ALLOW_WIDE_RANGE"] == "true"
	r, err := i.resolve("node", want, func() (runtimes.Resolved, error) {
		return i.cache.Registry.ResolveNode(ctx, want, wideOK)
	}, fmt.Sprintf("node %s %d %t", text, runtimes.RecommendedNode, wideOK))
	if err != nil {
		return unavailable(err, "Change engines.node in package.json.")
	}
	dir, err := i.fetch(ctx, runtimes.Node, "node", r.Version)
	if err != nil {
		return unavailable(err, "Change engines.node in package.json.")
	}
	// The headers, a third of the whole, are for compiling native modules:
	// node-gyp finds them in the cache, and the slug goes without.
	i.Env.Set("npm_config_nodedir", dir)
	if err := classic.Copy(filepath.Join(dir, "bin"), filepath.Join(i.home(), "bin")); err != nil {
		return fmt.Errorf("cannot install Node.js: %w", err)
	}
	if err := i.cache.Prune(runtimes.Node, r.Version); err != nil {
		return err
	}
	i.node = r.Version
	i.warnNode(wish, r)
	return nil
}

func (i *installer) warnNode(wish string, r runtimes.Resolved) {
	if wish == "" {
		i.Out.Warn("No Node.js version is set in package.json (engines.node): the recommended line, %d.x,", runtimes.RecommendedNode)
		i.Out.Warn("is used, and will be another one some day.")
	}
	if r.Wide {
		i.Out.Warn("The range %q takes in Node.js lines newer than %d.x, the recommended one.", wish, runtimes.RecommendedNode)
		i.Out.Warn("Using %s. Say \"%d.x\", or set NODEJS_ALLOW_WIDE_RANGE=true to always get the newest.", r.Version, runtimes.RecommendedNode)
	}
	switch v := semver.MustParse(r.Version); v.Major() {
	case 22, 24, 26:
	default:
		i.Out.Warn("Node.js %d is not maintained by its authors any more. Consider %d.x.", v.Major(), runtimes.RecommendedNode)
	}
}

// resolve answers an exact range from itself, and others from memory while
// fresh; when nobody can be asked, from memory of any age, and says so.
func (i *installer) resolve(kind string, want runtimes.Range, ask func() (runtimes.Resolved, error), key string) (runtimes.Resolved, error) {
	if v, ok := want.Exact(); ok {
		return runtimes.Resolved{Version: v}, nil
	}
	last, age, known := i.memory.Recall(key)
	usable := known && i.cache.Has(kind, last.Version)
	if usable && age >= 0 && age < runtimes.Fresh {
		return last, nil
	}
	r, err := ask()
	if err == nil {
		return r, i.memory.Remember(key, r)
	}
	var gone *runtimes.UnavailableError
	if usable && !errors.As(err, &gone) {
		i.Out.Warn("The registry cannot be asked for the newest %s; using %s, found %s ago.", kind, last.Version, age.Round(time.Minute))
		return last, nil
	}
	return r, err
}

// fetch makes sure a runtime is in the cache, and prints what that takes.
func (i *installer) fetch(ctx context.Context, kind, shown, version string) (string, error) {
	if i.cache.Has(kind, version) {
		i.Out.Info("Installing %s %s (cached)", shown, version)
	} else {
		i.Out.Info("Downloading and installing %s %s...", shown, version)
	}
	return i.cache.Ensure(ctx, kind, version)
}

// installTool installs an npm package by a range, as npm install --global
// would. An empty range is the default one.
func (i *installer) installTool(ctx context.Context, pkg, text string) (string, error) {
	want, err := runtimes.ParseRange(text)
	if err != nil {
		return "", &classic.Failure{Message: fmt.Sprintf("The version of %s in package.json cannot be read.", pkg), Err: err,
			Hint: "Write a version (9.15.0) or a range (9.x)."}
	}
	r, err := i.resolve(pkg, want, func() (runtimes.Resolved, error) {
		v, err := i.cache.Registry.ResolveTool(ctx, pkg, want, i.node)
		return runtimes.Resolved{Version: v}, err
	}, pkg+" "+text+" on "+i.node)
	if err != nil {
		return "", unavailable(err, fmt.Sprintf("Change the version of %s in package.json.", pkg))
	}
	dir, err := i.fetch(ctx, pkg, pkg, r.Version)
	if err != nil {
		return "", unavailable(err, fmt.Sprintf("Change the version of %s in package.json.", pkg))
	}
	if err := os.RemoveAll(filepath.Join(i.home(), "lib", "node_modules", filepath.FromSlash(pkg))); err != nil {
		return "", err
	}
	if err := classic.Copy(dir, i.home()); err != nil {
		return "", fmt.Errorf("cannot install %s: %w", pkg, err)
	}
	return r.Version, i.cache.Prune(pkg, r.Version)
}

// installFrom installs Node.js from an archive as its project publishes them,
// npm included.
func (i *installer) installFrom(ctx context.Context, url string) error {
	i.Out.Info("Downloading and installing node from %s", url)
	archive := i.Cached("node", "node-binary.tar")
	defer os.Remove(archive)
	if err := i.Run(ctx, "curl", "--silent", "--show-error", "--fail", "--location", "--retry", "3",
		"--max-time", "300", "--output", archive, "--", url); err != nil {
		return &classic.Failure{Message: "Node.js cannot be fetched from NODE_BINARY_URL.", Err: err}
	}
	if err := os.MkdirAll(i.home(), 0o755); err != nil {
		return err
	}
	if err := i.Run(ctx, "tar", "--extract", "--file", archive, "--strip-components=1", "--directory", i.home()); err != nil {
		return &classic.Failure{Message: "What NODE_BINARY_URL leads to is no Node.js archive.", Err: err}
	}
	v, err := i.Output(ctx, filepath.Join(i.home(), "bin", "node"), "--version")
	if err != nil {
		return &classic.Failure{Message: "The Node.js of NODE_BINARY_URL does not run.", Err: err}
	}
	i.node = strings.TrimPrefix(strings.TrimSpace(v), "v")
	return nil
}

func unavailable(err error, hint string) error {
	var u *runtimes.UnavailableError
	if errors.As(err, &u) {
		return classic.Failf(hint, "%s", u.Error())
	}
	return &classic.Failure{Message: "A runtime cannot be installed.", Err: err,
		Hint: "Check that the build can reach the npm registry (NPM_CONFIG_REGISTRY in the build\nenvironment), and the version in package.json."}
}
