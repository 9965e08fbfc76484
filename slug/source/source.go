package source

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"

	"paas/slug"
)

// commit is one commit of a repository, as something to build from.
type commit struct {
	tree
	revision slug.Revision
	progress io.Writer // for what an export has to say
}

// tree is a commit's files, read into a private index.
type tree struct {
	repos  *Repos
	gitDir string
	env    []string
	commit string
	index  string // file
	paths  int    // entries in it
	// url is where the repository came from, against which relative URLs of
	// submodules are resolved; "" for an app's own.
	url string
}

var _ slug.Source = (*commit)(nil)

// maxCommit bounds a commit object: its message, in effect.
const maxCommit = 1 << 20

// errNotCommit says that a branch would point to something else.
var errNotCommit = errors.New("not a commit")

// source reads a commit and its tree; env may add quarantined objects. The
// caller closes it.
func (r *Repo) source(ctx context.Context, env []string, hash string, progress io.Writer) (*commit, error) {
	cmd := r.git.command(ctx, r.dir, "cat-file", "commit", hash)
	cmd.Env = append(cmd.Env, env...)
	content, err := r.git.output(ctx, cmd, maxCommit)
	if err != nil {
		var failed *gitError
		if errors.As(err, &failed) {
			err = errors.Join(errNotCommit, err)
		}
		return nil, err
	}
	revision, err := parseCommit(hash, content)
	if err != nil {
		return nil, err
	}
	t, err := r.repos.readTree(ctx, r.dir, env, hash, "")
	if err != nil {
		return nil, err
	}
	return &commit{tree: t, revision: revision, progress: progress}, nil
}

// parseCommit decodes a commit object.
func parseCommit(hash string, content []byte) (slug.Revision, error) {
	var raw plumbing.MemoryObject
	raw.SetType(plumbing.CommitObject)
	if _, err := raw.Write(content); err != nil {
		return slug.Revision{}, err
	}
	var c object.Commit
	if err := c.Decode(&raw); err != nil {
		return slug.Revision{}, fmt.Errorf("cannot read commit: %w", err)
	}
	return slug.Revision{
		Commit: hash, Tree: c.TreeHash.String(), Description: firstLine(c.Message), Time: sane(c.Committer.When),
	}, nil
}

// maxDescription is how much of a message's first line is kept, in bytes.
const maxDescription = 200

// firstLine is fit to be printed: one line without control characters.
func firstLine(message string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(message), "\n")
	line = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(line, "\uFFFD"))
	if len(line) > maxDescription {
		line = strings.ToValidUTF8(line[:maxDescription], "")
	}
	return strings.TrimSpace(line)
}

// sane keeps a commit's time within what archives and file systems can hold:
// anybody may write anything into a commit.
func sane(t time.Time) time.Time {
	t = t.UTC()
	switch oldest, newest := time.Unix(0, 0).UTC(), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC); {
	case t.Before(oldest):
		return oldest
	case t.After(newest):
		return newest
	}
	return t
}

// readTree reads a commit's tree into a private index.
func (r *Repos) readTree(ctx context.Context, gitDir string, env []string, hash, url string) (tree, error) {
	t := tree{repos: r, gitDir: gitDir, env: env, commit: hash, url: url}
	f, err := os.CreateTemp(r.tmp(), "index-*")
	if err != nil {
		return t, fmt.Errorf("cannot make index: %w", err)
	}
	t.index = f.Name()
	// git wants to make the file itself; an empty one is not an index.
	if err := errors.Join(f.Close(), os.Remove(t.index)); err != nil {
		return t, fmt.Errorf("cannot make index: %w", err)
	}
	cmd := r.git.command(ctx, gitDir, "read-tree", hash+"^{tree}")
	cmd.Env = append(append(cmd.Env, env...), "GIT_INDEX_FILE="+t.index)
	if err := r.git.run(ctx, cmd); err != nil {
		return t, errors.Join(err, t.close())
	}
	if t.paths, err = indexEntries(t.index); err != nil {
		return t, errors.Join(err, t.close())
	}
	return t, nil
}

// indexEntries reads the number of entries from an index file's header:
// "DIRC", version, entries.
func indexEntries(name string) (int, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, fmt.Errorf("cannot read index: %w", err)
	}
	defer f.Close()
	var header [12]byte
	if _, err := io.ReadFull(f, header[:]); err != nil || !bytes.HasPrefix(header[:], []byte("DIRC")) {
		return 0, errors.New("cannot read index: it has no header")
	}
	return int(binary.BigEndian.Uint32(header[8:])), nil
}

func (t *tree) close() error {
	err := os.Remove(t.index)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// Revision implements slug.Source.
func (c *commit) Revision() slug.Revision { return c.revision }

// unreadable turns a commit that cannot be read into a reason.
func (p *push) unreadable(c *packp.Command, err error) string {
	var failed *gitError
	switch {
	case errors.Is(err, errNotCommit):
		p.say(" !     Push rejected: %s is not a commit.\n", c.New)
		return "not a commit"
	case errors.As(err, &failed):
		// read-tree refuses names like ".git" or "..", and what is too much
		// for its memory.
		p.repo.repos.o.Log.Info("push rejected", "app", p.repo.id, "err", err)
		p.say(" !     Push rejected: git cannot read the files of this commit: %s\n", failed.stderr)
		return "the commit's files cannot be read"
	}
	p.internal(err)
	return reasonInternal
}
