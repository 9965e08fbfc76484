package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"paas/dyno/logplex"
)

// minDisk is what must be free below the data directory: two stacks, their
// trees, and room for the first builds.
const minDisk = 5 << 30

// check says everything that keeps paasd from running here, not just the first
// thing.
func check(ctx context.Context, in *invocation) error {
	if err := needRoot(); err != nil {
		return err
	}
	c := in.config
	var errs []error
	if running(c) {
		fmt.Fprintf(in.stdout, "paasd runs already (data directory %s)\n", c.DataDir)
	} else if l, err := listen(c); err != nil {
		errs = append(errs, err)
	} else {
		l.close()
	}
	for _, program := range []string{"git", "nft", "mmdebstrap", "zstd"} {
		if _, err := exec.LookPath(program); err != nil {
			errs = append(errs, fmt.Errorf("cannot find the program %s: install it (install.sh does)", program))
		}
	}
	if _, err := os.Stat(c.BuildpackBinary); err != nil {
		errs = append(errs, fmt.Errorf("cannot find buildpack_binary: %w", err))
	}
	errs = append(errs, checkDisk(c.DataDir), checkRuntime(ctx, in))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	fmt.Fprintln(in.stdout, "paasd can run here")
	return nil
}

func checkDisk(dir string) error {
	for {
		if _, err := os.Stat(dir); err == nil || dir == "/" {
			break
		}
		dir = filepath.Dir(dir)
	}
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return fmt.Errorf("cannot look at the disk of %s: %w", dir, err)
	}
	if free := int64(s.Bavail) * s.Bsize; free < minDisk {
		return fmt.Errorf("cannot run with %d MB free on the disk of %s: %d MB are needed", free>>20, dir, int64(minDisk)>>20)
	}
	return nil
}

func checkRuntime(ctx context.Context, in *invocation) error {
	r, err := newRuntime(in.config, verifiedImages{}, &logplex.Hub{}, slog.New(slog.NewTextHandler(in.stderr, nil)))
	if err != nil {
		return err
	}
	return r.Check(ctx)
}

// teardown takes away everything that paasd made beside its data directory.
func teardown(ctx context.Context, in *invocation) error {
	if err := needRoot(); err != nil {
		return err
	}
	if running(in.config) {
		return errors.New("cannot tear down while paasd runs: stop it first")
	}
	r, err := newRuntime(in.config, verifiedImages{}, &logplex.Hub{}, slog.New(slog.NewTextHandler(in.stderr, nil)))
	if err != nil {
		return err
	}
	return r.Teardown(ctx)
}

func stackBuild(ctx context.Context, in *invocation) error {
	if err := needRoot(); err != nil {
		return err
	}
	_, _, stacks, err := openStacks(in.config, in.environ)
	if err != nil {
		return err
	}
	return stacks.Build(ctx, in.config.Stack, in.stdout)
}

func stackList(ctx context.Context, in *invocation) error {
	_, _, stacks, err := openStacks(in.config, in.environ)
	if err != nil {
		return err
	}
	for _, name := range stacks.Names() {
		s, err := stacks.Get(ctx, name)
		if err != nil {
			fmt.Fprintf(in.stdout, "%s: %v\n", name, err)
			continue
		}
		var words []string
		for _, l := range append(s.Run, s.Build...) {
			words = append(words, fmt.Sprintf("%s %s (%d MB)", l.Name, l.Digest, l.Size>>20))
		}
		fmt.Fprintf(in.stdout, "%s: %s\n", name, strings.Join(words, ", "))
	}
	return nil
}
