// Command paas is how people use the platform beside git push.
package main

import (
	"os"

	"paas/cmd/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:])) }
