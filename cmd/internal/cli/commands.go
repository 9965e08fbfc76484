package cli

import (
	"context"
	"runtime"
	"slices"
)

// topic is a heading of the help.
type topic struct {
	title    string
	commands []*Command
}

// topics lists every command in the order that help shows.
func topics() []topic {
	return []topic{
		{"Apps", []*Command{
			appsCommand, createCommand, infoCommand, renameCommand, destroyCommand, openCommand, gitRemoteCommand,
			maintenanceCommand, maintenanceOnCommand, maintenanceOffCommand,
		}},
		{"Deploying", []*Command{
			buildsCommand, buildsOutputCommand, buildsCancelCommand, cachePurgeCommand,
			buildpacksCommand, buildpacksSetCommand, buildpacksAddCommand, buildpacksRemoveCommand, buildpacksClearCommand,
			releasesCommand, releaseInfoCommand, releaseOutputCommand, rollbackCommand,
			slugsCommand, slugInfoCommand, slugExportCommand,
		}},
		{"Running", []*Command{
			configCommand, configGetCommand, configSetCommand, configUnsetCommand,
			psCommand, scaleCommand, restartCommand, stopCommand,
			logsCommand, runCommand, runDetachedCommand,
		}},
		{"You", []*Command{
			loginCommand, logoutCommand, whoamiCommand, tokenCommand,
			keysCommand, keysAddCommand, keysRemoveCommand,
		}},
		{"This program", []*Command{
			completionCommand, versionCommand,
			// These two list the commands, themselves among them: as package
			// variables they would depend on their own initialisation.
			{Name: "__complete", Hidden: true, Verbatim: true, Run: complete},
			{Name: "help", Args: "[COMMAND]", Short: "show all commands, or one", Run: runHelp},
		}},
	}
}

func commands() []*Command {
	var all []*Command
	for _, t := range topics() {
		all = append(all, t.commands...)
	}
	return all
}

func find(name string) *Command {
	for _, c := range commands() {
		if c.Name == name || slices.Contains(c.Aliases, name) {
			return c
		}
	}
	return nil
}

var versionCommand = &Command{
	Name: "version", Short: "print the version",
	Run: func(_ context.Context, c *Call) error {
		c.print("paas %s %s-%s %s\n", version(), runtime.GOOS, runtime.GOARCH, runtime.Version())
		return nil
	},
}

func runHelp(_ context.Context, c *Call) error {
	if err := c.args(0, 1); err != nil {
		return err
	}
	name := ""
	if len(c.Args) == 1 {
		name = c.Args[0]
	}
	return help(c.Stdout, name)
}
