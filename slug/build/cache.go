package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// stackFile is kept beside an app's cache and says which stack it is of.
const stackFile = "stack"

// takeCache moves the app's cache into the build, or makes an empty one.
func (j *job) takeCache() error {
	home, here := j.cacheDir(j.r.AppID), j.path("b", "cache")
	was, err := os.ReadFile(filepath.Join(home, stackFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot read cache: %w", err)
	}
	if err == nil && string(was) == j.stack.Name {
		if err = os.Rename(filepath.Join(home, "cache"), here); err == nil {
			return nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot take cache: %w", err)
		}
	}
	j.first = true
	if err := os.RemoveAll(home); err != nil {
		return fmt.Errorf("cannot drop cache: %w", err)
	}
	if err := os.Mkdir(here, 0o755); err != nil {
		return fmt.Errorf("cannot make cache: %w", err)
	}
	return os.Lchown(here, User, User)
}

// commitCache moves the cache back for the next build.
func (j *job) commitCache(context.Context) error {
	return giveBack(j.path("b", "cache"), j.cacheDir(j.r.AppID), j.stack.Name)
}

// saveCache is commitCache for a build that failed. A first build's is dropped.
func (j *job) saveCache() error {
	if j.first {
		return nil
	}
	return giveBack(j.path("b", "cache"), j.cacheDir(j.r.AppID), j.stack.Name)
}

func giveBack(cache, home, stack string) error {
	if st, err := os.Lstat(cache); errors.Is(err, fs.ErrNotExist) || err == nil && !st.IsDir() {
		return nil // never taken, or the build made something else of it
	} else if err != nil {
		return fmt.Errorf("cannot keep cache: %w", err)
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return fmt.Errorf("cannot keep cache: %w", err)
	}
	if err := os.WriteFile(filepath.Join(home, stackFile), []byte(stack), 0o600); err != nil {
		return fmt.Errorf("cannot keep cache: %w", err)
	}
	to := filepath.Join(home, "cache")
	if err := os.RemoveAll(to); err != nil {
		return fmt.Errorf("cannot keep cache: %w", err)
	}
	if err := os.Rename(cache, to); err != nil {
		return fmt.Errorf("cannot keep cache: %w", err)
	}
	return nil
}

// PurgeCache implements slug.Builder. A build that runs has the cache with it
// and brings it back.
func (b *Builder) PurgeCache(_ context.Context, appID string) error {
	if err := os.RemoveAll(b.cacheDir(appID)); err != nil {
		return fmt.Errorf("cannot purge cache: %w", err)
	}
	return nil
}

// tidy gives the caches of builds that were cut off back to their apps, and
// removes the rest of them.
func (b *Builder) tidy() error {
	for _, dir := range []string{b.buildsDir(), b.cacheDir("")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("cannot make directory: %w", err)
		}
	}
	left, err := os.ReadDir(b.buildsDir())
	if err != nil {
		return fmt.Errorf("cannot tidy up builds: %w", err)
	}
	for _, e := range left {
		dir := filepath.Join(b.buildsDir(), e.Name())
		app, appErr := os.ReadFile(filepath.Join(dir, "app"))
		stack, stackErr := os.ReadFile(filepath.Join(b.cacheDir(string(app)), stackFile))
		// Only a cache that its app had before: see the package doc.
		if appErr == nil && stackErr == nil {
			if err := giveBack(filepath.Join(dir, "b", "cache"), b.cacheDir(string(app)), string(stack)); err != nil {
				return err
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("cannot tidy up builds: %w", err)
		}
	}
	return nil
}
