package source

import (
	"context"
	"io"

	"github.com/go-git/go-git/v5/plumbing"

	"paas/slug"
)

// Push is one ref that a client wants moved.
type Push struct {
	Ref      string // "refs/heads/main"
	Old, New string // full hashes; Old is all zeros for a new branch
	// ClientGone is closed when the client has left: Ctrl-C at the push, or a
	// broken connection. nil if the transport cannot tell.
	ClientGone <-chan struct{}
}

// Hook decides whether the deploy branch may move.
type Hook interface {
	// PreReceive is called once per pushed deploy branch with everything the
	// push has sent already readable through src, which is valid until it
	// returns. An error rejects the push; what the user should know of it MUST
	// have been written to progress, which reaches them live. ctx does not end
	// when the client leaves; p.ClientGone tells.
	PreReceive(ctx context.Context, p Push, src slug.Source, progress io.Writer) error
}

// deploys says which branches deploy.
func deploys(ref plumbing.ReferenceName) bool {
	return ref == plumbing.Main || ref == plumbing.Master
}

// Client is one client at the other end of a transport.
type Client struct {
	// In gives what the client sends. A Read that hangs MUST end when the
	// transport is closed after the call; it may still be running then.
	In io.Reader
	// Out reaches the client; the same holds for a Write.
	Out io.Writer
	// Gone is closed when the client has left; nil if that cannot be known.
	Gone <-chan struct{}
	// Protocol is the client's GIT_PROTOCOL, for a fetch.
	Protocol string
	// Stateless says that the transport carries single requests (smart HTTP):
	// the refs have been advertised by a request of their own.
	Stateless bool
}

func (c Client) gone() bool {
	select {
	case <-c.Gone:
		return true
	default:
		return false
	}
}
