package source

import (
	"bufio"
	"context"
	"io"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

// AdvertiseReceivePack writes the refs and what receive-pack can do. It is the
// first half of a push; over HTTP a request of its own.
func (r *Repo) AdvertiseReceivePack(_ context.Context, w io.Writer) error {
	ad := packp.NewAdvRefs()
	for _, c := range []capability.Capability{
		capability.ReportStatus, capability.DeleteRefs, capability.Sideband64k,
		capability.Quiet, capability.Atomic, capability.OFSDelta,
	} {
		if err := ad.Capabilities.Set(c); err != nil {
			return err
		}
	}
	if err := ad.Capabilities.Set("object-format", "sha1"); err != nil {
		return err
	}
	if err := ad.Capabilities.Set(capability.Agent, "paas/1"); err != nil {
		return err
	}
	if !r.resend() {
		refs, err := r.refs()
		if err != nil {
			return err
		}
		for name, hash := range refs {
			ad.References[string(name)] = hash
		}
	}
	out := bufio.NewWriterSize(w, 64<<10)
	if err := ad.Encode(out); err != nil {
		return err
	}
	return out.Flush()
}
