package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
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

// help prints all commands (""), those of a topic, or one command.
func help(w io.Writer, name string) error {
	if name == "" {
		fmt.Fprint(w, "paas: git push, and it runs.\n\nUsage: paas COMMAND [-a APP] [ARGUMENTS]\n\n")
		list(w, commands())
		fmt.Fprint(w, "\nMore about one: paas help COMMAND\n")
		return nil
	}
	cmd := find(name)
	if cmd == nil {
		topic := slices.DeleteFunc(commands(), func(c *Command) bool { return !strings.HasPrefix(c.Name, name+":") })
		if len(topic) == 0 {
			return unknown(name)
		}
		list(w, topic)
		return nil
	}
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
	return nil
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

func find(name string) *Command {
	for _, c := range commands() {
		if c.Name == name || slices.Contains(c.Aliases, name) {
			return c
		}
	}
	return nil
}
