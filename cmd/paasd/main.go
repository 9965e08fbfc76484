// Command paasd is the platform: git endpoint, builder, scheduler, router and
// API in one process, and a containerd beside it.
package main

import (
	"os"

	"paas/cmd/internal/daemon"
)

func main() { os.Exit(daemon.Main(os.Args[1:], os.Environ(), os.Stdout, os.Stderr)) }
