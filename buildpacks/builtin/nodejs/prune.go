package nodejs

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"

	"paas/buildpacks/builtin/classic"
)

// prune takes development dependencies out of the slug.
func (b *build) prune(ctx context.Context) error {
	b.Out.Step("Pruning devDependencies")
	if reason := b.keepReason(); reason != "" {
		b.Out.Info("Skipping because %s", reason)
		return nil
	}
	switch b.manager {
	case npm:
		return b.run(ctx, "npm prune", "npm", "prune", "--userconfig", b.Path(".npmrc"))
	case yarn:
		return b.run(ctx, "yarn install", "yarn", "install", "--frozen-lockfile", "--ignore-engines", "--ignore-scripts", "--prefer-offline")
	case berry:
		return b.pruneBerry(ctx)
	}
	return b.prunePnpm(ctx)
}

// keepReason says why development dependencies stay, or "".
func (b *build) keepReason() string {
	if env := b.Env.Get("NODE_ENV"); env != "production" {
		if env == "test" {
			return "NODE_ENV is 'test'"
		}
		return "NODE_ENV is not 'production'"
	}
	always := map[manager]string{npm: "NPM_CONFIG_PRODUCTION", yarn: "YARN_PRODUCTION"}[b.manager]
	if v := b.Env.Get(always); always != "" && v != "" {
		return always + " is '" + v + "'"
	}
	skip := map[manager]string{berry: "YARN2_SKIP_PRUNING", pnpm: "PNPM_SKIP_PRUNING"}[b.manager]
	if skip != "" && b.Env.Get(skip) == "true" {
		return skip + " is 'true'"
	}
	return ""
}

// pruneBerry reinstalls without development dependencies. "workspaces focus"
// is part of yarn from version 4 on, and a plugin before that.
func (b *build) pruneBerry(ctx context.Context) error {
	if !b.atLeast("4.0.0") && !b.Exists(".yarn", "plugins", "@yarnpkg", "plugin-workspace-tools.cjs") {
		b.Out.Info("Skipping because yarn %s has no `yarn workspaces focus`", b.have.manager)
		b.Out.Info("(upgrade to yarn 4, or run `yarn plugin import workspace-tools`)")
		return nil
	}
	args := []string{"yarn", "workspaces", "focus", "--production"}
	if b.Workspaces {
		args = append(args, "--all")
	}
	return b.run(ctx, "yarn workspaces focus", args...)
}

var lifecycle = []string{"pnpm:devPreinstall", "preinstall", "install", "postinstall", "prepare"}

func hasLifecycle(m manifest) bool {
	for _, name := range lifecycle {
		if _, ok := m.Scripts[name]; ok {
			return true
		}
	}
	return false
}

// prunePnpm: `pnpm prune` runs lifecycle scripts before version 8.15.6, which
// would fail without development dependencies, and does not know workspaces.
func (b *build) prunePnpm(ctx context.Context) error {
	if b.pnpmWorkspace() {
		return b.prunePnpmWorkspace(ctx)
	}
	args := []string{"pnpm", "prune", "--prod"}
	if b.atLeast("8.15.6") {
		args = append(args, "--ignore-scripts")
	} else if hasLifecycle(b.manifest) {
		b.Out.Info("Skipping because pnpm %s would run the lifecycle scripts of package.json", b.have.manager)
		return nil
	}
	return b.run(ctx, "pnpm prune", args...)
}

var packagesKey = regexp.MustCompile(`(?m)^packages\s*:`)

func (b *build) pnpmWorkspace() bool {
	data, err := os.ReadFile(b.Path("pnpm-workspace.yaml"))
	return err == nil && packagesKey.Match(data)
}

func (b *build) prunePnpmWorkspace(ctx context.Context) error {
	out, err := b.Output(ctx, "pnpm", "list", "--recursive", "--json", "--depth", "-1")
	if err != nil {
		return &classic.Failure{Message: "pnpm cannot list the workspace's packages.", Err: err}
	}
	var members []struct{ Path string }
	if err := json.Unmarshal([]byte(out), &members); err != nil {
		return &classic.Failure{Message: "pnpm cannot list the workspace's packages.", Err: err}
	}
	for _, m := range members {
		data, err := os.ReadFile(filepath.Join(m.Path, "package.json"))
		if err != nil {
			return err
		}
		if pkg, err := parseManifest(data); err == nil && hasLifecycle(pkg) {
			b.Out.Info("Skipping because %s has lifecycle scripts, which installing again would run", pkg.Name)
			return nil
		}
	}
	for _, m := range members {
		rel, err := filepath.Rel(b.BuildDir, m.Path)
		if err != nil || !filepath.IsLocal(rel) {
			continue
		}
		if err := os.RemoveAll(b.Path(rel, "node_modules")); err != nil {
			return err
		}
	}
	args := []string{"pnpm", "install", "--prod"}
	if b.lockfile != "" {
		args = append(args, "--frozen-lockfile")
	}
	return b.run(ctx, "pnpm install", args...)
}
