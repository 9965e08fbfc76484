package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"paas/buildpacks/builtin/classic"
	"paas/buildpacks/builtin/golang"
)

// packs are the built-in buildpacks by the name of their directory.
func packs() map[string]classic.Pack {
	return map[string]classic.Pack{
		"go": golang.Pack{},
	}
}

// commands are what the program does under a name of its own, or as its first
// argument.
func commands() map[string]func(context.Context, []string) int {
	return map[string]func(context.Context, []string) int{
		"git-credential": credential,
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
