// Command paas-bench prints the figures that the project publishes, measured
// against a running platform: the one that the paas command is logged in to.
//
//	paas-bench [--apps N] [--runs N] [--only push-go,rollback] [--go-bench]
//
// It uses real git over SSH, as a user does, and the API through the CLI's own
// client. All apps that it makes are destroyed at its end. The report, with
// the machine it was made on, goes to standard output as Markdown; progress to
// standard error.
//
// # Method
//
// A first push is one to a new app; the very first of a language on a platform
// also fetches its toolchain, so with --cold 2 or more that is the greatest
// value. A push counts as live when the app has given the first answer of the new
// version, asked every few milliseconds from the start of git push on. What
// the buildpack itself took is read off the build's output: from the line that
// says what was detected to the one that lists the process types, by the times
// at which git showed them. The boot of an app is the time between the log
// lines "Starting process" and "State changed from starting to up".
//
// Two figures compare with another program and are Go benchmarks beside the
// code they measure; --go-bench runs them, else the report says how.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"paas/cmd/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "paas-bench:", err)
		os.Exit(1)
	}
}

// figure is one measurement, which may give several rows.
type figure struct {
	name    string
	about   string
	measure func(*bench, context.Context) error
}

var figures = []figure{
	{"push-go", "push to live, a small Go app", func(b *bench, ctx context.Context) error { return b.pushes(ctx, "go", "main.go") }},
	{"push-node", "push to live, a small Node.js app", func(b *bench, ctx context.Context) error { return b.pushes(ctx, "node", "index.js") }},
	{"rollback", "rollback to the first answer of the old release", (*bench).rollbacks},
	{"dyno", "ps:scale +1 to a dyno that is up", (*bench).dynoStarts},
	{"memory", "memory of the platform, idle, without and with apps", (*bench).memory},
}

type options struct {
	apps, runs, colds     int
	only                  []string
	goBench, trace        bool
	source, runDir, key   string
	router                string
	settle, each, longest time.Duration
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o := options{each: 5 * time.Millisecond, longest: 15 * time.Minute}
	f := pflag.NewFlagSet("paas-bench", pflag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&o.apps, "apps", 20, "how many apps the memory figure runs")
	f.IntVar(&o.runs, "runs", 5, "how often each figure is measured")
	f.IntVar(&o.colds, "cold", 2, "how many first pushes are measured, each to an app of its own")
	f.StringSliceVar(&o.only, "only", nil, "only these figures: "+strings.Join(names(), ", "))
	f.BoolVar(&o.goBench, "go-bench", false, "run the Go benchmarks too (as root, in the source tree)")
	f.BoolVar(&o.trace, "trace", false, "show when each line of each push came")
	f.StringVar(&o.source, "source", "", "the source tree (default: the one around this directory)")
	f.StringVar(&o.runDir, "run-dir", "/run/paas", "the platform's run directory, to find its processes")
	f.StringVar(&o.key, "identity", "", "SSH key to push with (default: ssh's own choice)")
	f.StringVar(&o.router, "router", "", "host:port of the router (default: from the apps' addresses)")
	f.DurationVar(&o.settle, "settle", 10*time.Second, "how long to let things rest before memory is read")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return nil
		}
		return err
	}
	for _, name := range o.only {
		if !slices.Contains(names(), name) {
			return fmt.Errorf("no figure is called %q: %s", name, strings.Join(names(), ", "))
		}
	}
	if o.runs < 1 || o.colds < 1 || o.apps < 1 {
		return errors.New("--runs, --cold and --apps must be 1 at least")
	}
	var err error
	if o.source, err = sourceTree(o.source); err != nil {
		return err
	}
	client, err := cli.LoggedIn("paas-bench")
	if err != nil {
		return err
	}
	b, err := newBench(ctx, o, client, stderr)
	if err != nil {
		return err
	}
	defer b.close()
	for _, fig := range figures {
		if len(o.only) > 0 && !slices.Contains(o.only, fig.name) {
			continue
		}
		b.say("%s: %s", fig.name, fig.about)
		if err := fig.measure(b, ctx); err != nil {
			if ctx.Err() != nil {
				return errors.New("interrupted")
			}
			// The other figures are still worth having.
			b.say("%s failed: %v", fig.name, err)
			b.report.failed = append(b.report.failed, fmt.Sprintf("%s: %v", fig.name, err))
		}
	}
	if err := describe(ctx).print(stdout); err != nil {
		return err
	}
	if err := b.report.print(stdout); err != nil {
		return err
	}
	if err := goBenchmarks(ctx, o, stdout); err != nil {
		return err
	}
	if len(b.report.failed) > 0 {
		return fmt.Errorf("%d figures could not be measured", len(b.report.failed))
	}
	return nil
}

func names() []string {
	var all []string
	for _, fig := range figures {
		all = append(all, fig.name)
	}
	return all
}

// sourceTree finds the project's root: the samples and the Go benchmarks are
// there.
func sourceTree(dir string) (string, error) {
	if dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		b, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(b), "module paas\n") {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("not in the source tree, which has the samples: go there, or name it with --source")
		}
		dir = up
	}
}
