package gitssh

import (
	"context"
	"sync"
	"time"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// channel accepts sessions. Each goes through gliderlabs' handler with a view
// of the client's requests that has only what git needs.
func (s *Server) channel(serving context.Context) ssh.ChannelHandler {
	return func(_ *ssh.Server, conn *gossh.ServerConn, opened gossh.NewChannel, ctx ssh.Context) {
		l, ok := ctx.Value(linkKey).(*link)
		if !ok || !l.enter() {
			_ = opened.Reject(gossh.ResourceShortage, "too many sessions")
			return
		}
		if !s.begin() {
			l.leave()
			_ = opened.Reject(gossh.ResourceShortage, "the server is stopping")
			return
		}
		ended := make(chan struct{})
		end := sync.OnceFunc(func() {
			close(ended)
			l.leave()
			s.sessions.Done()
		})
		f := &filter{NewChannel: opened, gone: make(chan struct{}), patience: s.o.AuthTimeout}
		begun := false
		go l.watch(conn, ended)
		ssh.DefaultSessionHandler(&ssh.Server{
			PtyCallback: func(ssh.Context, ssh.Pty) bool { return false },
			SessionRequestCallback: func(ssh.Session, string) bool {
				begun = true // in the goroutine of DefaultSessionHandler
				return true
			},
			Handler: func(sess ssh.Session) {
				// The session ends with its command: a client that does not
				// close its side only holds its idle connection.
				defer end()
				run := &session{Session: sess, server: s, conn: conn, gone: f.gone, protocol: f.protocol}
				_ = sess.Exit(run.handle(serving))
			},
		}, conn, f, ctx)
		if !begun {
			end()
		}
	}
}

// begin counts a session, unless the server is stopping.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	s.sessions.Add(1)
	return true
}

// filter is a new session whose requests are reduced to starting a command,
// and to the one variable of the environment that git sends. gliderlabs/ssh
// would collect variables without bound, and hang on window changes.
type filter struct {
	gossh.NewChannel
	gone     chan struct{} // closed with the channel
	patience time.Duration // until a command
	protocol string        // valid once a command was requested
}

func (f *filter) Accept() (gossh.Channel, <-chan *gossh.Request, error) {
	ch, all, err := f.NewChannel.Accept()
	if err != nil {
		return nil, nil, err
	}
	few := make(chan *gossh.Request)
	timer := time.AfterFunc(f.patience, func() { _ = ch.Close() })
	go func() {
		defer close(few)
		defer close(f.gone)
		defer timer.Stop()
		started := false
		for r := range all {
			switch {
			case started:
				_ = r.Reply(false, nil)
			case r.Type == "exec" || r.Type == "shell":
				started = true
				timer.Stop()
				few <- r
			case r.Type == "env":
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
