package source

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

// ReceivePack serves one push. It returns when the client has had its answer:
// an error says that there was none to give (a client that broke off, say) and
// is for the log; a rejected push is not an error.
//
// The phases, each of which may reject a ref:
//
//	read commands -> lock -> check -> receive pack into quarantine ->
//	connectivity -> hook -> move objects, then refs -> report
func (r *Repo) ReceivePack(ctx context.Context, c Client, hook Hook) error {
	if !c.Stateless {
		if err := r.AdvertiseReceivePack(ctx, c.Out); err != nil {
			return fmt.Errorf("cannot advertise refs: %w", err)
		}
	}
	in := bufio.NewReaderSize(c.In, 64<<10)
	req, err := decodeRequest(in)
	if err == io.EOF || err == nil && len(req.commands) == 0 {
		return nil // it only wanted to look
	}
	if err != nil {
		return fmt.Errorf("cannot read push: %w", err)
	}
	o := r.repos.o
	p := &push{
		repo: r, client: c, hook: hook, in: in, req: req,
		reasons:  make([]string, len(req.commands)),
		progress: newProgress(c.Out, req.caps.Supports(capability.Sideband64k), o.Quiet, o.Stall),
	}
	unpack := p.run(ctx)
	return p.report(unpack)
}

// push is one push being received.
type push struct {
	repo     *Repo
	client   Client
	hook     Hook
	in       *bufio.Reader
	req      request
	progress *progress

	current map[plumbing.ReferenceName]plumbing.Hash
	// reasons says why each command was rejected; "" = not (yet).
	reasons []string
	objects *quarantine // nil: nothing was sent
	grown   bool        // something was accepted
}

// The reasons that git shows beside a ref, in git's words where it has some.
const (
	reasonHook     = "pre-receive hook declined"
	reasonAtomic   = "atomic push failed"
	reasonInternal = "internal error"
)

// run takes the push through its phases and returns the unpack status.
func (p *push) run(ctx context.Context) (unpack string) {
	release, err := p.repo.lock.push(ctx)
	if err != nil {
		p.rejectAll(err.Error())
		p.say(" !     Another push is in progress. Wait for it to finish, then push again.\n")
		p.drain()
		return "ok"
	}
	defer func() {
		release()
		if p.grown { // only now: maintenance needs the lock
			p.repo.repos.changed(p.repo.id)
		}
	}()
	if p.current, err = p.repo.refs(); err != nil {
		p.internal(err)
		return reasonInternal
	}
	p.check()
	if p.sendsPack() {
		if len(p.accepted()) == 0 {
			p.drain()
			return "ok"
		}
		if p.objects, err = p.repo.quarantine(); err != nil {
			p.internal(err)
			return reasonInternal
		}
		defer func() {
			if err := p.objects.close(); err != nil {
				p.repo.repos.o.Log.Error("cannot remove quarantine", "app", p.repo.id, "err", err)
			}
		}()
		if err := p.receive(ctx); err != nil {
			return p.unusable(err)
		}
	}
	p.progress.waiting()
	p.deploy(ctx)
	// What has been released is recorded even when the server is stopping.
	p.commit(context.WithoutCancel(ctx))
	return "ok"
}

func (p *push) say(format string, args ...any) { fmt.Fprintf(p.progress, format, args...) }

func (p *push) rejectAll(reason string) {
	for i, r := range p.reasons {
		if r == "" {
			p.reasons[i] = reason
		}
	}
}

// internal rejects all that is left for a reason that is ours.
func (p *push) internal(err error) {
	p.repo.repos.o.Log.Error("push failed", "app", p.repo.id, "err", err)
	p.rejectAll(reasonInternal)
	p.say(" !     Internal error. Nothing has changed; push again, or tell your operator.\n")
}

// accepted lists the commands that have not been rejected.
func (p *push) accepted() []int {
	var list []int
	for i, r := range p.reasons {
		if r == "" {
			list = append(list, i)
		}
	}
	if len(list) < len(p.reasons) && p.req.caps.Supports(capability.Atomic) {
		p.rejectAll(reasonAtomic)
		return nil
	}
	return list
}

// sendsPack says whether a pack follows the commands: not if all of them
// delete.
func (p *push) sendsPack() bool {
	for _, c := range p.req.commands {
		if c.Action() != packp.Delete {
			return true
		}
	}
	return false
}

// drain reads what a rejected client still sends, so that it gets to reading
// our answer; within bounds.
func (p *push) drain() {
	if !p.sendsPack() {
		return
	}
	done := make(chan struct{})
	go func() { // ends with the transport at the latest
		defer close(done)
		_, _ = io.CopyN(io.Discard, p.in, 64<<20)
	}()
	timeout := time.NewTimer(p.repo.repos.o.Stall)
	defer timeout.Stop()
	select {
	case <-done:
	case <-timeout.C:
	}
}

// receive gets the pack and proves that nothing is missing.
func (p *push) receive(ctx context.Context) error {
	if err := p.objects.receive(ctx, p.in, p.progress.waiting); err != nil {
		return err
	}
	if err := p.objects.boundary(ctx, p.req.shallow); err != nil {
		return err
	}
	return p.connect(ctx)
}

// connect checks the new values of all refs at once, and if that fails one by
// one to find the culprit.
func (p *push) connect(ctx context.Context) error {
	var all []string
	for _, i := range p.accepted() {
		if c := p.req.commands[i]; c.Action() != packp.Delete {
			all = append(all, c.New.String())
		}
	}
	err := p.objects.connected(ctx, all)
	var bad *packError
	if !errors.As(err, &bad) || len(all) < 2 {
		return err
	}
	for _, i := range p.accepted() {
		c := p.req.commands[i]
		if c.Action() == packp.Delete {
			continue
		}
		err := p.objects.connected(ctx, []string{c.New.String()})
		if errors.As(err, &bad) {
			p.reasons[i] = bad.reason
			p.explainMissing(bad)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// unusable rejects a push whose pack cannot be used.
func (p *push) unusable(err error) (unpack string) {
	var bad *packError
	switch {
	case errors.As(err, &bad):
		p.repo.repos.o.Log.Info("push rejected", "app", p.repo.id, "err", err)
		if bad.reason == reasonMissing {
			p.explainMissing(bad)
		} else {
			p.say(" !     Push rejected: %s.\n", bad.reason)
		}
		p.rejectAll(bad.reason)
		return bad.reason
	case errors.Is(err, errIdle):
		p.say(" !     Push rejected: %s.\n", err)
		p.rejectAll(err.Error())
		return err.Error()
	}
	p.internal(err)
	return reasonInternal
}

func (p *push) explainMissing(bad *packError) {
	mended, err := p.repo.lacksHistory()
	if err != nil {
		p.repo.repos.o.Log.Error("cannot mark repository", "app", p.repo.id, "err", err)
	}
	if mended {
		p.say(" !     The history that this push builds on is not here: the app was deployed from a shallow clone before.\n" +
			" !     Push again, git will then send all of it.\n")
		return
	}
	p.say(" !     Push rejected: objects are missing that its commits need. Check your clone with: git fsck\n")
	p.repo.repos.o.Log.Info("push lacks objects", "app", p.repo.id, "err", bad)
}

// report tells the client what became of each ref.
func (p *push) report(unpack string) error {
	var b bytes.Buffer
	if p.req.caps.Supports(capability.ReportStatus) {
		status := packp.NewReportStatus()
		status.UnpackStatus = unpack
		for i, c := range p.req.commands {
			s := &packp.CommandStatus{ReferenceName: c.Name, Status: "ok"}
			if p.reasons[i] != "" {
				s.Status = p.reasons[i]
			}
			status.CommandStatuses = append(status.CommandStatuses, s)
		}
		if err := status.Encode(&b); err != nil {
			return err
		}
	}
	if err := p.progress.finish(b.Bytes()); err != nil {
		return fmt.Errorf("cannot answer the client: %w", err)
	}
	return nil
}
