// paas-buildpack is the one program that runs inside a build container, and
// in the dynos of apps that need a helper at run time. It is static and is
// called by many names:
//
//	.../<language>/bin/<verb>   a built-in buildpack's program (detect, compile,
//	                            release, report, test-compile, test)
//	heroku-php-apache2|nginx    the boot scripts of PHP apps, copied into the slug
//	paas-buildpack run PLAN     the first process of a build container
//	paas-buildpack serve-static the web server of static sites, copied into the slug
//	paas-buildpack git-credential ENV_DIR   git's credential helper for Go builds
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"paas/buildpacks/builtin/classic"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	status := dispatch(ctx, os.Args)
	stop()
	os.Exit(status)
}

func dispatch(ctx context.Context, args []string) int {
	name := filepath.Base(args[0])
	if classic.IsVerb(name) {
		return buildpack(ctx, args[0], name, args[1:])
	}
	if run, ok := commands()[name]; ok {
		return run(ctx, args[1:])
	}
	if len(args) > 1 {
		if run, ok := commands()[args[1]]; ok {
			return run(ctx, args[2:])
		}
	}
	fmt.Fprintln(os.Stderr, "paas-buildpack runs inside build containers and dynos; see the documentation of cmd/paas-buildpack.")
	return 2
}

// buildpack runs one program of the built-in buildpack in whose bin directory
// it was called.
func buildpack(ctx context.Context, program, verb string, args []string) int {
	out := classic.NewOutput(os.Stdout, os.Stderr)
	abs, err := filepath.Abs(program)
	if err != nil {
		out.Fail(err)
		return 1
	}
	dir := filepath.Dir(filepath.Dir(abs))
	pack, ok := packs()[filepath.Base(dir)]
	if !ok {
		out.Fail(fmt.Errorf("cannot run bin/%s: %q is no built-in buildpack", verb, filepath.Base(dir)))
		return 2
	}
	return classic.Main(ctx, pack, dir, verb, args, os.Environ(), out)
}
