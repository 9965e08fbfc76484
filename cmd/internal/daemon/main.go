// Package daemon is paasd: its configuration, the wiring of the engines, and
// their lifetimes. It is the only package that imports engines.
//
// # Design
//
// wire.go makes every part and hands each the others it needs, as interfaces
// that the parts declared themselves; adapters.go holds the few lines where
// two parts speak different words. run.go runs them as one group (oklog/run:
// the first that ends stops all) and says in which order.
//
// Killing paasd stops no dyno and no containerd: they are found again at the
// next start.
package daemon

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"paas/api"
)

const usage = `paasd is the platform's daemon. People use the paas command.

Usage: paasd COMMAND [--config FILE]

  serve            run the platform
  check            say what keeps it from running here: ports, kernel, disk, programs
  account:create   make an account: --email E [--name N] [--admin] [--token-file F]
  stack:build      build the stack images, if they are missing or out of date
  stack:list       list the stacks and their digests
  teardown         stop all dynos and take away network, mounts and containerd
  version          print the version

FILE is ` + DefaultConfigFile + ` if it is not given. Each setting can also be
given as PAAS_<KEY>, e.g. PAAS_DATA_DIR.
`

// Version is set by the linker.
var Version = "dev"

// Main runs one command and returns the exit status: 0 well, 1 failed, 2 used
// wrongly.
func Main(args, environ []string, stdout, stderr io.Writer) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "--help" || args[0] == "-h" {
		fmt.Fprint(stdout, usage)
		if len(args) == 0 {
			return 2
		}
		return 0
	}
	commands := map[string]func(context.Context, *invocation) error{
		"serve":          serve,
		"check":          check,
		"account:create": accountCreate,
		"stack:build":    stackBuild,
		"stack:list":     stackList,
		"teardown":       teardown,
		"version": func(_ context.Context, in *invocation) error {
			_, err := fmt.Fprintln(in.stdout, "paasd "+version())
			return err
		},
	}
	run, ok := commands[args[0]]
	if !ok {
		fmt.Fprintf(stderr, "paasd: there is no command %q\n\n%s", args[0], usage)
		return 2
	}
	// What is made here must not depend on who starts it: dynos and builds,
	// which are not root, have to get through.
	syscall.Umask(0o022)
	in := &invocation{stdout: stdout, stderr: stderr, flags: flag.NewFlagSet("paasd "+args[0], flag.ContinueOnError)}
	in.flags.SetOutput(stderr)
	file := in.flags.String("config", DefaultConfigFile, "configuration file")
	if args[0] == "account:create" {
		in.flags.StringVar(&in.account.email, "email", "", "e-mail address")
		in.flags.StringVar(&in.account.name, "name", "", "name of the person")
		in.flags.BoolVar(&in.account.admin, "admin", false, "an administrator: may see and change every app")
		in.flags.StringVar(&in.account.tokenFile, "token-file", "", "write an API token to this file")
	}
	if err := in.flags.Parse(args[1:]); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if in.flags.NArg() > 0 {
		fmt.Fprintf(stderr, "paasd: %s takes no argument %q\n", args[0], in.flags.Arg(0))
		return 2
	}
	var err error
	if in.config, err = LoadConfig(*file, environ); err != nil {
		fmt.Fprintf(stderr, "paasd: %v\n", err)
		return 2
	}
	in.environ = environ
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, in); err != nil {
		var known *api.Error
		if errors.As(err, &known) && known.Err == nil {
			err = errors.New(known.Message)
		}
		fmt.Fprintf(stderr, "paasd: %v\n", err)
		return 1
	}
	return 0
}

// invocation is one run of the program.
type invocation struct {
	stdout, stderr io.Writer
	flags          *flag.FlagSet
	config         Config
	environ        []string
	account        struct {
		email, name, tokenFile string
		admin                  bool
	}
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && Version == "dev" && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return Version
}

// needRoot is the first thing commands check that cannot do without.
func needRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("cannot run without root: it starts containers (use sudo)")
	}
	return nil
}
