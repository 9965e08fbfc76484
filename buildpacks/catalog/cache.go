package catalog

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// The cache is <dir>/<kind-hash of URL>/<version>/, a buildpack's root.

// keepVersions is how many versions of one buildpack are kept, keepAll how
// many of all together.
const (
	keepVersions = 3
	keepAll      = 60
)

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:12])
}

// cached finds a version and makes it young.
func (c *Catalog) cached(home, version string) (fetched, bool) {
	if version == "" || version != filepath.Base(version) {
		return fetched{}, false
	}
	rel := filepath.Join(home, version)
	now := time.Now()
	if os.Chtimes(filepath.Join(c.o.Dir, rel), now, now) != nil {
		return fetched{}, false
	}
	return fetched{version: version, path: rel}, true
}

// store moves a tree into the cache.
func (c *Catalog) store(tree, home, version string) (fetched, error) {
	if got, ok := c.cached(home, version); ok {
		return got, nil
	}
	rel := filepath.Join(home, version)
	if err := os.MkdirAll(filepath.Join(c.o.Dir, home), 0o700); err != nil {
		return fetched{}, fmt.Errorf("cannot store buildpack: %w", err)
	}
	if err := os.Rename(tree, filepath.Join(c.o.Dir, rel)); err != nil {
		return fetched{}, fmt.Errorf("cannot store buildpack: %w", err)
	}
	got, _ := c.cached(home, version)
	return got, c.prune()
}

// prune removes the versions that were not asked for the longest.
func (c *Catalog) prune() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	dirs, err := filepath.Glob(filepath.Join(c.o.Dir, "*-*", "*"))
	if err != nil {
		return err
	}
	type version struct {
		path string
		used time.Time
	}
	var all []version
	for _, d := range dirs {
		if st, err := os.Lstat(d); err == nil && st.IsDir() {
			all = append(all, version{d, st.ModTime()})
		}
	}
	slices.SortFunc(all, func(a, b version) int { return cmp.Compare(b.used.UnixNano(), a.used.UnixNano()) })
	perHome := map[string]int{}
	for i, v := range all {
		home := filepath.Dir(v.path)
		if perHome[home]++; perHome[home] <= keepVersions && i < keepAll {
			continue
		}
		if err := os.RemoveAll(v.path); err != nil {
			return fmt.Errorf("cannot prune buildpack cache: %w", err)
		}
	}
	return nil
}

// limitSize ends the returned context when dir holds more than max bytes. stop
// ends the watch and returns what it found.
func limitSize(ctx context.Context, dir string, max int64) (limited context.Context, stop func() error) {
	limited, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-limited.Done():
				return
			case <-tick.C:
				if diskUse(dir) > max {
					cancel(errTooLarge)
				}
			}
		}
	}()
	return limited, func() error {
		cancel(nil)
		<-done
		if diskUse(dir) > max || errors.Is(context.Cause(limited), errTooLarge) {
			return errTooLarge
		}
		return nil
	}
}

// diskUse sums up the files; those that vanish meanwhile do not count.
func diskUse(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if st, err := d.Info(); err == nil && st.Mode().IsRegular() {
			n += st.Size()
		}
		return nil
	})
	return n
}

// certificates are those of the system and of a PEM file.
func certificates(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read certificates: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("cannot read certificates: %s has none", file)
	}
	return pool, nil
}
