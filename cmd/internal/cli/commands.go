package cli

import (
	"context"
	"runtime"
)

// commands lists every command in the order that help shows.
func commands() []*Command {
	return []*Command{
		appsCommand, createCommand, infoCommand, renameCommand, destroyCommand, openCommand, gitRemoteCommand,
		buildsCommand, buildsOutputCommand, buildsCancelCommand, cachePurgeCommand,
		buildpacksCommand, buildpacksSetCommand, buildpacksClearCommand,
		configCommand, configGetCommand, configSetCommand, configUnsetCommand,
		psCommand, scaleCommand, restartCommand, stopCommand,
		releasesCommand, releaseInfoCommand, releaseOutputCommand, rollbackCommand,
		slugsCommand, slugInfoCommand, slugExportCommand,
		logsCommand, runCommand, runDetachedCommand,
		maintenanceCommand, maintenanceOnCommand, maintenanceOffCommand,
		loginCommand, logoutCommand, whoamiCommand, tokenCommand,
		keysCommand, keysAddCommand, keysRemoveCommand,
		completionCommand, versionCommand,
		// These two list the commands, themselves among them: as package variables
		// they would depend on their own initialisation.
		{Name: "__complete", Hidden: true, Verbatim: true, Run: complete},
		{Name: "help", Args: "[COMMAND]", Short: "show all commands, or one", Run: runHelp},
	}
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
