package source

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

// check rejects what can be told from the commands and the refs alone.
func (p *push) check() {
	resend := p.repo.resend()
	seen := map[plumbing.ReferenceName]bool{}
	names := newNamespace(p.current)
	for i, c := range p.req.commands {
		have := p.current[c.Name]
		if resend && c.Old.IsZero() {
			c.Old = have // the client was not shown the refs
		}
		switch {
		case c.Name.Validate() != nil || !c.Name.IsBranch() && !c.Name.IsTag() || c.Name == "refs/heads/HEAD":
			p.reasons[i] = "only branches and tags can be pushed"
		case seen[c.Name]:
			p.reasons[i] = "named twice"
		case c.Old != have:
			p.reasons[i] = "fetch first"
		case deploys(c.Name) && c.Action() == packp.Delete:
			p.reasons[i] = "deletion of the deploy branch prohibited"
			p.say(" !     %s cannot be deleted: it is the branch that deploys. Push another commit to it instead.\n", c.Name.Short())
		case c.Action() != packp.Delete && !names.add(c.Name):
			// Found out later, it would be after the deploy.
			p.reasons[i] = "its name is in the way of another branch or tag, or the reverse"
		}
		seen[c.Name] = true
	}
}

// namespace knows which refs there are: they are files, so "a" and "a/b"
// cannot be both.
type namespace struct {
	refs, dirs map[plumbing.ReferenceName]bool
}

func newNamespace(refs map[plumbing.ReferenceName]plumbing.Hash) namespace {
	n := namespace{refs: map[plumbing.ReferenceName]bool{}, dirs: map[plumbing.ReferenceName]bool{}}
	for name := range refs {
		n.add(name)
	}
	return n
}

// add reports whether there is room for a ref.
func (n namespace) add(name plumbing.ReferenceName) bool {
	if n.dirs[name] {
		return false
	}
	var parents []plumbing.ReferenceName
	for i := strings.LastIndexByte(string(name), '/'); i > 0; i = strings.LastIndexByte(string(name[:i]), '/') {
		if n.refs[name[:i]] {
			return false
		}
		parents = append(parents, name[:i])
	}
	for _, d := range parents {
		n.dirs[d] = true
	}
	n.refs[name] = true
	return true
}

// deploy asks the hook about the deploy branches, in the order they were
// named, and tells about the branches that do not deploy. Two of them with one
// commit are one deploy.
func (p *push) deploy(ctx context.Context) {
	verdict := map[plumbing.Hash]string{}
	for _, i := range p.accepted() {
		c := p.req.commands[i]
		if c.Action() == packp.Delete || !c.Name.IsBranch() {
			continue
		}
		if !deploys(c.Name) {
			p.say("Pushed to non-master branch, skipping build.\n       To deploy it: git push <remote> %s:main\n", c.Name.Short())
			continue
		}
		reason, known := verdict[c.New]
		if !known {
			reason = p.ask(ctx, c)
			verdict[c.New] = reason
		}
		p.reasons[i] = reason
	}
}

// ask calls the hook and returns the reason of its refusal.
func (p *push) ask(ctx context.Context, c *packp.Command) (reason string) {
	src, err := p.repo.source(ctx, p.objects.env(), c.New.String(), p.progress)
	if err != nil {
		return p.unreadable(c, err)
	}
	defer func() {
		if err := src.close(); err != nil {
			p.repo.repos.o.Log.Error("cannot remove index", "app", p.repo.id, "err", err)
		}
	}()
	if p.client.gone() {
		return "the client has left"
	}
	p.say("Updated %d paths from %s\nCompressing source files... done.\n", src.paths, c.New.String()[:7])
	err = p.hook.PreReceive(ctx, Push{
		Ref: string(c.Name), Old: c.Old.String(), New: c.New.String(), ClientGone: p.client.Gone,
	}, src, p.progress)
	if err != nil {
		return reasonHook
	}
	return ""
}

// commit makes the accepted part of the push true: objects first, refs last.
func (p *push) commit(ctx context.Context) {
	accepted := p.accepted()
	if len(accepted) == 0 {
		return
	}
	if p.objects != nil {
		err := p.objects.migrate()
		if err == nil {
			err = p.objects.accept()
		}
		if err == nil {
			err = p.repo.complete()
		}
		if err != nil {
			p.unrecorded(err)
			return
		}
	}
	if err := p.update(ctx, accepted); err != nil {
		if p.req.caps.Supports(capability.Atomic) {
			p.unrecorded(err)
			return
		}
		for _, i := range accepted { // one by one, to accept what can be
			if err := p.update(ctx, []int{i}); err != nil {
				p.repo.repos.o.Log.Warn("cannot update ref", "app", p.repo.id, "ref", string(p.req.commands[i].Name), "err", err)
				p.reasons[i] = "failed to update ref"
				var failed *gitError
				if errors.As(err, &failed) && strings.Contains(failed.stderr, "non-commit object") {
					p.reasons[i] = "not a commit"
				}
			}
		}
	}
	for _, i := range p.accepted() {
		if c := p.req.commands[i]; deploys(c.Name) {
			if err := p.repo.head(c.Name); err != nil {
				p.repo.repos.o.Log.Error("cannot update repository", "app", p.repo.id, "err", err)
			}
		}
	}
	p.grown = true
}

// unrecorded rejects a push that may have been released already.
func (p *push) unrecorded(err error) {
	p.repo.repos.o.Log.Error("cannot record push", "app", p.repo.id, "err", err)
	p.rejectAll(reasonInternal)
	p.say(" !     Internal error: git could not record this push. What was released above runs; push again to record it.\n")
}

// update moves refs in one transaction, if each still has its old value.
func (p *push) update(ctx context.Context, commands []int) error {
	var b strings.Builder
	for _, i := range commands {
		c := p.req.commands[i]
		// A zero hash stands for "there is none" on both sides.
		fmt.Fprintf(&b, "update %s %s %s\n", c.Name, c.New, c.Old)
	}
	cmd := p.repo.git.command(ctx, p.repo.dir, "update-ref", "--stdin")
	cmd.Stdin = strings.NewReader(b.String())
	return p.repo.git.run(ctx, cmd)
}
