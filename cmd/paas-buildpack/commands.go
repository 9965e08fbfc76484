package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"paas/buildpacks"
	"paas/buildpacks/builtin/classic"
	"paas/buildpacks/builtin/golang"
	"paas/buildpacks/builtin/nodejs"
	"paas/buildpacks/builtin/php"
	"paas/buildpacks/builtin/php/boot"
	"paas/buildpacks/builtin/procfile"
	"paas/buildpacks/builtin/static"
)

// packs are the built-in buildpacks by the name of their directory.
func packs() map[string]classic.Pack {
	return map[string]classic.Pack{
		"go":       golang.Pack{},
		"nodejs":   nodejs.Pack{},
		"php":      php.Pack{},
		"procfile": procfile.Pack{},
		"static":   static.Pack{},
	}
}

// commands are what the program does under a name of its own, or as its first
// argument.
func commands() map[string]func(context.Context, []string) int {
	return map[string]func(context.Context, []string) int{
		"run":                run,
		"git-credential":     credential,
		"serve-static":       serveStatic,
		"heroku-php-apache2": bootPHP(boot.Apache()),
		"heroku-php-nginx":   bootPHP(boot.Nginx()),
	}
}

// credential is called by git as `git-credential ENV_DIR get`.
func credential(_ context.Context, args []string) int {
	if len(args) < 2 || args[1] != "get" {
		return 0
	}
	config, err := classic.ReadEnvDir(args[0])
	if err != nil {
		return 1
	}
	in, err := io.ReadAll(io.LimitReader(os.Stdin, 64<<10))
	if err != nil {
		return 1
	}
	fmt.Print(golang.Credential(config, string(in)))
	return 0
}

// serveStatic is the web process of a static site: `serve-static APP_DIR`.
func serveStatic(ctx context.Context, args []string) int {
	dir := "."
	if len(args) > 0 {
		dir = args[0]
	}
	return static.Serve(ctx, dir, os.Getenv, os.Stdout)
}

// run is the first process of a build container: `run PLAN`.
func run(ctx context.Context, args []string) int {
	if len(args) != 1 {
		fmt.Fprintln(os.Stderr, "usage: paas-buildpack run PLAN")
		return 2
	}
	return buildpacks.RunMain(ctx, args[0])
}

// bootPHP is the web process of a PHP app.
func bootPHP(web boot.Server) func(context.Context, []string) int {
	return func(ctx context.Context, args []string) int {
		return boot.Run(ctx, web, args, os.Stderr)
	}
}
