package cli

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"

	v3 "paas/api/v3"
)

var logsCommand = &Command{
	Name: "logs", Short: "show an app's log", App: true,
	Long: `Examples:
  $ paas logs -n 200
  $ paas logs --tail --dyno web.1
  $ paas logs -t --source app`,
	Flags: func(f *pflag.FlagSet) {
		f.BoolP("tail", "t", false, "go on showing new lines")
		f.IntP("num", "n", 100, "how many lines (1500 at most)")
		f.StringP("dyno", "d", "", "only this dyno or process type (web.1, worker)")
		f.StringP("source", "s", "", "only this source (app, heroku)")
	},
	Run: func(ctx context.Context, c *Call) error {
		if err := c.args(0, 0); err != nil {
			return err
		}
		name, cl, err := c.appClient(ctx)
		if err != nil {
			return err
		}
		n := c.int("num")
		return cl.Logs(ctx, name, v3.LogSessionRequest{Dyno: c.string("dyno"), Source: c.string("source"), Lines: &n, Tail: c.bool("tail")}, func(line string) error {
			_, err := fmt.Fprintln(c.Stdout, line)
			return err
		})
	},
}
