package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"
)

// Options says how repositories are kept. The zero value is the default.
type Options struct {
	Log *slog.Logger // nil = none
	// MaxPack bounds what one push may send, in bytes; default 2 GiB.
	MaxPack int64
	// MaxTree bounds the files of one commit, in bytes; default 4 GiB.
	MaxTree int64
	// MaxMemory bounds the private memory of each git process; default 2 GiB.
	MaxMemory int64
	// PackLimit is how many packs a repository may have before they are put
	// together; default 20.
	PackLimit int
	// Quiet is how long a client may wait for output before it gets a sign of
	// life; default 5 s.
	Quiet time.Duration
	// Stall is how long output may wait for a client that does not read before
	// it is dropped; default 10 s.
	Stall time.Duration
	// Idle is how long a client that owes us a pack may send nothing; default
	// 10 minutes.
	Idle time.Duration
	// Env is added to git's environment: proxies and certificates with which
	// submodules are fetched, and a GIT_SSH_COMMAND if there is a key for them.
	Env []string
	// PrivateSubmodules lets submodules be fetched from private and loopback
	// addresses; LocalSubmodules also from paths of this machine (for tests).
	PrivateSubmodules, LocalSubmodules bool
	// SubmoduleTimeout bounds the fetching of one submodule; default 5 minutes.
	SubmoduleTimeout time.Duration
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	def(&o.MaxPack, 2<<30)
	def(&o.MaxTree, 4<<30)
	def(&o.MaxMemory, 2<<30)
	def(&o.PackLimit, 20)
	def(&o.Quiet, 5*time.Second)
	def(&o.Stall, 10*time.Second)
	def(&o.Idle, 10*time.Minute)
	def(&o.SubmoduleTimeout, 5*time.Minute)
	return o
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Repos is a directory of bare repositories, <app id>.git each. All methods
// may be called concurrently. One process at a time MUST use a directory.
type Repos struct {
	dir string
	o   Options
	git *git

	mu    sync.Mutex
	repos map[string]*Repo
	due   map[string]bool // repositories that maintenance should look at
	poke  chan struct{}
}

// Open uses dir, which is made if it is missing, and needs the git program.
func Open(dir string, o Options) (*Repos, error) {
	o = o.withDefaults()
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open repositories: %w", err)
	}
	r := &Repos{dir: dir, o: o, repos: map[string]*Repo{}, due: map[string]bool{}, poke: make(chan struct{}, 1)}
	// What a killed process has left behind.
	if err := os.RemoveAll(r.tmp()); err != nil {
		return nil, fmt.Errorf("cannot open repositories: %w", err)
	}
	if err := os.MkdirAll(r.tmp(), 0o700); err != nil {
		return nil, fmt.Errorf("cannot open repositories: %w", err)
	}
	if r.git, err = openGit(dir, o); err != nil {
		return nil, err
	}
	return r, nil
}

// tmp is where things are made and deleted; same file system as the rest.
func (r *Repos) tmp() string { return filepath.Join(r.dir, "tmp") }

// appIDs are UUIDs; this much is enough to use one as a file name.
var appIDs = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,63}$`)

// Repo returns an app's repository, which is made if there is none yet.
func (r *Repos) Repo(appID string) (*Repo, error) {
	if !appIDs.MatchString(appID) {
		return nil, fmt.Errorf("cannot open repository: %q is not an app id", appID)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if repo, ok := r.repos[appID]; ok {
		return repo, nil
	}
	repo := &Repo{repos: r, git: r.git, id: appID, dir: filepath.Join(r.dir, appID+".git")}
	if _, err := os.Stat(repo.dir); errors.Is(err, fs.ErrNotExist) {
		if err := r.create(repo.dir); err != nil {
			return nil, fmt.Errorf("cannot create repository: %w", err)
		}
	} else if err != nil {
		return nil, fmt.Errorf("cannot open repository: %w", err)
	} else if err := repo.sweep(); err != nil {
		return nil, fmt.Errorf("cannot open repository: %w", err)
	}
	r.repos[appID] = repo
	return repo, nil
}

// create makes an empty bare repository: what `git init --bare` makes without
// its templates, but complete or not there at all.
func (r *Repos) create(dir string) error {
	tmp, err := os.MkdirTemp(r.tmp(), "new-*")
	if err != nil {
		return err
	}
	if err := initBare(tmp); err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	if err := os.Rename(tmp, dir); err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	return syncDir(r.dir)
}

func initBare(dir string) error {
	for _, d := range []string{"objects/info", "objects/pack", "refs/heads", "refs/tags"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return err
		}
	}
	if err := writeFile(filepath.Join(dir, "HEAD"), []byte("ref: refs/heads/main\n")); err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, "config"), []byte("[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"))
}

// Delete drops an app's repository, if it has one. A push or fetch that is
// under way fails.
func (r *Repos) Delete(appID string) error {
	if !appIDs.MatchString(appID) {
		return fmt.Errorf("cannot delete repository: %q is not an app id", appID)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.repos, appID)
	grave, err := os.MkdirTemp(r.tmp(), "deleted-*")
	if err != nil {
		return fmt.Errorf("cannot delete repository: %w", err)
	}
	err = os.Rename(filepath.Join(r.dir, appID+".git"), filepath.Join(grave, "git"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err := errors.Join(err, os.RemoveAll(grave)); err != nil {
		return fmt.Errorf("cannot delete repository: %w", err)
	}
	return nil
}

// Size is what an app's repository takes on disk, in bytes; 0 if it has none.
func (r *Repos) Size(appID string) int64 {
	if !appIDs.MatchString(appID) {
		return 0
	}
	var size int64
	_ = filepath.WalkDir(filepath.Join(r.dir, appID+".git"), func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // deleted while we look
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
		return nil
	})
	return size
}

// Run keeps the repositories small, off the path of pushes, until ctx ends.
func (r *Repos) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.poke:
		}
		r.mu.Lock()
		var due []*Repo
		for id := range r.due {
			if repo, ok := r.repos[id]; ok {
				due = append(due, repo)
			}
		}
		clear(r.due)
		r.mu.Unlock()
		for _, repo := range due {
			if err := repo.maintain(ctx); err != nil && !errors.Is(err, context.Canceled) {
				r.o.Log.Error("cannot maintain repository", "app", repo.id, "err", err)
			}
		}
	}
}

// changed tells Run that a repository has grown.
func (r *Repos) changed(id string) {
	r.mu.Lock()
	r.due[id] = true
	r.mu.Unlock()
	select {
	case r.poke <- struct{}{}:
	default:
	}
}
