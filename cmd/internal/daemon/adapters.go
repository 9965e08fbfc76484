package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"

	"paas/api"
	"paas/api/auth"
	"paas/api/gitssh"
	"paas/api/platform"
	"paas/dyno"
	"paas/dyno/logplex"
	"paas/router"
	"paas/slug/image"
)

// publisher hands tables to a router that is made after the platform is.
type publisher struct{ p *parts }

func (p publisher) Publish(t *router.Table) { p.p.router.Publish(t) }

// verifiedImages tells the runtime of damage in its own words.
type verifiedImages struct{ *image.Store }

func (v verifiedImages) Lower(ctx context.Context, digest string) ([]string, error) {
	dirs, err := v.Store.Lower(ctx, digest)
	var damage *image.CorruptError
	if errors.As(err, &damage) {
		return nil, &dyno.ImageError{Image: digest, Err: damage.Err}
	}
	return dirs, err
}

// drainedRuntime makes sure that the router has let go of a dyno, also of one
// that crashed, before the dyno's address can become another's.
type drainedRuntime struct {
	dyno.Runtime
	p *parts
}

func (d drainedRuntime) Delete(ctx context.Context, id string) error {
	now, cancel := context.WithCancel(ctx)
	cancel()
	// The error says that requests were cut: there is nobody to serve them.
	_ = d.p.router.Drain(now, id)
	return d.Runtime.Delete(ctx, id)
}

// endingWith ends a handler's requests, streams above all, when ctx does.
func endingWith(ctx context.Context, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		own, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(ctx, cancel)()
		h.ServeHTTP(w, r.WithContext(own))
	})
}

// logs is the hub as the platform sees it.
type logs struct{ hub *logplex.Hub }

func (l logs) Write(appID string, lines ...api.LogLine) { l.hub.Write(appID, lines...) }
func (l logs) Delete(appID string) error                { return l.hub.Delete(appID) }

func (l logs) Tail(ctx context.Context, appID string, f platform.LogFilter, follow bool) (platform.LogSession, error) {
	s, err := l.hub.Tail(ctx, appID, logplex.Filter{Lines: f.Lines, Dyno: f.Dyno, Source: f.Source, After: f.After}, follow)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// gitDoor is the platform as the git endpoint sees it.
type gitDoor struct{ *platform.Platform }

func (g gitDoor) AccountByKey(ctx context.Context, fingerprint string) (api.Account, error) {
	who, err := g.Auth.Key(ctx, fingerprint)
	return who.Account, err
}

// principal is what a proved key may do: all that its account may.
func principal(a api.Account) auth.Principal {
	return auth.Principal{Account: a, Scopes: []api.Scope{api.ScopeGlobal}}
}

func (g gitDoor) Authorize(ctx context.Context, a api.Account, appName string, write bool) (api.App, error) {
	action := auth.View
	if write {
		action = auth.Deploy
	}
	return g.Find(ctx, principal(a), appName, action)
}

func (g gitDoor) Deploy(ctx context.Context, d gitssh.Deploy) error {
	_, err := g.Platform.Deploy(ctx, platform.Deploy{
		Who: principal(d.Account), App: d.App, Source: d.Source, Output: d.Output, Abandoned: d.Push.ClientGone,
	})
	return err
}

// logWriter passes net/http's complaints on. Most are about what clients do;
// a panic is ours.
type logWriter struct{ log *slog.Logger }

func (w logWriter) Write(b []byte) (int, error) {
	level := slog.LevelDebug
	if bytes.Contains(b, []byte("panic serving")) {
		level = slog.LevelError
	}
	w.log.Log(context.Background(), level, "http", "text", string(bytes.TrimSpace(b)))
	return len(b), nil
}

// webURL is where an app answers.
func (c Config) webURL(app string) string {
	host := app + "." + c.Domain
	if port := portOf(c.RouterAddr); port != 80 {
		host = fmt.Sprintf("%s:%d", host, port)
	}
	return "http://" + host + "/"
}

// gitURL is where an app is pushed to.
func (c Config) gitURL(app string) string {
	if port := portOf(c.SSHAddr); port != 22 {
		return fmt.Sprintf("ssh://git@%s/%s.git", net.JoinHostPort(c.Domain, fmt.Sprint(port)), app)
	}
	return "git@" + c.Domain + ":" + app + ".git"
}

// proxies are the variables with which git and curl get out, from the
// environment of paasd and nothing else of it.
func proxies(environ []string) []string {
	var out []string
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		switch strings.ToLower(name) {
		case "http_proxy", "https_proxy", "no_proxy", "ssl_cert_file", "git_ssl_cainfo":
			out = append(out, kv)
		}
	}
	return out
}
