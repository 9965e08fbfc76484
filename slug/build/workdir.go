package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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

// makeDirs makes the work directory. It names its app, so that tidy can give
// the cache back after a crash.
func (j *job) makeDirs() error {
	for _, dir := range []string{"b/build", "b/env", "b/result", "packs", "plan", "layer"} {
		if err := os.MkdirAll(j.path(dir), 0o755); err != nil {
			return fmt.Errorf("cannot make build directory: %w", err)
		}
	}
	for _, dir := range []string{"b", "b/build", "b/env", "b/result", "packs"} {
		if err := os.Chown(j.path(dir), User, User); err != nil {
			return fmt.Errorf("cannot make build directory: %w", err)
		}
	}
	if err := os.WriteFile(j.path("app"), []byte(j.r.AppID), 0o600); err != nil {
		return fmt.Errorf("cannot make build directory: %w", err)
	}
	return nil
}

// own gives a tree that no process works in to the build user.
func own(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, User, User)
	})
}

// writeEnv writes the config vars to ENV_DIR, a file each.
func (j *job) writeEnv() error {
	for name, value := range j.r.Config {
		file := j.path("b", "env", name) // names were checked at the edge
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
		return nil, fmt.Errorf("cannot read %s: it is not a file of %d bytes at most", name, limit)
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
