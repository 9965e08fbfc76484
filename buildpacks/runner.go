package buildpacks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"paas/slug/procfile"
)

// What RunMain returns, as the exit status of the runner.
const (
	exitOK      = 0 // the result says what came of it, be it a failed build
	exitTrouble = 1 // there is no result
)

// RunMain runs the plan in a file and writes its Result. Everything that the
// buildpacks print goes to this process's stdout and stderr, which should be
// one and the same so that the order is kept. When ctx ends the running
// buildpack is killed and there is no result.
//
// It waits for any child of the process: nothing else in the process may start
// some.
func RunMain(ctx context.Context, planPath string) int {
	p, err := readPlan(planPath)
	if err == nil {
		err = run(ctx, p)
	}
	if err != nil {
		fmt.Fprintf(os.Stdout, " !     %v\n", err)
		return exitTrouble
	}
	return exitOK
}

func run(ctx context.Context, p Plan) error {
	syscall.Umask(0o022)
	if err := becomeReaper(); err != nil {
		return err
	}
	r := &runner{plan: p, env: newEnvironment(p)}
	err := r.packs(ctx)
	killStragglers()
	if err != nil {
		return err
	}
	return r.result.write(p.Result)
}

// runner is one run of a plan.
type runner struct {
	plan   Plan
	env    environment
	result Result
	last   release // of the last buildpack that has bin/release
}

// packs runs the plan. A failure of the build is in the result; an error is
// trouble of the runner's own.
func (r *runner) packs(ctx context.Context) error {
	if r.plan.Detect {
		i, detected, err := r.choose(ctx)
		if err != nil || r.result.Failure != nil {
			return err
		}
		if missing := r.missing(i); len(missing) > 0 {
			r.result.Used = []Used{{Index: i, Detected: detected}}
			r.result.NeedsLayers = missing
			return nil
		}
		return r.all(ctx, []int{i}, detected)
	}
	list := make([]int, len(r.plan.Packs))
	for i := range list {
		list[i] = i
	}
	return r.all(ctx, list, r.plan.Detected)
}

// all runs the packs of a list; detected is set if the first one was asked
// already.
func (r *runner) all(ctx context.Context, list []int, detected string) error {
	for n, i := range list {
		if n > 0 || detected == "" {
			var ok bool
			var err error
			if detected, ok, err = r.detect(ctx, i, os.Stderr); err != nil {
				return err
			} else if !ok {
				r.fail(PhaseDetect, i, 1, "")
				return nil
			}
			announce(detected)
		}
		r.result.Used = append(r.result.Used, Used{Index: i, Detected: detected})
		if err := r.build(ctx, i); err != nil || r.result.Failure != nil {
			return err
		}
	}
	r.processes()
	return nil
}

// choose finds the first pack that detects.
func (r *runner) choose(ctx context.Context) (int, string, error) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return 0, "", err
	}
	defer null.Close()
	for i := range r.plan.Packs {
		detected, ok, err := r.detect(ctx, i, null)
		if err != nil {
			return 0, "", err
		}
		if ok {
			announce(detected)
			return i, detected, nil
		}
	}
	r.fail(PhaseDetect, -1, 1, "")
	return 0, "", nil
}

func announce(detected string) { fmt.Fprintf(os.Stdout, "-----> %s app detected\n", detected) }

func (r *runner) missing(i int) []string {
	var missing []string
	for _, l := range r.plan.Packs[i].Layers {
		if !slices.Contains(r.plan.Layers, l) {
			missing = append(missing, l)
		}
	}
	return missing
}

func (r *runner) fail(phase Phase, i, status int, reason string) {
	r.result.Failure = &Failure{Phase: phase, Index: i, Status: status, Reason: reason}
}

// program is a call of one of a pack's programs.
func (r *runner) program(i int, name string, args ...string) command {
	dir := r.plan.Packs[i].Dir
	return command{
		argv: append([]string{filepath.Join(dir, "bin", name)}, args...),
		dir:  dir, env: r.env.list(), stdout: os.Stdout, stderr: os.Stderr,
	}
}

func (r *runner) has(i int, name string) bool {
	st, err := os.Stat(filepath.Join(r.plan.Packs[i].Dir, "bin", name))
	return err == nil && st.Mode().IsRegular()
}

// detect asks whether a pack applies, and what it calls the app.
func (r *runner) detect(ctx context.Context, i int, stderr *os.File) (string, bool, error) {
	c := r.program(i, "detect", r.plan.BuildDir)
	c.stderr = stderr
	out, status, err := c.capture(ctx, false)
	switch {
	case ctx.Err() != nil:
		return "", false, context.Cause(ctx)
	case err != nil:
		fmt.Fprintf(os.Stdout, " !     %v\n", err) // no such program, or not one
		return "", false, nil
	}
	detected := oneLine(string(out))
	if status == 0 && detected == "" {
		detected = r.plan.Packs[i].Name
	}
	return detected, status == 0, nil
}

// build runs what follows detect for one pack.
func (r *runner) build(ctx context.Context, i int) error {
	status, err := r.program(i, "compile", r.plan.BuildDir, r.plan.CacheDir, r.plan.EnvDir).run(ctx)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		r.fail(PhaseCompile, i, 126, err.Error())
	case status != 0:
		r.fail(PhaseCompile, i, status, "")
	}
	if r.result.Failure == nil {
		if err := r.release(ctx, i); err != nil {
			return err
		}
	}
	// For a failed build too: it may say why.
	if err := r.report(ctx, i); err != nil || r.result.Failure != nil {
		return err
	}
	// Not before: release and report see what compile saw.
	env, err := r.env.source(ctx, r.plan.Packs[i].Dir)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		r.fail(PhaseExport, i, 1, err.Error())
	default:
		r.env = env
	}
	return nil
}

func (r *runner) release(ctx context.Context, i int) error {
	r.last = release{} // the default process types are the last buildpack's
	if !r.has(i, "release") {
		return nil
	}
	out, status, err := r.program(i, "release", r.plan.BuildDir).capture(ctx, false)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		r.fail(PhaseRelease, i, 126, err.Error())
		return nil
	case status != 0:
		r.fail(PhaseRelease, i, status, "")
		return nil
	}
	rel, err := parseRelease(out)
	if err != nil {
		r.fail(PhaseRelease, i, 0, err.Error())
		return nil
	}
	r.last = rel
	for _, a := range rel.addons {
		if !slices.Contains(r.result.Addons, a) {
			r.result.Addons = append(r.result.Addons, a)
		}
	}
	for k, v := range rel.config {
		if r.result.Config == nil {
			r.result.Config = map[string]string{}
		}
		r.result.Config[k] = v
	}
	return nil
}

// report keeps what bin/report prints; nothing comes of its failing.
func (r *runner) report(ctx context.Context, i int) error {
	if !r.has(i, "report") {
		return nil
	}
	out, status, err := r.program(i, "report", r.plan.BuildDir, r.plan.CacheDir, r.plan.EnvDir).capture(ctx, false)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err == nil && status == 0 {
		out = out[:min(len(out), maxReport)]
		r.result.Used[len(r.result.Used)-1].Report = strings.ToValidUTF8(string(out), "\ufffd")
	}
	return nil
}

// maxProcfile bounds the Procfile.
const maxProcfile = 1 << 20

// processes reads the Procfile that is there after all compiles, and tells.
func (r *runner) processes() {
	text, err := readProcfile(filepath.Join(r.plan.BuildDir, "Procfile"))
	if err != nil {
		r.fail(PhaseProcesses, -1, 0, err.Error())
		return
	}
	var declared, defaults []string
	for _, t := range procfile.Parse(text) {
		declared = append(declared, t.Name)
		r.result.Processes = append(r.result.Processes, Process(t))
	}
	for _, p := range r.last.processes {
		if !slices.Contains(declared, p.Name) {
			defaults = append(defaults, p.Name)
			r.result.Processes = append(r.result.Processes, p)
		}
	}
	if len(declared) == 0 {
		declared = []string{"(none)"}
	}
	fmt.Fprintf(os.Stdout, "-----> Discovering process types\n       Procfile declares types     -> %s\n", strings.Join(declared, ", "))
	if len(defaults) > 0 {
		fmt.Fprintf(os.Stdout, "       Default types for buildpack -> %s\n", oneLine(strings.Join(defaults, ", ")))
	}
	fmt.Fprintln(os.Stdout)
}

func readProcfile(path string) (string, error) {
	// A FIFO of that name must not stop the build.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("cannot read Procfile: %w", err)
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return "", errors.New("cannot read Procfile: it is not a file")
	}
	b, err := io.ReadAll(io.LimitReader(f, maxProcfile+1))
	if err != nil {
		return "", fmt.Errorf("cannot read Procfile: %w", err)
	}
	if len(b) > maxProcfile {
		return "", fmt.Errorf("cannot read Procfile: it has more than %d bytes", maxProcfile)
	}
	return string(b), nil
}
