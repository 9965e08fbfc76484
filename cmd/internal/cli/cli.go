// Package cli is the paas command: Heroku's words, a table for people, --json
// for machines.
//
// # Design
//
// A Command is data and a func; all of them are listed in commands.go, and
// help, completion and the dispatcher read that list. Results go to stdout,
// everything about progress to stderr. Exit statuses: 0 done, 1 failed, 2 used
// wrongly, 130 interrupted; `run` ends with the status of its command. Values
// of config vars and tokens are printed only by the commands that are there to
// print them.
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
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"paas/api"
	"paas/api/client"
)

// Version is set by the linker.
var Version = "dev"

// Exit statuses; `paas help` tells people.
const (
	exitOK          = 0
	exitFail        = 1
	exitUsage       = 2
	exitInterrupted = 130 // what a shell reports for Ctrl-C
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
	// argument (run), but see trailingTarget.
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
	app            string // that App found, for messages
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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The second Ctrl-C ends the program wherever it is.
	context.AfterFunc(ctx, stop)
	err := run(ctx, args, os.Stdin, os.Stdout, os.Stderr)
	var exit exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return int(exit)
	case ctx.Err() != nil: // whatever failed, failed because of it
		return exitInterrupted
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
		return usagef("%v\n%s", err, usage(cmd))
	}
	c.Args = c.flags.Args()
	if cmd.Verbatim && cmd.App {
		c.trailingTarget()
	}
	if cmd.Args == "" && !cmd.Hidden && len(c.Args) > 0 {
		return c.surplus()
	}
	var err error
	if c.settings, err = loadSettings(); err != nil {
		return err
	}
	return c.explain(cmd.Run(ctx, c))
}

// trailingTarget takes "-a APP" and "--remote NAME" from the end of a command
// line, where Heroku's users write it ("run bash -a my-shop"), unless there is
// a "--".
func (c *Call) trailingTarget() {
	if c.flags.ArgsLenAtDash() >= 0 || slices.Contains(c.Args, "--") {
		return
	}
	names := map[string]string{"-a": "app", "--app": "app", "--remote": "remote"}
	for len(c.Args) > 1 {
		last := len(c.Args) - 1
		flag, value, joined := strings.Cut(c.Args[last], "=")
		if !joined {
			last--
			flag, value = c.Args[last], c.Args[last+1]
		}
		name := names[flag]
		if last == 0 || name == "" || c.flags.Changed(name) || api.CheckAppName(value) != nil || c.flags.Set(name, value) != nil {
			return
		}
		c.Args = c.Args[:last]
	}
}

// surplus answers arguments to a command that takes none.
func (c *Call) surplus() error {
	if sub := find(c.cmd.Name + ":" + c.Args[0]); sub != nil {
		return usagef("paas %s takes no arguments. Did you mean paas %s?", c.cmd.Name, sub.Name)
	}
	if c.cmd.App && len(c.Args) == 1 && api.CheckAppName(c.Args[0]) == nil {
		return usagef("paas %s takes no arguments. An app is named with -a: paas %s -a %s", c.cmd.Name, c.cmd.Name, c.Args[0])
	}
	return usagef("paas %s takes no arguments.\n%s", c.cmd.Name, usage(c.cmd))
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
		return nil, api.Errorf(api.Unauthorized, "You are not logged in to %s.", c.settings.APIURL)
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

func (c *Call) strings(name string) []string {
	v, err := c.flags.GetStringArray(name)
	if err != nil {
		return nil
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
		return usagef("%s", usage(c.cmd))
	}
	return nil
}

// count is the flag --num, checked: the API gives at most 1000 of a list.
func (c *Call) count() (int, error) {
	n := c.int("num")
	if n < 1 || n > 1000 {
		return 0, usagef("--num must be from 1 to 1000, not %d.", n)
	}
	return n, nil
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
