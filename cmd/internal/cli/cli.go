// Package cli is the paas command: Heroku's words, a table for people, --json
// for machines.
//
// # Design
//
// A Command is data and a func; all of them are listed in commands.go, and
// help, completion and the dispatcher read that list. Results go to stdout,
// everything about progress to stderr. Exit statuses: 0 done, 1 failed, 2 used
// wrongly; `run` ends with the status of its command.
//
// pflag parses flags because people write them in any place ("paas ps -a x",
// "paas -a x ps"), which the standard library does not take.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"paas/api/client"
)

// Version is set by the linker.
var Version = "dev"

// Exit statuses.
const (
	exitOK    = 0
	exitFail  = 1
	exitUsage = 2
)

// Command is one command.
type Command struct {
	Name    string   // "ps:scale"
	Aliases []string // "scale"
	Args    string   // "TYPE=QUANTITY..." for the usage line
	Short   string   // one line
	Long    string   // what help shows below it, with examples
	Hidden  bool
	// App says that the command is about one app: it gets -a and -r.
	App bool
	// JSON says that it takes --json.
	JSON bool
	// Verbatim says that everything behind the first argument belongs to that
	// argument (run).
	Verbatim bool
	Flags    func(*pflag.FlagSet)
	Run      func(context.Context, *Call) error
}

// Call is one run of a command.
type Call struct {
	cmd   *Command
	flags *pflag.FlagSet
	Args  []string

	Stdin          *os.File
	Stdout, Stderr io.Writer
	settings       settings
}

// usageError is a wrong use of the CLI: exit status 2.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// exitError ends with a status of its own and says nothing.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// Main runs the command line and returns the exit status.
func Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := run(ctx, args, os.Stdin, os.Stdout, os.Stderr)
	var exit exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return int(exit)
	case errors.Is(err, context.Canceled):
		return 130 // what a shell reports for Ctrl-C
	}
	return report(os.Stderr, err)
}

func run(ctx context.Context, args []string, stdin *os.File, stdout, stderr io.Writer) error {
	name, args := commandName(args)
	switch name {
	case "", "-h", "--help":
		return help(stdout, "")
	case "-v", "--version":
		name = "version"
	}
	cmd := find(name)
	if cmd == nil {
		return unknown(name)
	}
	c := &Call{cmd: cmd, flags: flagsOf(cmd), Stdin: stdin, Stdout: stdout, Stderr: stderr}
	if err := c.flags.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return help(stdout, cmd.Name)
		}
		return usagef("%v\nUsage: paas %s", err, usageLine(cmd))
	}
	c.Args = c.flags.Args()
	var err error
	if c.settings, err = loadSettings(); err != nil {
		return err
	}
	return cmd.Run(ctx, c)
}

// commandName takes the command out of the arguments: the first that is not a
// flag. "-a x" and "-r x" may stand before it.
func commandName(args []string) (string, []string) {
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case a == "-a" || a == "--app" || a == "-r" || a == "--remote":
			i++
		case strings.HasPrefix(a, "-") && a != "-h" && a != "--help" && a != "-v" && a != "--version":
		default:
			return a, append(append([]string{}, args[:i]...), args[i+1:]...)
		}
	}
	return "", nil
}

func flagsOf(cmd *Command) *pflag.FlagSet {
	f := pflag.NewFlagSet(cmd.Name, pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	f.SetInterspersed(!cmd.Verbatim)
	if cmd.App {
		f.StringP("app", "a", "", "name of the app (default: from the git remote)")
		f.StringP("remote", "r", "", "git remote of the app (default: paas)")
	}
	if cmd.JSON {
		f.BoolP("json", "j", false, "print JSON")
	}
	if cmd.Flags != nil {
		cmd.Flags(f)
	}
	return f
}

// Client is the API with the token of whoever is logged in.
func (c *Call) Client() (*client.Client, error) {
	if c.settings.Token == "" {
		return nil, usagef("You are not logged in. Log in first: paas login --api-url URL")
	}
	return client.New(c.settings.APIURL, c.settings.Token, "paas-cli/"+version())
}

func (c *Call) bool(name string) bool {
	v, err := c.flags.GetBool(name)
	return err == nil && v
}

func (c *Call) string(name string) string {
	v, err := c.flags.GetString(name)
	if err != nil {
		return ""
	}
	return v
}

func (c *Call) int(name string) int {
	v, err := c.flags.GetInt(name)
	if err != nil {
		return 0
	}
	return v
}

// args checks how many arguments there are; max < 0 = any number.
func (c *Call) args(least, most int) error {
	if len(c.Args) < least || most >= 0 && len(c.Args) > most {
		return usagef("Usage: paas %s", usageLine(c.cmd))
	}
	return nil
}

// terminal says whether progress and colours may be shown.
func (c *Call) terminal() bool {
	f, ok := c.Stderr.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

// say writes progress.
func (c *Call) say(format string, args ...any) { fmt.Fprintf(c.Stderr, format, args...) }

// print writes results.
func (c *Call) print(format string, args ...any) { fmt.Fprintf(c.Stdout, format, args...) }

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && Version == "dev" && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return Version
}
