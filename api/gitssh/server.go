package gitssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/sys/cpu"

	"paas/api"
	"paas/slug"
	"paas/slug/source"
)

// Accounts knows whose keys are whose.
type Accounts interface {
	// AccountByKey finds the account of a public key by its fingerprint,
	// "SHA256:...". An *api.Error that is Unauthorized or NotFound says that
	// the key is unknown.
	AccountByKey(ctx context.Context, fingerprint string) (api.Account, error)
}

// Apps decides access.
type Apps interface {
	// Authorize finds the app that account may deploy to (write) or read. An
	// *api.Error that is NotFound or Forbidden says no; the client cannot tell
	// which of them it was.
	Authorize(ctx context.Context, account api.Account, appName string, write bool) (api.App, error)
}

// Deployer builds and releases what was pushed.
type Deployer interface {
	// Deploy returns when the release runs, or an error; then nothing has
	// changed. What the user should know has been written to d.Output; if
	// nothing was, an *api.Error is shown. It is called once at a time for an
	// app, and ctx does not end when the client leaves: d.Push.ClientGone
	// tells.
	Deploy(ctx context.Context, d Deploy) error
}

// Deploy is one pushed commit.
type Deploy struct {
	App     api.App
	Account api.Account
	Push    source.Push
	Source  slug.Source // valid until Deploy returns
	// Output gets what the pusher sees, live. Writes never fail and never
	// block for long.
	Output io.Writer
}

// Options is everything a Server needs. Limits that are zero have the default.
type Options struct {
	Accounts Accounts
	Apps     Apps
	Deployer Deployer
	Repos    *source.Repos
	Log      *slog.Logger // nil = none
	// HostKeys is the directory of the host's private keys, which are made if
	// they are missing.
	HostKeys string

	MaxConnections     int           // default 256
	MaxUnauthenticated int           // of them, default 64
	MaxSessions        int           // per connection, default 10
	AuthTimeout        time.Duration // to authenticate, default 30 s
	IdleTimeout        time.Duration // of a connection without a session, default 2 minutes
	// KeepAlive is how often a client is asked for a sign of life; one that
	// misses KeepAliveMisses in a row has left. Defaults 30 s and 10.
	KeepAlive       time.Duration
	KeepAliveMisses int
	// StopTimeout is how long Serve waits for sessions to end; default 10 s.
	StopTimeout time.Duration
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	for field, value := range map[*int]int{
		&o.MaxConnections: 256, &o.MaxUnauthenticated: 64, &o.MaxSessions: 10, &o.KeepAliveMisses: 10,
	} {
		if *field == 0 {
			*field = value
		}
	}
	for field, value := range map[*time.Duration]time.Duration{
		&o.AuthTimeout: 30 * time.Second, &o.IdleTimeout: 2 * time.Minute,
		&o.KeepAlive: 30 * time.Second, &o.StopTimeout: 10 * time.Second,
	} {
		if *field == 0 {
			*field = value
		}
	}
	return o
}

// Server serves git over SSH.
type Server struct {
	o    Options
	keys []ssh.Signer

	mu              sync.Mutex
	links           map[*link]bool
	unauthenticated int
	stopping        bool

	sessions sync.WaitGroup
}

// New makes a Server and, at the first start, the host's keys.
func New(o Options) (*Server, error) {
	o = o.withDefaults()
	keys, err := hostKeys(o.HostKeys)
	if err != nil {
		return nil, err
	}
	return &Server{o: o, keys: keys, links: map[*link]bool{}}, nil
}

// HostKeys are the host's public keys as lines for a known_hosts file, without
// the host's name: "ssh-ed25519 AAAA...".
func (s *Server) HostKeys() []string {
	var list []string
	for _, k := range s.keys {
		list = append(list, string(trimNewline(gossh.MarshalAuthorizedKey(k.PublicKey()))))
	}
	return list
}

// Serve serves connections from l until ctx ends; then it tells what is under
// way to end, waits StopTimeout at most, and closes all connections. It closes
// l. It is called once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &ssh.Server{
		Version:              "paas",
		HostSigners:          s.keys,
		ConnCallback:         s.accept,
		PublicKeyHandler:     s.known,
		ServerConfigCallback: s.config,
		ChannelHandlers:      map[string]ssh.ChannelHandler{"session": s.channel(ctx)},
		SubsystemHandlers:    map[string]ssh.SubsystemHandler{},
		RequestHandlers:      map[string]ssh.RequestHandler{},
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("cannot serve git: %w", errors.Join(err, srv.Close()))
	case <-ctx.Done():
	}
	_ = l.Close()
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	ended := make(chan struct{})
	go func() { s.sessions.Wait(); close(ended) }()
	timeout := time.NewTimer(s.o.StopTimeout)
	defer timeout.Stop()
	select {
	case <-ended:
	case <-timeout.C:
	}
	_ = srv.Close()
	s.closeAll()
	<-failed
	<-ended
	return nil
}

// config is the transport's.
func (s *Server) config(ctx ssh.Context) *gossh.ServerConfig {
	c := &gossh.ServerConfig{
		// People have many keys in their agents, and guessing a key is
		// hopeless anyhow.
		MaxAuthTries:              20,
		VerifiedPublicKeyCallback: proved,
		AuthLogCallback: func(_ gossh.ConnMetadata, _ string, err error) {
			if l, ok := ctx.Value(linkKey).(*link); ok && err == nil {
				l.authenticated()
			}
		},
	}
	c.Ciphers = ciphers()
	return c
}

// ciphers are those on offer. The client's order counts, and OpenSSH's begins
// with ChaCha20: where the processor has AES, which then takes about half the
// time, ChaCha20 is not offered.
func ciphers() []string {
	all := gossh.SupportedAlgorithms().Ciphers
	if !(cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ || cpu.ARM64.HasAES && cpu.ARM64.HasPMULL) {
		return all
	}
	var list []string
	for _, c := range all {
		if c != gossh.CipherChaCha20Poly1305 {
			list = append(list, c)
		}
	}
	return list
}

func trimNewline(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\n' {
		return b[:n-1]
	}
	return b
}
