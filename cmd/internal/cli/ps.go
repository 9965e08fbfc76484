package cli

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"paas/api"
	v3 "paas/api/v3"
)

var psCommand = &Command{
	Name: "ps", Args: "[TYPE...]", Short: "list an app's dynos", App: true, JSON: true,
	Run: func(ctx context.Context, c *Call) error {
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		dynos, err := cl.Dynos(ctx, name)
		if err != nil {
			return err
		}
		if len(c.Args) > 0 {
			dynos = slices.DeleteFunc(dynos, func(d v3.Dyno) bool { return !slices.Contains(c.Args, d.Type) })
		}
		if done, err := c.json(dynos); done {
			return err
		}
		formation, err := cl.Formation(ctx, name)
		if err != nil {
			return err
		}
		switch {
		case len(dynos) > 0:
		case len(formation) == 0:
			c.say("No dynos on %s: nothing has been deployed. Push first: git push paas main\n", name)
		case len(c.Args) > 0:
			c.say("No dynos of type %s on %s\n", strings.Join(c.Args, ", "), name)
		default:
			c.say("No dynos on %s. Start some: paas ps:scale %s=1 -a %s\n", name, formation[0].Type, name)
		}
		for _, t := range dynoTypes(dynos) {
			c.showDynos(t, dynos, formation)
		}
		return nil
	},
}

// showDynos prints the dynos of one type. Those of the formation have one
// command and size; one-offs have their own.
func (c *Call) showDynos(processType string, dynos []v3.Dyno, formation []v3.Formation) {
	title := fmt.Sprintf("=== %s: one-off processes", processType)
	i := slices.IndexFunc(formation, func(f v3.Formation) bool { return f.Type == processType && f.Type != api.ReleasePhase })
	if i >= 0 {
		title = fmt.Sprintf("=== %s (%s): %s (%d)", processType, formation[i].Size, formation[i].Command, formation[i].Quantity)
	}
	var rows [][]string
	for _, d := range dynos {
		if d.Type != processType {
			continue
		}
		label := d.Name + ":"
		if i < 0 {
			label = fmt.Sprintf("%s (%s):", d.Name, d.Size)
		}
		row := []string{label, fmt.Sprintf("%s %s (~ %s)", d.State, stamp(d.UpdatedAt), ago(d.UpdatedAt)), fmt.Sprintf("v%d", d.Release.Version)}
		if i < 0 {
			row = append(row, d.Command)
		}
		rows = append(rows, row)
	}
	c.print("%s\n\n", title)
	table(c.Stdout, nil, rows)
	c.print("\n")
}

// dynoTypes lists the types of dynos, web first.
func dynoTypes(dynos []v3.Dyno) []string {
	var types []string
	for _, d := range dynos {
		if !slices.Contains(types, d.Type) {
			types = append(types, d.Type)
		}
	}
	slices.SortFunc(types, func(a, b string) int {
		if (a == api.Web) != (b == api.Web) {
			if a == api.Web {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	return types
}

func countDynos(dynos []v3.Dyno) string {
	var words []string
	for _, t := range dynoTypes(dynos) {
		n := 0
		for _, d := range dynos {
			if d.Type == t {
				n++
			}
		}
		words = append(words, fmt.Sprintf("%s: %d", t, n))
	}
	if words == nil {
		return "none"
	}
	return strings.Join(words, ", ")
}

var scaleCommand = &Command{
	Name: "ps:scale", Aliases: []string{"scale"}, Args: "[TYPE=QUANTITY[:SIZE] | TYPE+N | TYPE-N]...", Short: "change how many dynos run, and their size", App: true, JSON: true,
	Long: `Without arguments it shows the formation.

Examples:
  $ paas ps:scale web=3:Standard-2X worker+1
  Scaling dynos... done, now running web at 3:Standard-2X, worker at 2:Standard-1X
  $ paas ps:scale
  web=3:Standard-2X worker=2:Standard-1X`,
	Run: func(ctx context.Context, c *Call) error {
		updates, err := scaleUpdates(c.Args)
		if err != nil {
			return err
		}
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		var formation []v3.Formation
		if len(updates) == 0 {
			formation, err = cl.Formation(ctx, name)
		} else {
			formation, err = cl.Scale(ctx, name, updates)
		}
		if err != nil {
			return err
		}
		var words, now []string
		for _, f := range formation {
			words = append(words, fmt.Sprintf("%s=%d:%s", f.Type, f.Quantity, f.Size))
			now = append(now, fmt.Sprintf("%s at %d:%s", f.Type, f.Quantity, f.Size))
		}
		if len(updates) > 0 {
			c.say("Scaling dynos... done, now running %s\n", strings.Join(now, ", "))
		}
		if done, err := c.json(formation); done || len(updates) > 0 {
			return err
		}
		if len(words) == 0 {
			c.say("%s has no process types yet. Push first: git push paas main\n", name)
			return nil
		}
		c.print("%s\n", strings.Join(words, " "))
		return nil
	},
}

var scaleForm = regexp.MustCompile(`^([A-Za-z0-9_-]+?)(?:=|([+-]))(\d+)?(?::([A-Za-z0-9-]+))?$`)

func scaleUpdates(args []string) ([]v3.FormationUpdate, error) {
	var updates []v3.FormationUpdate
	for _, a := range args {
		m := scaleForm.FindStringSubmatch(a)
		if m == nil || m[3] == "" && (m[2] != "" || m[4] == "") {
			return nil, usagef("%s is not understood. It looks like web=2, web+1, worker=1:Standard-2X or web=:Standard-2X.", a)
		}
		u := v3.FormationUpdate{Type: m[1], Size: m[4]}
		if m[3] != "" {
			u.Quantity = m[2] + m[3]
		}
		updates = append(updates, u)
	}
	return updates, nil
}

// targetFlags are the words of Heroku's newer CLI for what an argument says
// here.
func targetFlags(f *pflag.FlagSet) {
	f.StringP("dyno-name", "d", "", "the dyno, like DYNO")
	f.StringP("process-type", "p", "", "the process type, like TYPE")
}

// target is the type or dyno that a command is about; both "" = none named.
func (c *Call) target() (processType, dyno string, err error) {
	var named []string
	for _, n := range append([]string{c.string("dyno-name"), c.string("process-type")}, c.Args...) {
		if n != "" {
			named = append(named, n)
		}
	}
	switch {
	case len(named) > 1:
		return "", "", usagef("One at a time: %s", strings.Join(named, " or "))
	case len(named) == 0:
		return "", "", nil
	case strings.Contains(named[0], "."):
		return "", named[0], nil
	}
	return named[0], "", nil
}

var restartCommand = &Command{
	Name: "ps:restart", Aliases: []string{"restart", "dyno:restart"}, Args: "[TYPE | DYNO]", Short: "replace dynos by fresh ones", App: true,
	Long: `New dynos are up before the old ones stop, so no request is lost.

Examples:
  $ paas restart
  $ paas restart web
  $ paas restart worker.2`,
	Flags: targetFlags,
	Run: func(ctx context.Context, c *Call) error {
		processType, dyno, err := c.target()
		if err != nil {
			return err
		}
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		if err := cl.Restart(ctx, name, processType, dyno); err != nil {
			return err
		}
		what := processType + dyno
		if what == "" {
			what = "all dynos"
		}
		c.say("Restarting %s on %s... done\n", what, name)
		return nil
	},
}

var stopCommand = &Command{
	Name: "ps:stop", Aliases: []string{"ps:kill", "dyno:stop", "dyno:kill"}, Args: "TYPE | DYNO", Short: "stop dynos; those of the formation start again", App: true,
	Long: `One-off dynos are gone; to have fewer of the others, scale down.

Examples:
  $ paas ps:stop run.4821
  $ paas ps:stop worker`,
	Flags: targetFlags,
	Run: func(ctx context.Context, c *Call) error {
		processType, dyno, err := c.target()
		if err != nil {
			return err
		}
		if processType+dyno == "" {
			return c.args(1, 1)
		}
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		if err := cl.Stop(ctx, name, processType, dyno); err != nil {
			return err
		}
		c.say("Stopping %s on %s... done\n", processType+dyno, name)
		return nil
	},
}
