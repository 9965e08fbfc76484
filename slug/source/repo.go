package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// Repo is one app's repository.
type Repo struct {
	repos *Repos
	git   *git
	id    string
	dir   string
	lock  lock
}

// refs reads all refs below refs/.
func (r *Repo) refs() (map[plumbing.ReferenceName]plumbing.Hash, error) {
	iter, err := filesystem.NewStorage(osfs.New(r.dir), cache.NewObjectLRU(0)).IterReferences()
	if err != nil {
		return nil, fmt.Errorf("cannot read refs: %w", err)
	}
	defer iter.Close()
	refs := map[plumbing.ReferenceName]plumbing.Hash{}
	err = iter.ForEach(func(ref *plumbing.Reference) error {
		if ref.Type() == plumbing.HashReference && strings.HasPrefix(string(ref.Name()), "refs/") {
			refs[ref.Name()] = ref.Hash()
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read refs: %w", err)
	}
	return refs, nil
}

// head makes HEAD point to the branch that was deployed last, so that a clone
// checks it out.
func (r *Repo) head(ref plumbing.ReferenceName) error {
	name, want := filepath.Join(r.dir, "HEAD"), "ref: "+string(ref)+"\n"
	if have, err := os.ReadFile(name); err == nil && string(have) == want {
		return nil
	}
	if err := writeFile(name, []byte(want)); err != nil {
		return fmt.Errorf("cannot set HEAD: %w", err)
	}
	return nil
}

// resendFile marks a repository whose next push must send everything; see
// connectivity.go.
const resendFile = "resend"

func (r *Repo) resend() bool {
	_, err := os.Stat(filepath.Join(r.dir, resendFile))
	return err == nil
}

// quarantinePrefix begins the names of quarantine directories below objects;
// git's own tools know it as something temporary.
const quarantinePrefix = "tmp_objdir-incoming-"

// sweep removes what a killed process has left in the repository: quarantined
// objects, packs half written, and git's lock files. Nothing else uses the
// repository yet.
func (r *Repo) sweep() error {
	return filepath.WalkDir(r.dir, func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		base, in := d.Name(), filepath.Base(filepath.Dir(name))
		switch {
		case d.IsDir() && strings.HasPrefix(base, quarantinePrefix):
			if err := os.RemoveAll(name); err != nil {
				return err
			}
			return fs.SkipDir
		case d.IsDir() && in == "objects" && len(base) == 2:
			return fs.SkipDir // loose objects: many, and complete
		case d.Type().IsRegular() && (strings.HasSuffix(base, ".lock") ||
			filepath.Dir(name) == r.dir && strings.Contains(base, ".new-") ||
			in == "pack" && (strings.HasPrefix(base, "tmp_") || strings.HasPrefix(base, ".tmp-"))):
			return os.Remove(name)
		}
		return nil
	})
}
