package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"paas/api"
	"paas/buildpacks"
)

// User is the user and group that builds run as, on both sides of the mounts.
const User = 1000

// Paths inside the container.
const (
	mountB    = "/tmp/b"
	buildDir  = mountB + "/build"
	cacheDir  = mountB + "/cache"
	envDir    = mountB + "/env"
	result    = mountB + "/result/result.json"
	mountPlan = "/tmp/plan"
	planFile  = mountPlan + "/plan.json"
)

func (j *job) path(elem ...string) string { return filepath.Join(append([]string{j.dir}, elem...)...) }

// makeDirs makes the work directory.
func (j *job) makeDirs() error {
	for _, d := range []struct {
		name  string
		owner int
		mode  os.FileMode
	}{
		{".", 0, 0o711}, {"layer", 0, 0o755}, {"plan", 0, 0o755}, {"packs", User, 0o755},
		{"b", User, 0o755}, {"b/build", User, 0o755}, {"b/env", User, 0o700}, {"b/result", User, 0o700},
	} {
		if err := makeDir(j.path(d.name), d.owner, d.mode); err != nil {
			return fmt.Errorf("cannot make build directory: %w", err)
		}
	}
	return nil
}

// makeDir makes a directory with a mode that the umask does not change.
func makeDir(path string, owner int, mode os.FileMode) error {
	if err := os.Mkdir(path, mode.Perm()); err != nil {
		return err
	}
	return errors.Join(os.Chmod(path, mode), os.Chown(path, owner, owner))
}

// writeEnv writes the config vars to ENV_DIR, a file each.
func (j *job) writeEnv() error {
	for name, value := range j.r.Config {
		if name == "" || name == "." || name == ".." || len(name) > 255 || strings.ContainsAny(name, "/\x00") {
			continue // no file can have that name
		}
		file := j.path("b", "env", name)
		if err := os.WriteFile(file, []byte(value), 0o600); err != nil {
			return fmt.Errorf("cannot write config var: %w", err)
		}
		if err := os.Lchown(file, User, User); err != nil {
			return fmt.Errorf("cannot write config var: %w", err)
		}
	}
	return nil
}

// readBuilt reads a file that a build may have written: never through a link,
// and not more than limit bytes. A missing file is nil.
func readBuilt(dir, name string, limit int64) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	defer root.Close()
	st, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	if !st.Mode().IsRegular() || st.Size() > limit {
		return nil, api.Errorf(api.InvalidParams, "%s must be a file, no link, of %d bytes at most.", name, limit)
	}
	b, err := root.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	return b, nil
}

func (j *job) readResult() (buildpacks.Result, error) {
	b, err := readBuilt(j.path("b", "result"), filepath.Base(result), buildpacks.MaxResult)
	if err != nil {
		return buildpacks.Result{}, err
	}
	if b == nil {
		return buildpacks.Result{}, errNoResult
	}
	return buildpacks.ParseResult(b, len(j.packs))
}

var errNoResult = errors.New("the runner left no result")
