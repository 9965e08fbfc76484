package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// # Shallow clones
//
// A client with a shallow clone names the commits whose parents it has not
// got. Where we have not got them either, git must be told not to look for
// them: such commits are listed in the repository's file "shallow", and no
// others, else history that is here would be hidden.
//
// A repository that has come to be shallow lacks what its refs build on, but
// a client with the full history cannot know that: asked for an ancestor, it
// sends nothing, for it sees a descendant of it here. Such a push fails, and
// the repository is marked (resendFile): the next push is shown no refs, so
// git sends all there is, and the repository is complete.

// reasonMissing is what git says, too.
const reasonMissing = "missing necessary objects"

// boundary prepares the shallow file that holds once the push is accepted:
// what the client says and what was known, where it is true.
func (q *quarantine) boundary(ctx context.Context, claimed []plumbing.Hash) error {
	known, err := q.repo.shallow()
	if err != nil {
		return err
	}
	if len(claimed) == 0 && !(len(known) > 0 && q.repo.resend()) {
		return nil
	}
	commits := known
	for _, h := range claimed {
		commits = append(commits, h.String())
	}
	cut, err := q.repo.cut(ctx, q.env(), commits)
	if err != nil {
		return err
	}
	q.shallow = filepath.Join(q.dir, "shallow")
	return writeFile(q.shallow, []byte(strings.Join(append(cut, ""), "\n")))
}

// accept puts the shallow file that boundary has made into effect.
func (q *quarantine) accept() error {
	if q.shallow == "" {
		return nil
	}
	if err := os.Rename(q.shallow, filepath.Join(q.repo.dir, "shallow")); err != nil {
		return fmt.Errorf("cannot write shallow commits: %w", err)
	}
	q.shallow = ""
	return syncDir(q.repo.dir)
}

// shallow reads the repository's shallow commits.
func (r *Repo) shallow() ([]string, error) {
	b, err := os.ReadFile(filepath.Join(r.dir, "shallow"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read shallow commits: %w", err)
	}
	return strings.Fields(string(b)), nil
}

// cut returns those of the commits that are here and have a parent that is
// not.
func (r *Repo) cut(ctx context.Context, env, commits []string) ([]string, error) {
	parents := map[string][]string{}
	var ask []string
	contents, err := r.catFile(ctx, env, "--batch", commits)
	if err != nil {
		return nil, err
	}
	for rest := contents; len(rest) > 0; {
		var hash, kind string
		var size int
		head, tail, _ := bytes.Cut(rest, []byte("\n"))
		if n, _ := fmt.Sscanf(string(head), "%40s %s %d", &hash, &kind, &size); n < 3 || size < 0 || size >= len(tail) {
			rest = tail // "<hash> missing"
			continue
		}
		body := tail[:size]
		rest = tail[size+1:]
		if _, seen := parents[hash]; seen || kind != "commit" {
			continue
		}
		parents[hash] = []string{}
		header, _, _ := bytes.Cut(body, []byte("\n\n"))
		for line := range bytes.Lines(header) {
			if p, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("parent ")); ok && len(p) == hexLen {
				parents[hash] = append(parents[hash], string(p))
				ask = append(ask, string(p))
			}
		}
	}
	answers, err := r.catFile(ctx, env, "--batch-check", ask)
	if err != nil {
		return nil, err
	}
	missing := map[string]bool{}
	for line := range strings.Lines(string(answers)) {
		if hash, ok := strings.CutSuffix(strings.TrimSpace(line), " missing"); ok {
			missing[hash] = true
		}
	}
	var cut []string
	for _, c := range commits {
		for _, p := range parents[c] {
			if missing[p] {
				cut = append(cut, c)
				delete(parents, c) // named twice
				break
			}
		}
	}
	return cut, nil
}

// maxBatch bounds what cat-file may answer at once: the shallow commits of one
// push are small objects.
const maxBatch = 64 << 20

func (r *Repo) catFile(ctx context.Context, env []string, mode string, objects []string) ([]byte, error) {
	if len(objects) == 0 {
		return nil, nil
	}
	cmd := r.git.command(ctx, r.dir, "cat-file", mode)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdin = lines(objects)
	return r.git.output(ctx, cmd, maxBatch)
}

// connected checks that everything the objects need is here. Whatever a ref
// of ours reaches is complete already, so the work is that of the new part.
func (q *quarantine) connected(ctx context.Context, objects []string) error {
	args := []string{"rev-list", "--objects", "--stdin", "--quiet"}
	if !q.repo.resend() {
		args = append(args, "--not", "--all")
	}
	cmd := q.repo.git.command(ctx, q.repo.dir, args...)
	cmd.Env = append(cmd.Env, q.env()...)
	cmd.Stdin = lines(objects)
	err := q.repo.git.run(ctx, cmd)
	var failed *gitError
	if errors.As(err, &failed) {
		return &packError{reasonMissing, err}
	}
	return err
}

// lacksHistory marks the repository for a push of everything, if that may be
// the remedy, and reports whether it is.
func (r *Repo) lacksHistory() (bool, error) {
	known, err := r.shallow()
	if err != nil || len(known) == 0 || r.resend() {
		return false, err
	}
	return true, writeFile(filepath.Join(r.dir, resendFile), nil)
}

// complete takes the mark away.
func (r *Repo) complete() error {
	err := os.Remove(filepath.Join(r.dir, resendFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
