package gitssh

import (
	"context"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// channel accepts sessions. Each goes through gliderlabs' handler with a view
// of the client's requests that has only what git needs.
func (s *Server) channel(serving context.Context) ssh.ChannelHandler {
	return func(_ *ssh.Server, conn *gossh.ServerConn, opened gossh.NewChannel, ctx ssh.Context) {
		l, ok := ctx.Value(linkKey).(*link)
		if !ok || serving.Err() != nil || !l.enter() {
			_ = opened.Reject(gossh.ResourceShortage, "too many sessions")
			return
		}
		defer l.leave()
		s.sessions.Add(1)
		defer s.sessions.Done()

		f := &filter{NewChannel: opened, gone: make(chan struct{})}
		ended := make(chan struct{})
		handled := make(chan struct{})
		begun := false
		go l.watch(conn, ended)
		ssh.DefaultSessionHandler(&ssh.Server{
			PtyCallback: func(ssh.Context, ssh.Pty) bool { return false },
			SessionRequestCallback: func(ssh.Session, string) bool {
				begun = true // in the goroutine of DefaultSessionHandler
				return true
			},
			Handler: func(sess ssh.Session) {
				defer close(handled)
				run := &session{Session: sess, server: s, conn: conn, gone: f.gone, protocol: f.protocol}
				_ = sess.Exit(run.handle(serving))
			},
		}, conn, f, ctx)
		close(ended)
		if begun {
			<-handled
		}
	}
}

// filter is a new session whose requests are reduced to starting a command,
// and to the one variable of the environment that git sends. gliderlabs/ssh
// would collect variables without bound, and hang on window changes.
type filter struct {
	gossh.NewChannel
	gone     chan struct{} // closed with the channel
	protocol string        // valid once a command was requested
}

func (f *filter) Accept() (gossh.Channel, <-chan *gossh.Request, error) {
	ch, all, err := f.NewChannel.Accept()
	if err != nil {
		return nil, nil, err
	}
	few := make(chan *gossh.Request)
	go func() {
		defer close(few)
		defer close(f.gone)
		for r := range all {
			switch r.Type {
			case "exec", "shell":
				few <- r
			case "env":
				var v struct{ Name, Value string }
				known := gossh.Unmarshal(r.Payload, &v) == nil && v.Name == "GIT_PROTOCOL" && len(v.Value) < 64
				if known {
					f.protocol = v.Value
				}
				_ = r.Reply(known, nil)
			default:
				_ = r.Reply(false, nil)
			}
		}
	}()
	return ch, few, nil
}
