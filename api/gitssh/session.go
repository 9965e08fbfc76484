package gitssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"

	"paas/api"
	"paas/slug"
	"paas/slug/source"
)

// session is one command of one client.
type session struct {
	ssh.Session
	server   *Server
	conn     *gossh.ServerConn
	gone     <-chan struct{} // closed when the client has left
	protocol string          // GIT_PROTOCOL
}

// handle serves a session and returns its exit status.
func (s *session) handle(ctx context.Context) (status int) {
	defer func() {
		// One client's session must not take the others with it.
		if r := recover(); r != nil {
			s.server.o.Log.Error("session panicked", "panic", r, "stack", string(debug.Stack()))
			status = 1
		}
	}()
	account, err := s.server.account(ctx, s.conn)
	if err != nil {
		return s.fail(err)
	}
	if s.RawCommand() == "" {
		fmt.Fprintf(s, "Hello %s! You are authenticated, but this is a place for git: there is no shell.\n"+
			"Deploy with: git push <remote> main\n", account.Email)
		return 1
	}
	verb, name, err := parseCommand(s.RawCommand())
	if err != nil {
		return s.fail(api.Errorf(api.BadRequest, "Only git push, git fetch and git clone are possible here. To run something in an app: paas run -a APP COMMAND"))
	}
	app, err := s.authorize(ctx, account, name, verb == push)
	if err != nil {
		return s.fail(err)
	}
	repo, err := s.server.o.Repos.Repo(app.ID)
	if err != nil {
		return s.fail(err)
	}
	client := source.Client{In: s, Out: s, Gone: s.gone, Protocol: s.protocol}
	if verb == push {
		err = repo.ReceivePack(ctx, client, &hook{server: s.server, app: app, account: account})
	} else {
		err = repo.UploadPack(ctx, client)
	}
	if err != nil {
		s.server.o.Log.Info("git session ended early", "app", app.Name, "command", string(verb), "err", err)
		fmt.Fprint(s.Stderr(), "\n !     The session ended early. Try again.\n\n")
		return 1
	}
	return 0
}

// authorize finds the app. Whether it is not there or not for this account
// cannot be told from the answer.
func (s *session) authorize(ctx context.Context, account api.Account, name string, write bool) (api.App, error) {
	if api.CheckAppName(name) != nil {
		return api.App{}, noSuchApp(name)
	}
	app, err := s.server.o.Apps.Authorize(ctx, account, name, write)
	if err != nil && refused(err) {
		return api.App{}, noSuchApp(name)
	}
	return app, err
}

func noSuchApp(name string) error {
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r > '~' {
			return '?'
		}
		return r
	}, name)
	return api.Errorf(api.NotFound, "No such app as %.60s.", name)
}

// fail tells the client what is wrong. Errors meet users of git here only.
func (s *session) fail(err error) int {
	fmt.Fprint(s.Stderr(), "\n"+render(s.server, err)+"\n")
	return 1
}

// render is an error in Heroku's manner.
func render(server *Server, err error) string {
	var known *api.Error
	if errors.As(err, &known) {
		if known.Err != nil {
			server.o.Log.Info("git session refused", "err", err)
		}
		return " !     " + strings.ReplaceAll(known.Message, "\n", "\n !     ") + "\n"
	}
	server.o.Log.Error("git session failed", "err", err)
	return " !     Internal error. Try again, or tell your operator.\n"
}

// hook makes a deploy of a push.
type hook struct {
	server  *Server
	app     api.App
	account api.Account
}

func (h *hook) PreReceive(ctx context.Context, p source.Push, src slug.Source, progress io.Writer) error {
	out := &noting{w: progress}
	err := h.server.o.Deployer.Deploy(ctx, Deploy{App: h.app, Account: h.account, Push: p, Source: src, Output: out})
	if err != nil && !out.wrote {
		fmt.Fprint(progress, render(h.server, err))
	}
	return err
}

// noting notes whether anything was written.
type noting struct {
	w     io.Writer
	wrote bool
}

func (n *noting) Write(b []byte) (int, error) {
	n.wrote = true
	return n.w.Write(b)
}
