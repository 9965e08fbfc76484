package cli

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	v3 "paas/api/v3"
)

var psCommand = &Command{
	Name: "ps", Short: "list an app's dynos", App: true, JSON: true,
	Run: func(ctx context.Context, c *Call) error {
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		dynos, err := cl.Dynos(ctx, name)
		if err != nil {
			return err
		}
		if done, err := c.json(dynos); done {
			return err
		}
		if len(dynos) == 0 {
			c.say("No dynos on %s\n", name)
			return nil
		}
		formation, err := cl.Formation(ctx, name)
		if err != nil {
			return err
		}
		for _, t := range dynoTypes(dynos) {
			var rows [][]string
			title := ""
			for _, d := range dynos {
				if d.Type != t {
					continue
				}
				title = fmt.Sprintf("=== %s (%s): %s", t, d.Size, d.Command)
				rows = append(rows, []string{d.Name + ":", d.State + " " + stamp(d.UpdatedAt) + " (~ " + ago(d.UpdatedAt) + ")", fmt.Sprintf("v%d", d.Release.Version)})
			}
			if i := slices.IndexFunc(formation, func(f v3.Formation) bool { return f.Type == t }); i >= 0 {
				title += fmt.Sprintf(" (%d)", formation[i].Quantity)
			}
			c.print("%s\n\n", title)
			table(c.Stdout, nil, rows)
			c.print("\n")
		}
		return nil
	},
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
		if (a == "web") != (b == "web") {
			if a == "web" {
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
  Scaling dynos... done, now running web at 3:Standard-2X, worker at 2:Standard-1X`,
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
		if done, err := c.json(formation); done {
			return err
		}
		var words, now []string
		for _, f := range formation {
			words = append(words, fmt.Sprintf("%s=%d:%s", f.Type, f.Quantity, f.Size))
			now = append(now, fmt.Sprintf("%s at %d:%s", f.Type, f.Quantity, f.Size))
		}
		switch {
		case len(updates) > 0:
			c.say("Scaling dynos... done, now running %s\n", strings.Join(now, ", "))
		case len(words) == 0:
			c.say("%s has no process types yet. Push first: git push paas main\n", name)
		default:
			c.print("%s\n", strings.Join(words, " "))
		}
		return nil
	},
}

var scaleForm = regexp.MustCompile(`^([A-Za-z0-9_-]+?)(?:=|([+-]))(\d+)?(?::([A-Za-z0-9-]+))?$`)

func scaleUpdates(args []string) ([]v3.FormationUpdate, error) {
	var updates []v3.FormationUpdate
	for _, a := range args {
		m := scaleForm.FindStringSubmatch(a)
		if m == nil || m[3] == "" && m[4] == "" || m[2] != "" && m[3] == "" {
			return nil, usagef("%s is not understood. It looks like web=2, web+1 or worker=1:Standard-2X.", a)
		}
		u := v3.FormationUpdate{Type: m[1], Size: m[4]}
		if m[3] != "" {
			u.Quantity = m[2] + m[3]
		}
		updates = append(updates, u)
	}
	return updates, nil
}

var restartCommand = &Command{
	Name: "ps:restart", Aliases: []string{"restart", "dyno:restart"}, Args: "[TYPE | DYNO]", Short: "replace dynos by fresh ones", App: true,
	Long: `New dynos are up before the old ones stop, so no request is lost.

Examples:
  $ paas restart
  $ paas restart web
  $ paas restart worker.2`,
	Run: func(ctx context.Context, c *Call) error {
		if err := c.args(0, 1); err != nil {
			return err
		}
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		processType, dyno, words := "", "", "all dynos"
		if len(c.Args) == 1 {
			processType, dyno = split(c.Args[0])
			words = c.Args[0]
		}
		if err := cl.Restart(ctx, name, processType, dyno); err != nil {
			return err
		}
		c.say("Restarting %s on %s... done\n", words, name)
		return nil
	},
}

var stopCommand = &Command{
	Name: "ps:stop", Aliases: []string{"ps:kill", "dyno:stop"}, Args: "TYPE | DYNO", Short: "stop dynos; those of the formation start again", App: true,
	Run: func(ctx context.Context, c *Call) error {
		if err := c.args(1, 1); err != nil {
			return err
		}
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		processType, dyno := split(c.Args[0])
		if err := cl.Stop(ctx, name, processType, dyno); err != nil {
			return err
		}
		c.say("Stopping %s on %s... done\n", c.Args[0], name)
		return nil
	},
}

// split tells "web.1" from "web".
func split(target string) (processType, dyno string) {
	if strings.Contains(target, ".") {
		return "", target
	}
	return target, ""
}
