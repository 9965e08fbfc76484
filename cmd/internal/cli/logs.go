package cli

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"

	v3 "paas/api/v3"
)

// maxLogLines is how many lines the platform keeps in reach.
const maxLogLines = 1500

var logsCommand = &Command{
	Name: "logs", Short: "show an app's log", App: true,
	Long: `With --tail it goes on until Ctrl-C; if the connection breaks it is taken up
again where it was.

Examples:
  $ paas logs -n 200
  $ paas logs --tail --dyno web.1
  $ paas logs -t --source app`,
	Flags: func(f *pflag.FlagSet) {
		f.BoolP("tail", "t", false, "go on showing new lines")
		f.IntP("num", "n", 100, fmt.Sprintf("how many of the last lines (0 to %d)", maxLogLines))
		f.StringP("dyno", "d", "", "only this dyno or process type (web.1, worker)")
		f.StringP("process-type", "p", "", "only this process type")
		f.StringP("source", "s", "", "only this source (app, heroku)")
		f.String("dyno-name", "", "like --dyno")
		hide(f, "dyno-name")
	},
	Run: func(ctx context.Context, c *Call) error {
		n := c.int("num")
		if n < 0 || n > maxLogLines {
			return usagef("--num must be from 0 to %d, not %d.", maxLogLines, n)
		}
		r := v3.LogSessionRequest{Source: c.string("source"), Lines: &n, Tail: c.bool("tail")}
		for _, flag := range []string{"dyno", "dyno-name", "process-type"} {
			if v := c.string(flag); v != "" {
				r.Dyno = v
			}
		}
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		return cl.Logs(ctx, name, r, c.logLine)
	},
}

func (c *Call) logLine(line string) error {
	_, err := fmt.Fprintln(c.Stdout, line)
	return err
}
