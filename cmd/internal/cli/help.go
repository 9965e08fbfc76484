package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

func usageLine(cmd *Command) string {
	parts := []string{cmd.Name}
	if cmd.App {
		parts = append(parts, "[-a APP]")
	}
	if cmd.Args != "" {
		parts = append(parts, cmd.Args)
	}
	return strings.Join(parts, " ")
}

// usage is what a wrong use is answered with.
func usage(cmd *Command) string {
	return fmt.Sprintf("Usage: paas %s\nMore: paas help %s", usageLine(cmd), cmd.Name)
}

// help prints all commands (""), those of a topic ("config", beside the
// command of that name), or one command.
func help(w io.Writer, name string) error {
	if name == "" {
		fmt.Fprint(w, "paas: git push, and it runs.\n\nUsage: paas COMMAND [-a APP] [ARGUMENTS]\n")
		for _, t := range topics() {
			fmt.Fprintf(w, "\n%s\n", t.title)
			list(w, t.commands)
		}
		fmt.Fprint(w, `
The app is found from -a APP, -r REMOTE, $PAAS_APP or the git remotes of this
directory. Results go to standard output, all else to standard error.
Exit status: 0 done, 1 failed, 2 used wrongly, 130 interrupted.

More about one: paas help COMMAND
`)
		return nil
	}
	cmd := find(name)
	under := slices.DeleteFunc(commands(), func(c *Command) bool { return c == cmd || !strings.HasPrefix(c.Name, name+":") })
	if cmd == nil && len(under) == 0 {
		return unknown(name)
	}
	if cmd != nil {
		helpOne(w, cmd)
	}
	if len(under) > 0 {
		if cmd != nil {
			fmt.Fprint(w, "\nSee also:\n")
		}
		list(w, under)
	}
	return nil
}

func helpOne(w io.Writer, cmd *Command) {
	fmt.Fprintf(w, "%s\n\nUsage: paas %s\n", cmd.Short, usageLine(cmd))
	if len(cmd.Aliases) > 0 {
		fmt.Fprintf(w, "Also:  paas %s\n", strings.Join(cmd.Aliases, ", paas "))
	}
	if flags := flagsOf(cmd).FlagUsages(); flags != "" {
		fmt.Fprintf(w, "\nFlags:\n%s", flags)
	}
	if cmd.Long != "" {
		fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(cmd.Long))
	}
}

func list(w io.Writer, cmds []*Command) {
	var rows [][]string
	for _, c := range cmds {
		if !c.Hidden {
			rows = append(rows, []string{"  " + c.Name, c.Short})
		}
	}
	table(w, nil, rows)
}

// hide keeps a flag that is there for old scripts out of the help.
func hide(f *pflag.FlagSet, name string) {
	if err := f.MarkHidden(name); err != nil {
		panic(err) // the flag is defined one line above
	}
}
