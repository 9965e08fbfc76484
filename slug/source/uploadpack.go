package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
)

// protocols are the values of GIT_PROTOCOL that a client may hand to git.
var protocols = regexp.MustCompile(`^version=[0-2]$`)

// AdvertiseUploadPack writes the refs for a fetch over a stateless transport.
func (r *Repo) AdvertiseUploadPack(ctx context.Context, c Client) error {
	return r.uploadPack(ctx, c, "--stateless-rpc", "--advertise-refs")
}

// UploadPack serves one fetch or clone. It ends when the client leaves.
func (r *Repo) UploadPack(ctx context.Context, c Client) error {
	if c.Stateless {
		return r.uploadPack(ctx, c, "--stateless-rpc")
	}
	return r.uploadPack(ctx, c)
}

// errGone ends what was done for a client that has left.
var errGone = errors.New("the client has left")

func (r *Repo) uploadPack(ctx context.Context, c Client, flags ...string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	args := []string{"upload-pack", "--strict", fmt.Sprintf("--timeout=%d", int(r.repos.o.Idle.Seconds()))}
	cmd := r.git.command(ctx, r.dir, append(append(args, flags...), r.dir)...)
	if protocols.MatchString(c.Protocol) {
		cmd.Env = append(cmd.Env, "GIT_PROTOCOL="+c.Protocol)
	}
	cmd.Stdout = c.Out
	// The copying may outlive this call, see Client.In: exec's own would have
	// to be waited for.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("cannot serve fetch: %w", err)
	}
	upload, err := r.git.start(ctx, cmd)
	if err != nil {
		return errors.Join(err, stdin.Close())
	}
	go func() {
		defer stdin.Close()
		if c.In != nil {
			_, _ = io.Copy(stdin, c.In)
		}
	}()
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-c.Gone:
			cancel(errGone)
		case <-ended:
		}
	}()
	return upload.wait()
}
