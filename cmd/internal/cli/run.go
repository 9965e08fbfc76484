package cli

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	v3 "paas/api/v3"
)

func runFlags(f *pflag.FlagSet) {
	f.StringP("size", "s", "", "dyno size")
	f.String("type", "", "process type, for the dyno's name and the log (default: run)")
	f.StringArrayP("env", "e", nil, "NAME=VALUE, may be repeated")
}

var runCommand = &Command{
	Name: "run", Args: "COMMAND...", Short: "run a command in a one-off dyno", App: true, Verbatim: true,
	Long: `The command runs in a fresh dyno of the current release, with its config vars,
connected to your terminal. paas ends with the command's exit status. On a
terminal Ctrl-C goes to the command; without one it ends paas, and the dyno
with it.

One argument is a line for the dyno's shell; several are its words. "-a APP"
may also stand at the end; behind "--" everything belongs to the command.

Examples:
  $ paas run bash
  $ paas run 'ls -l | wc -l'
  $ paas run -a my-shop -- node -e 'console.log(process.version)'
  $ echo 'select 1' | paas run psql`,
	Flags: func(f *pflag.FlagSet) {
		runFlags(f)
		f.Bool("no-tty", false, "do not give the command a terminal")
		// Heroku's CLI needs it to do what this one always does.
		f.BoolP("exit-code", "x", false, "")
		hide(f, "exit-code")
	},
	Run: func(ctx context.Context, c *Call) error {
		r, err := c.runRequest()
		if err != nil {
			return err
		}
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		in := int(c.Stdin.Fd())
		out, isFile := c.Stdout.(*os.File)
		tty := !c.bool("no-tty") && term.IsTerminal(in) && isFile && term.IsTerminal(int(out.Fd()))
		r.Attach, r.ForceNoTTY = true, !tty
		var resize chan v3.Resize
		if tty {
			resize = make(chan v3.Resize, 1)
			if _, given := r.Env["TERM"]; !given && os.Getenv("TERM") != "" {
				r.Env["TERM"] = os.Getenv("TERM")
			}
			stop := watchSize(int(out.Fd()), resize)
			defer stop()
		}
		if c.terminal() {
			c.say("Running %s on %s... ", r.Command, name)
		}
		d, err := cl.Run(ctx, name, r)
		if err != nil {
			if c.terminal() {
				c.say("failed\n")
			}
			return err
		}
		if d.AttachURL == nil {
			return fmt.Errorf("cannot attach to %s: the server gave no address", d.Name)
		}
		if c.terminal() {
			c.say("%s\n", d.Name)
		}
		if tty {
			// Raw: Ctrl-C and all other keys go to the dyno's terminal.
			state, err := term.MakeRaw(in)
			if err != nil {
				return fmt.Errorf("cannot prepare the terminal: %w", err)
			}
			defer term.Restore(in, state)
		}
		status, err := cl.Attach(ctx, *d.AttachURL, c.Stdin, c.Stdout, resize)
		if err != nil {
			return err
		}
		if status != 0 {
			return exitError(status)
		}
		return nil
	},
}

var runDetachedCommand = &Command{
	Name: "run:detached", Args: "COMMAND...", Short: "run a command in a one-off dyno in the background", App: true, Verbatim: true, JSON: true,
	Long: "Its output goes to the log; --tail shows it, until Ctrl-C.",
	Flags: func(f *pflag.FlagSet) {
		runFlags(f)
		f.BoolP("tail", "t", false, "show its output")
	},
	Run: func(ctx context.Context, c *Call) error {
		r, err := c.runRequest()
		if err != nil {
			return err
		}
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		d, err := cl.Run(ctx, name, r)
		if err != nil {
			return err
		}
		c.say("Running %s on %s... done, %s\n", r.Command, name, d.Name)
		if done, err := c.json(d); done {
			return err
		}
		if c.bool("tail") {
			n := maxLogLines
			return cl.Logs(ctx, name, v3.LogSessionRequest{Dyno: d.Name, Lines: &n, Tail: true}, c.logLine)
		}
		c.say("See its output: paas logs -a %s -d %s\n", name, d.Name)
		return nil
	},
}

// runRequest joins the arguments to a command line: one argument is a line for
// the dyno's shell, as Heroku's; several are quoted, so that they arrive as
// they were typed.
func (c *Call) runRequest() (v3.RunRequest, error) {
	if err := c.args(1, -1); err != nil {
		return v3.RunRequest{}, err
	}
	r := v3.RunRequest{Command: c.Args[0], Size: c.string("size"), Type: c.string("type"), Env: map[string]string{}}
	if len(c.Args) > 1 {
		words := make([]string, len(c.Args))
		for i, a := range c.Args {
			words[i] = shellQuote(a)
		}
		r.Command = strings.Join(words, " ")
	}
	for _, kv := range c.strings("env") {
		key, value, ok := strings.Cut(kv, "=")
		if !ok {
			return r, usagef("%s is not NAME=VALUE.", kv)
		}
		r.Env[key] = value
	}
	return r, nil
}

// watchSize sends the terminal's size now and whenever it changes.
func watchSize(fd int, sizes chan v3.Resize) (stop func()) {
	send := func() {
		cols, rows, err := term.GetSize(fd)
		if err != nil {
			return
		}
		select { // only the newest matters
		case <-sizes:
		default:
		}
		sizes <- v3.Resize{Rows: uint16(rows), Cols: uint16(cols)}
	}
	send()
	changed, ignore := sizeChanges()
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-changed:
				send()
			case <-done:
				return
			}
		}
	}()
	return func() {
		ignore()
		close(done)
	}
}
