package catalog

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"paas/api"
	"paas/buildpacks"
	"paas/buildpacks/builtin"
)

// DefaultRegistry has the archives of registered buildpacks.
const DefaultRegistry = "https://buildpack-registry.s3.amazonaws.com/buildpacks"

// Options of a Catalog.
type Options struct {
	Dir string // of the cache; other files in it are removed
	// Program is the path of paas-buildpack inside build containers, and
	// Version what tells two versions of it apart.
	Program, Version string
	// Registry is the base URL for <ns>/<name>; "" = ask GitHub only.
	Registry string
	// Env is the operator's build environment, of which the proxies are used.
	Env map[string]string
	// CABundle is a PEM file with further certificates to trust; "" = none.
	CABundle string
	// Owner is the user, and group, that copies belong to.
	Owner int
	// Timeout bounds one fetch, MaxBytes what it may write. 0 = 5 minutes, 500 MB.
	Timeout  time.Duration
	MaxBytes int64
	// AllowFile permits file:// URLs, which read the host's own files.
	AllowFile bool
	// Client fetches archives; nil = one that heeds Env and CABundle.
	Client *http.Client
}

// Catalog is a buildpacks.Resolver.
type Catalog struct {
	o Options
	// mu keeps what Install copies from being pruned.
	mu sync.RWMutex
	// fetching has a lock per URL, so that two builds do not fetch one thing
	// twice.
	fetching struct {
		sync.Mutex
		busy map[string]chan struct{}
	}
}

var _ buildpacks.Resolver = (*Catalog)(nil)

// New makes a catalog and removes what interrupted fetches left.
func New(o Options) (*Catalog, error) {
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Minute
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 500 << 20
	}
	if o.Client == nil {
		client, err := newClient(o.Env, o.CABundle)
		if err != nil {
			return nil, err
		}
		o.Client = client
	}
	c := &Catalog{o: o}
	c.fetching.busy = map[string]chan struct{}{}
	if err := os.RemoveAll(c.tmp()); err != nil {
		return nil, fmt.Errorf("cannot clean buildpack cache: %w", err)
	}
	if err := os.MkdirAll(c.tmp(), 0o700); err != nil {
		return nil, fmt.Errorf("cannot make buildpack cache: %w", err)
	}
	return c, nil
}

func (c *Catalog) tmp() string { return filepath.Join(c.o.Dir, "tmp") }

// Sources of a buildpacks.Buildpack: "builtin:<name>" or "cache:<path>".
const (
	fromBuiltin = "builtin:"
	fromCache   = "cache:"
)

// Builtins implements buildpacks.Resolver.
func (c *Catalog) Builtins() []buildpacks.Buildpack {
	var all []buildpacks.Buildpack
	for _, b := range builtin.List() {
		all = append(all, c.builtin(b))
	}
	return all
}

func (c *Catalog) builtin(b builtin.Builtin) buildpacks.Buildpack {
	return buildpacks.Buildpack{Name: b.Display, Version: c.o.Version, Layers: b.Layers, Source: fromBuiltin + b.Name}
}

// Resolve implements buildpacks.Resolver.
func (c *Catalog) Resolve(ctx context.Context, text string) (buildpacks.Buildpack, error) {
	name := strings.TrimPrefix(strings.TrimSpace(text), "urn:buildpack:")
	for _, b := range builtin.List() {
		if name == b.Display {
			return c.builtin(b), nil
		}
	}
	r, err := parse(name, c.o.AllowFile)
	if err != nil {
		return buildpacks.Buildpack{}, api.Wrap(api.InvalidParams, err, fmt.Sprintf("Buildpack %s cannot be used: %v.", redact(name), err))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.o.Timeout, fmt.Errorf("no answer within %s", c.o.Timeout))
	defer cancel()
	unlock, err := c.lock(ctx, r.url)
	if err != nil {
		return buildpacks.Buildpack{}, err
	}
	defer unlock()
	var got fetched
	switch r.kind {
	case kindRegistry:
		got, err = c.registered(ctx, r)
	case kindArchive:
		got, err = c.archive(ctx, r.url)
	default:
		got, err = c.git(ctx, r)
	}
	if err != nil {
		return buildpacks.Buildpack{}, c.fetchError(r, err)
	}
	return buildpacks.Buildpack{Name: r.display, Version: got.version, Source: fromCache + got.path}, nil
}

// fetched is a directory in the cache.
type fetched struct {
	version string
	path    string // relative to the cache
}

// trouble is a failure for which the reference or its server is to blame.
type trouble struct {
	url string
	err error
}

func (t *trouble) Error() string { return fmt.Sprintf("%s: %v", redact(t.url), t.err) }
func (t *trouble) Unwrap() error { return t.err }

func (c *Catalog) fetchError(r ref, err error) error {
	var t *trouble
	if errors.As(err, &t) {
		return api.Wrap(api.InvalidParams, err, fmt.Sprintf("Buildpack %s cannot be fetched from %s: %v.", r.display, redact(t.url), t.err))
	}
	return fmt.Errorf("cannot fetch buildpack %s: %w", r.display, err)
}

// registered fetches a buildpack by its shorthand.
func (c *Catalog) registered(ctx context.Context, r ref) (fetched, error) {
	var first error
	if c.o.Registry != "" {
		got, err := c.archive(ctx, strings.TrimSuffix(c.o.Registry, "/")+"/"+r.url+".tgz")
		if err == nil || ctx.Err() != nil {
			return got, err
		}
		first = err
	}
	ns, name, _ := strings.Cut(r.url, "/")
	if ns == "heroku-community" {
		ns = "heroku"
	}
	got, err := c.git(ctx, ref{url: "https://github.com/" + ns + "/heroku-buildpack-" + name, commit: r.commit})
	if err != nil && first != nil {
		var t *trouble
		if errors.As(first, &t) {
			return got, &trouble{t.url, fmt.Errorf("%w; and not from %v either", t.err, err)}
		}
	}
	return got, err
}

// lock makes the users of one URL wait for each other.
func (c *Catalog) lock(ctx context.Context, url string) (unlock func(), err error) {
	f := &c.fetching
	for {
		f.Lock()
		busy, ok := f.busy[url]
		if !ok {
			done := make(chan struct{})
			f.busy[url] = done
			f.Unlock()
			return func() {
				f.Lock()
				delete(f.busy, url)
				f.Unlock()
				close(done)
			}, nil
		}
		f.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
