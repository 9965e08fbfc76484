// Package server is the HTTP API: JSON in the shape of Heroku's Platform API
// v3 over the use cases of api/platform.
//
// # Design
//
// routes.go is one table of what can be called and what the caller needs;
// server.go authenticates and authorises from it before a handler runs, so a
// handler decodes, calls the platform once and encodes. Errors become answers
// in errors.go alone.
//
// echo routes and nothing more: it is small, keeps net/http's types, and its
// types stay in this package and the console's.
package server

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"paas/api"
	"paas/api/auth"
	"paas/api/platform"
	v3 "paas/api/v3"
)

const (
	requestID = "Request-Id"
	region    = "local"
	// maxBody bounds a request's JSON. Config vars are the largest: 64 kB.
	maxBody = 1 << 20
)

// Server is an http.Handler; it may be used concurrently.
type Server struct {
	platform *platform.Platform
	log      *slog.Logger
	echo     *echo.Echo
}

// New makes the API of a platform.
func New(p *platform.Platform, log *slog.Logger) *Server {
	s := &Server{platform: p, log: log, echo: echo.New()}
	s.echo.HTTPErrorHandler = s.fail
	s.echo.Pre(identify, overrideMethod)
	for _, r := range routes() {
		s.echo.Add(r.method, r.path, s.handle(r))
	}
	return s
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.echo.ServeHTTP(w, r) }

// call is one authorised request.
type call struct {
	echo.Context
	server *Server
	who    auth.Principal
	app    api.App // set on routes with :app
}

// handle wraps a route's handler in what the table says it needs.
func (s *Server) handle(r route) echo.HandlerFunc {
	return func(e echo.Context) error {
		c := &call{Context: e, server: s}
		if err := acceptable(e.Request().Header.Get("Accept")); err != nil {
			return err
		}
		e.Request().Body = http.MaxBytesReader(e.Response(), e.Request().Body, maxBody)
		if r.action == open {
			return r.handler(c)
		}
		ctx := e.Request().Context()
		var err error
		if c.who, err = s.platform.Auth.Token(ctx, e.Request().Header.Get("Authorization")); err != nil {
			return err
		}
		if strings.HasPrefix(r.path, "/apps/:app") {
			c.app, err = s.platform.Find(ctx, c.who, e.Param("app"), r.action)
		} else {
			err = auth.Check(c.who, r.action, api.App{}, nil)
		}
		if err != nil {
			return err
		}
		return r.handler(c)
	}
}

var clientID = regexp.MustCompile(`^[0-9a-fA-F-]{36}$`)

// identify gives each request an id: the client's, if it sent one uuid.
func identify(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id := c.Request().Header.Get(requestID)
		if !clientID.MatchString(id) {
			id = uuid.NewString()
		}
		c.Response().Header().Set(requestID, id)
		c.Response().Header().Set("Access-Control-Allow-Origin", "*")
		return next(c)
	}
}

// overrideMethod serves clients that can only POST.
func overrideMethod(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if m := c.Request().Header.Get("X-Http-Method-Override"); m != "" && c.Request().Method == http.MethodPost {
			c.Request().Method = strings.ToUpper(m)
		}
		return next(c)
	}
}

var otherVersion = regexp.MustCompile(`version=([^;,\s]*)`)

// acceptable refuses a request for another version of the API; everything
// else is taken as version 3.
func acceptable(accept string) error {
	m := otherVersion.FindStringSubmatch(accept)
	if m == nil || m[1] == "3" || strings.HasPrefix(m[1], "3.") {
		return nil
	}
	return api.Errorf(api.NotAcceptable, "Only version 3 of the API is served here. Send: Accept: application/vnd.heroku+json; version=3")
}

// decode reads a JSON body into v; no body at all is {}.
func (c *call) decode(v any) error {
	b, err := io.ReadAll(c.Request().Body)
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return api.Wrap(api.BadRequest, err, fmt.Sprintf("The request's body is larger than %d kB.", maxBody>>10))
	}
	if err != nil {
		return api.Wrap(api.BadRequest, err, "The request's body broke off.")
	}
	if len(strings.TrimSpace(string(b))) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, v); err != nil {
		return api.Wrap(api.BadRequest, err, "The request's body is not the JSON that is expected here.")
	}
	return nil
}

func (c *call) reply(code int, v any) error { return reply(c, code, v) }

func reply(c echo.Context, code int, v any) error {
	c.Response().Header().Set(echo.HeaderContentType, v3.MediaType)
	c.Response().WriteHeader(code)
	return json.NewEncoder(c.Response()).Encode(v)
}

// url makes an address of this API as the client reached it.
func (c *call) url(path string) string {
	scheme := "http"
	if c.Request().TLS != nil || c.Request().Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + c.Request().Host + path
}

// stableID is a uuid made from a name.
func stableID(name string) string {
	sum := sha256.Sum256([]byte("paas:" + name))
	id, err := uuid.FromBytes(sum[:16])
	if err != nil {
		panic(fmt.Sprintf("16 bytes make a uuid: %v", err))
	}
	return id.String()
}

// clientAddr is who is calling, for rate limits. X-Forwarded-For is believed
// only from this machine, that is, from our own router.
func (c *call) clientAddr() netip.Addr {
	peer, err := netip.ParseAddrPort(c.Request().RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := peer.Addr().Unmap()
	if via := c.Request().Header.Get("X-Forwarded-For"); addr.IsLoopback() && via != "" {
		last := strings.TrimSpace(via[strings.LastIndexByte(via, ',')+1:])
		if forwarded, err := netip.ParseAddr(last); err == nil {
			return forwarded
		}
	}
	return addr
}

func (c *call) now() time.Time { return c.server.platform.Now() }
