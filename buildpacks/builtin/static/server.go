package static

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"strings"
)

// Server answers requests for one site. It is safe for concurrent use.
type Server struct {
	config  *Config
	files   *files
	auth    credentials // nil: everybody may read
	proxies []http.Handler
}

// NewServer serves the app in dir by its configuration, which MUST have been
// interpolated.
func NewServer(c *Config, dir string, getenv func(string) string) (*Server, error) {
	auth, err := newCredentials(c, dir, getenv)
	if err != nil {
		return nil, err
	}
	s := &Server{config: c, auth: auth, files: newFiles(dir, c)}
	for _, p := range c.Proxies {
		origin, err := url.Parse(p.Origin)
		if err != nil {
			return nil, err
		}
		s.proxies = append(s.proxies, newProxy(p.Path, origin))
	}
	return s, nil
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	uri := cleanPath(r.URL.Path)
	s.setHeaders(w.Header(), uri)
	switch {
	case s.redirectHost(w, r):
	case s.auth != nil && !s.auth.allow(r):
		w.Header().Set("WWW-Authenticate", `Basic realm="Restricted"`)
		s.plain(w, http.StatusUnauthorized)
	case strings.ContainsRune(uri, 0):
		s.plain(w, http.StatusBadRequest)
	default:
		s.answer(w, r, uri)
	}
}

// cleanPath resolves "//" and dot segments and keeps a slash at the end.
func cleanPath(p string) string {
	clean := path.Clean("/" + p)
	if clean != "/" && (strings.HasSuffix(p, "/") || strings.HasSuffix(p, "/.") || strings.HasSuffix(p, "/..")) {
		clean += "/"
	}
	return clean
}

func (s *Server) setHeaders(h http.Header, uri string) {
	for i := len(s.config.Headers) - 1; i >= 0; i-- {
		if rule := s.config.Headers[i]; rule.Match.MatchString(uri) {
			for _, kv := range rule.Header {
				h.Set(kv[0], kv[1])
			}
			return
		}
	}
}

// redirectHost sends clients to https and to the canonical host.
func (s *Server) redirectHost(w http.ResponseWriter, r *http.Request) bool {
	proto := r.Header.Get("X-Forwarded-Proto")
	if proto != "https" && proto != "http" {
		proto = "http"
	}
	host := r.Host
	switch {
	case s.config.HTTPSOnly && proto != "https":
		proto = "https"
	case s.config.CanonicalHost != "" && host != s.config.CanonicalHost:
		host = s.config.CanonicalHost
	default:
		return false
	}
	s.redirect(w, proto+"://"+host+r.URL.RequestURI(), http.StatusMovedPermanently)
	return true
}

func (s *Server) redirect(w http.ResponseWriter, to string, status int) {
	w.Header().Set("Location", to)
	s.plain(w, status)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, uri string) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		if !s.proxy(w, r, uri) {
			w.Header().Set("Allow", "GET, HEAD")
			s.plain(w, http.StatusMethodNotAllowed)
		}
		return
	}
	if s.file(w, r, uri) {
		return
	}
	if s.config.CleanURLs && strings.HasSuffix(uri, ".html") {
		s.notFound(w, r) // the clean URL is the one that has fallbacks
		return
	}
	for _, route := range s.config.Routes {
		if route.Match.MatchString(uri) {
			if s.files.serve(w, r, route.File, http.StatusOK) {
				return
			}
			break
		}
	}
	if s.proxy(w, r, uri) {
		return
	}
	for _, to := range s.config.Redirects {
		if to.Path == uri {
			s.redirect(w, to.URL, to.Status)
			return
		}
	}
	s.notFound(w, r)
}

// file serves the file or directory that a path names.
func (s *Server) file(w http.ResponseWriter, r *http.Request, uri string) bool {
	if s.config.CleanURLs && !strings.HasSuffix(uri, "/") && s.files.serve(w, r, uri+".html", http.StatusOK) {
		return true
	}
	if !strings.HasSuffix(uri, "/") {
		if s.files.serve(w, r, uri, http.StatusOK) {
			return true
		}
		if !s.files.has(uri + "/index.html") {
			return false
		}
		to := (&url.URL{Path: uri + "/", RawQuery: r.URL.RawQuery}).String()
		s.redirect(w, to, http.StatusMovedPermanently)
		return true
	}
	return s.files.serve(w, r, uri+"index.html", http.StatusOK)
}

func (s *Server) proxy(w http.ResponseWriter, r *http.Request, uri string) bool {
	for i, p := range s.config.Proxies {
		if strings.HasPrefix(uri, p.Path) || uri == strings.TrimSuffix(p.Path, "/") {
			s.proxies[i].ServeHTTP(w, r)
			return true
		}
	}
	return false
}

// newProxy passes requests below at on to an origin: /api/x becomes <path of
// the origin>/x there, and its redirects to itself lead back here.
func newProxy(at string, origin *url.URL) http.Handler {
	at = strings.TrimSuffix(at, "/")
	base := strings.TrimSuffix(origin.Path, "/")
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			rest := strings.TrimPrefix(strings.TrimPrefix(cleanPath(p.In.URL.Path), at), "/")
			p.Out.URL.Scheme, p.Out.URL.Host = origin.Scheme, origin.Host
			p.Out.URL.Path, p.Out.URL.RawPath = base+"/"+rest, ""
			p.Out.Host = origin.Host
			p.Out.Header["X-Forwarded-For"] = p.In.Header["X-Forwarded-For"]
			p.Out.Header["X-Forwarded-Proto"] = p.In.Header["X-Forwarded-Proto"]
		},
		ModifyResponse: func(resp *http.Response) error {
			for _, scheme := range []string{"http", "https"} {
				self := scheme + "://" + origin.Host + base + "/"
				if rest, ok := strings.CutPrefix(resp.Header.Get("Location"), self); ok {
					resp.Header.Set("Location", at+"/"+rest)
				}
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			http.Error(w, "Bad Gateway", http.StatusBadGateway)
		},
	}
}

func (s *Server) notFound(w http.ResponseWriter, r *http.Request) {
	if s.config.ErrorPage != "" && s.files.serve(w, r, path.Clean("/"+s.config.ErrorPage), http.StatusNotFound) {
		return
	}
	s.plain(w, http.StatusNotFound)
}

// plain is an answer without a page of the site's own.
func (s *Server) plain(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	text := fmt.Sprintf("%d %s", status, http.StatusText(status))
	fmt.Fprintf(w, "<!doctype html>\n<title>%s</title>\n<h1>%s</h1>\n", text, text)
}
