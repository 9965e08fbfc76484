package static

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// Config is a static.json.
type Config struct {
	Root          string
	CleanURLs     bool
	HTTPSOnly     bool
	CanonicalHost string
	ErrorPage     string
	Encoding      string
	BasicAuth     bool
	Htpasswd      string
	AccessLog     bool
	Routes        []Route
	Redirects     []Redirect
	Headers       []HeaderRule
	Proxies       []Proxy
}

// Route names the file that answers for all paths that match.
type Route struct {
	Match *regexp.Regexp
	File  string
}

// Redirect sends one path somewhere else.
type Redirect struct {
	Path, URL string
	Status    int
}

// HeaderRule sets response headers for all paths that match.
type HeaderRule struct {
	Match  *regexp.Regexp
	Header [][2]string
}

// Proxy passes everything below a path on to another server.
type Proxy struct {
	Path, Origin string
}

const (
	configName = "static.json"
	maxConfig  = 1 << 20
)

// LoadConfig reads the static.json of the app in dir, or the defaults for an
// app without one. It also returns the names of settings it does not know.
func LoadConfig(dir string) (*Config, []string, error) {
	f, err := os.Open(filepath.Join(dir, configName))
	if os.IsNotExist(err) {
		c, _, err := ParseConfig([]byte("{}"))
		if err == nil && !isDir(filepath.Join(dir, c.Root)) {
			c.Root = "."
		}
		return c, nil, err
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read %s: %w", configName, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read %s: %w", configName, err)
	}
	if len(data) > maxConfig {
		return nil, nil, fmt.Errorf("%s is larger than %d bytes", configName, maxConfig)
	}
	return ParseConfig(data)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// ParseConfig reads a static.json.
func ParseConfig(data []byte) (*Config, []string, error) {
	c := &Config{Root: "public_html", Encoding: "UTF-8", AccessLog: true}
	var fields object
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, nil, fmt.Errorf("%s is no valid JSON: %w", configName, err)
	}
	var unknown []string
	for _, f := range fields {
		known, err := c.set(f.key, f.value)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %s: %w", configName, f.key, err)
		}
		if !known {
			unknown = append(unknown, f.key)
		}
	}
	return c, unknown, nil
}

func (c *Config) set(key string, value json.RawMessage) (known bool, err error) {
	if string(value) == "null" {
		return true, nil
	}
	switch key {
	case "root":
		return true, c.setRoot(value)
	case "clean_urls":
		return true, json.Unmarshal(value, &c.CleanURLs)
	case "https_only":
		return true, json.Unmarshal(value, &c.HTTPSOnly)
	case "canonical_host":
		return true, json.Unmarshal(value, &c.CanonicalHost)
	case "error_page":
		return true, json.Unmarshal(value, &c.ErrorPage)
	case "encoding":
		return true, c.setEncoding(value)
	case "basic_auth":
		return true, json.Unmarshal(value, &c.BasicAuth)
	case "basic_auth_htpasswd_path":
		return true, json.Unmarshal(value, &c.Htpasswd)
	case "logging":
		return true, c.setLogging(value)
	case "routes":
		return true, c.setRoutes(value)
	case "redirects":
		return true, c.setRedirects(value)
	case "headers":
		return true, c.setHeaders(value)
	case "proxies":
		return true, c.setProxies(value)
	case "worker_connections", "debug":
		return true, nil // settings of nginx itself
	}
	return false, nil
}

func (c *Config) setRoot(value json.RawMessage) error {
	if err := json.Unmarshal(value, &c.Root); err != nil {
		return err
	}
	c.Root = path.Clean(strings.TrimPrefix(c.Root, "/app/"))
	if !filepath.IsLocal(c.Root) {
		return fmt.Errorf("%q is not inside of the app", c.Root)
	}
	return nil
}

var charset = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

func (c *Config) setEncoding(value json.RawMessage) error {
	if err := json.Unmarshal(value, &c.Encoding); err != nil {
		return err
	}
	if !charset.MatchString(c.Encoding) {
		return fmt.Errorf("%q is no character encoding", c.Encoding)
	}
	return nil
}

func (c *Config) setLogging(value json.RawMessage) error {
	var logging struct {
		Access *bool `json:"access"`
	}
	if err := json.Unmarshal(value, &logging); err != nil {
		return err
	}
	if logging.Access != nil {
		c.AccessLog = *logging.Access
	}
	return nil
}

func (c *Config) setRoutes(value json.RawMessage) error {
	var routes object
	if err := json.Unmarshal(value, &routes); err != nil {
		return err
	}
	for _, r := range routes {
		var file string
		if err := json.Unmarshal(r.value, &file); err != nil {
			return fmt.Errorf("%q must name a file: %w", r.key, err)
		}
		c.Routes = append(c.Routes, Route{Match: glob(r.key), File: path.Clean("/" + file)})
	}
	return nil
}

func (c *Config) setRedirects(value json.RawMessage) error {
	var redirects object
	if err := json.Unmarshal(value, &redirects); err != nil {
		return err
	}
	for _, r := range redirects {
		var to struct {
			URL    string `json:"url"`
			Status int    `json:"status"`
		}
		if err := json.Unmarshal(r.value, &to); err != nil {
			return fmt.Errorf("%q: %w", r.key, err)
		}
		if to.Status == 0 {
			to.Status = http.StatusMovedPermanently
		}
		if to.URL == "" || to.Status < 300 || to.Status > 399 {
			return fmt.Errorf("%q needs a url, and a status from 300 to 399", r.key)
		}
		c.Redirects = append(c.Redirects, Redirect{Path: r.key, URL: to.URL, Status: to.Status})
	}
	return nil
}

func (c *Config) setHeaders(value json.RawMessage) error {
	var rules object
	if err := json.Unmarshal(value, &rules); err != nil {
		return err
	}
	for _, r := range rules {
		var headers object
		if err := json.Unmarshal(r.value, &headers); err != nil {
			return fmt.Errorf("%q: %w", r.key, err)
		}
		rule := HeaderRule{Match: glob(r.key)}
		for _, h := range headers {
			text := string(h.value)
			if err := json.Unmarshal(h.value, &text); err != nil && strings.ContainsAny(text, "[{") {
				return fmt.Errorf("%q: %q must be a string", r.key, h.key)
			}
			if !headerName.MatchString(h.key) || strings.ContainsAny(text, "\r\n\x00") {
				return fmt.Errorf("%q: %q is no header", r.key, h.key)
			}
			rule.Header = append(rule.Header, [2]string{h.key, text})
		}
		c.Headers = append(c.Headers, rule)
	}
	return nil
}

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

func (c *Config) setProxies(value json.RawMessage) error {
	var proxies object
	if err := json.Unmarshal(value, &proxies); err != nil {
		return err
	}
	for _, p := range proxies {
		var to struct {
			Origin string `json:"origin"`
		}
		if err := json.Unmarshal(p.value, &to); err != nil {
			return fmt.Errorf("%q: %w", p.key, err)
		}
		if to.Origin == "" || !strings.HasPrefix(p.key, "/") {
			return fmt.Errorf("%q must be a path and have an origin", p.key)
		}
		c.Proxies = append(c.Proxies, Proxy{Path: p.key, Origin: to.Origin})
	}
	return nil
}

var variable = regexp.MustCompile(`\$\{(\w+)\}`)

// Interpolate puts environment variables into the settings that may name them
// as ${NAME}, and checks what comes out.
func (c *Config) Interpolate(getenv func(string) string) error {
	expand := func(s string) string {
		return variable.ReplaceAllStringFunc(s, func(m string) string { return getenv(m[2 : len(m)-1]) })
	}
	c.CanonicalHost = expand(c.CanonicalHost)
	for i, r := range c.Redirects {
		c.Redirects[i].URL = expand(r.URL)
	}
	for i, p := range c.Proxies {
		origin := expand(p.Origin)
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("%s: proxies: %q: the origin %q is no http or https URL", configName, p.Path, origin)
		}
		c.Proxies[i].Origin = origin
	}
	return nil
}

// glob makes an expression of a path with "*" (within one segment) and "**".
func glob(pattern string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString("^")
	for pattern != "" {
		switch {
		case strings.HasPrefix(pattern, "**"):
			b.WriteString(".*")
			pattern = pattern[2:]
		case pattern[0] == '*':
			b.WriteString("[^/]*")
			pattern = pattern[1:]
		default:
			n := strings.IndexByte(pattern, '*')
			if n < 0 {
				n = len(pattern)
			}
			b.WriteString(regexp.QuoteMeta(pattern[:n]))
			pattern = pattern[n:]
		}
	}
	b.WriteString("$")
	return regexp.MustCompile("(?s)" + strings.ToValidUTF8(b.String(), "\ufffd"))
}

// object is a JSON object that keeps the order of its fields.
type object []field

type field struct {
	key   string
	value json.RawMessage
}

func (o *object) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	open, err := d.Token()
	if err != nil {
		return err
	}
	if open != json.Delim('{') {
		return fmt.Errorf("expected an object")
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		*o = append(*o, field{key: key.(string), value: value})
	}
	_, err = d.Token()
	return err
}
