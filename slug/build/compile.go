package build

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/google/uuid"

	"paas/api"
	"paas/buildpacks"
	"paas/slug"
)

// compile runs the buildpacks in the sandbox. When the one that detects needs
// stack layers that are not mounted, it is run again with them.
func (j *job) compile(ctx context.Context) error {
	if err := j.writeEnv(); err != nil {
		return err
	}
	var err error
	if j.lease, err = j.cache.take(ctx, j.r.AppID, j.stack.Name, j.path("b", "cache")); err != nil {
		return err
	}
	plan := buildpacks.Plan{
		RequestID: uuid.NewString(), Stack: j.stack.Name, Commit: j.r.Source.Revision().Commit,
		Home: "/app", BuildDir: buildDir, CacheDir: cacheDir, EnvDir: envDir, Result: result,
		Detect: j.detect, Env: j.environment(),
	}
	if err := j.install(ctx, &plan); err != nil {
		return err
	}
	if !j.detect {
		for _, p := range j.packs {
			if err := j.needLayers(ctx, p.Layers); err != nil {
				return err
			}
		}
	}
	detected := ""
	for {
		plan.Layers, plan.Detected = j.layerNames(), detected
		exit, err := j.sandbox(ctx, plan)
		if err != nil {
			return err
		}
		found, err := j.readResult()
		if err != nil {
			return j.noResult(exit, err)
		}
		if len(found.NeedsLayers) > 0 {
			if !j.detect {
				return j.reject("The build left no usable result: it asks for stack layers twice.")
			}
			// From here on it is a list of one. What it needs is the catalog's
			// to say: the result is the build's own.
			i := found.Used[0].Index
			if err := j.needLayers(ctx, j.packs[i].Layers); err != nil {
				return err
			}
			j.packs, plan.Packs = j.packs[i:i+1], plan.Packs[i:i+1]
			j.detect, plan.Detect = false, false
			detected = found.Used[0].Detected
			continue
		}
		if found.Failure != nil {
			return j.rejectFailure(*found.Failure, found.Used, exit)
		}
		j.found = found
		for _, u := range found.Used {
			j.used = append(j.used, j.packs[u.Index])
		}
		return nil
	}
}

// install makes the buildpacks' private copies and puts them into the plan.
func (j *job) install(ctx context.Context, plan *buildpacks.Plan) error {
	for i, p := range j.packs {
		name := fmt.Sprintf("%02d", i)
		dir := j.path("packs", name)
		if err := makeDir(dir, 0, 0o755); err != nil {
			return fmt.Errorf("cannot install buildpack: %w", err)
		}
		sub, err := j.Packs.Install(ctx, p, dir)
		if err != nil {
			return err
		}
		plan.Packs = append(plan.Packs, buildpacks.Pack{Name: p.Name, Dir: path.Join(buildpacks.Root, name, filepath.ToSlash(sub)), Layers: p.Layers})
	}
	return nil
}

// needLayers makes sure of language layers, building those that no app has
// needed before.
func (j *job) needLayers(ctx context.Context, names []string) error {
next:
	for _, name := range names {
		for _, l := range j.extra {
			if l.Name == name {
				continue next
			}
		}
		l, err := j.Stacks.Language(ctx, j.stack.Name, name, j.out)
		if err != nil {
			return err
		}
		j.extra = append(j.extra, l)
	}
	return nil
}

func (j *job) layerNames() []string {
	var names []string
	for _, l := range j.extra {
		names = append(names, l.Name)
	}
	return names
}

// sandbox runs the plan in a container of the build stack.
func (j *job) sandbox(ctx context.Context, plan buildpacks.Plan) (slug.SandboxExit, error) {
	if err := plan.Write(j.path("plan", path.Base(planFile))); err != nil {
		return slug.SandboxExit{}, err
	}
	var lower []string
	for _, group := range [][]slug.Layer{j.stack.Run, j.stack.Build, j.extra} {
		for _, l := range group {
			dir, err := j.Layers.Dir(ctx, l)
			if err != nil {
				return slug.SandboxExit{}, err
			}
			lower = append(lower, dir)
		}
	}
	return j.Sandbox.Run(ctx, slug.SandboxSpec{
		ID: uuid.NewString(), Lower: lower,
		Mounts: []slug.SandboxMount{
			{Source: j.path("b"), Target: mountB},
			{Source: j.path("packs"), Target: buildpacks.Root},
			{Source: j.path("plan"), Target: mountPlan, ReadOnly: true},
			{Source: j.Program, Target: buildpacks.Program, ReadOnly: true},
		},
		Argv: []string{buildpacks.Program, "run", planFile},
		Env:  []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/app"},
		Dir:  mountB, Memory: j.Memory, CPUs: cpuShares, Pids: maxPids, Output: j.out,
	})
}

// noResult explains a runner that did not get to its end.
func (j *job) noResult(exit slug.SandboxExit, err error) error {
	switch {
	case exit.OOM:
		return j.reject("%s", j.outOfMemory())
	case errors.Is(err, errNoResult):
		return j.reject("The build was killed (exit status %d).", exit.Status)
	}
	return j.reject("The build left no usable result: %v.", err)
}

func (j *job) outOfMemory() string {
	return fmt.Sprintf("The build ran out of memory: it may use %s. Build fewer things at once, or ask your operator for more ([build] memory).", limit(j.Memory))
}

// rejectFailure says what failed, in Heroku's words.
func (j *job) rejectFailure(f buildpacks.Failure, used []buildpacks.Used, exit slug.SandboxExit) error {
	name := "app"
	if len(used) > 0 {
		name = used[len(used)-1].Detected + " app"
	}
	pack := ""
	if f.Index >= 0 {
		pack = j.packs[f.Index].Name
	}
	j.told = true
	var reason string
	if exit.OOM {
		j.out.notes(j.outOfMemory())
	}
	switch f.Phase {
	case buildpacks.PhaseDetect:
		if f.Index < 0 {
			reason = "No default language could be detected for this app."
			j.out.write(fmt.Sprintf(" !     %s\n\t\t\tHINT: This occurs when the platform cannot detect the buildpack to use for this application automatically.\n\t\t\tAdd a Procfile, or name a buildpack: paas buildpacks:set -a %s heroku/nodejs\n", reason, j.r.AppName))
		} else {
			reason = "App not compatible with buildpack: " + pack
			j.out.notes(reason)
		}
	case buildpacks.PhaseCompile:
		reason = fmt.Sprintf("Push rejected, failed to compile %s.", name)
		if f.Reason != "" {
			j.out.notes(f.Reason)
		}
		j.out.notes(reason)
	case buildpacks.PhaseProcesses:
		reason = f.Reason
		j.out.notes(reason)
	default:
		why := f.Reason
		if why == "" {
			why = fmt.Sprintf("it ended with status %d", f.Status)
		}
		j.out.notes(fmt.Sprintf("bin/%s of buildpack %s failed: %s", f.Phase, pack, why))
		reason = fmt.Sprintf("Push rejected, failed to compile %s.", name)
		j.out.notes(reason)
	}
	j.out.notes("", "Push failed")
	return api.Errorf(api.InvalidParams, "%s", strings.TrimSpace(reason))
}
