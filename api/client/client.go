// Package client is the typed client of the HTTP API, and the CLI's only way
// in.
//
// # Design
//
// Each noun has a file; each method is one request (or one stream) and returns
// the shapes of api/v3. Errors of the server come back as *api.Error. The
// package links nothing of the server, so that the CLI stays small.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"paas/api"
	v3 "paas/api/v3"
)

// Client calls one server. It may be used concurrently.
type Client struct {
	base  *url.URL
	token string
	http  *http.Client
	agent string
}

// New makes a client of the API at base ("http://127.0.0.1:5000"). The token
// is sent to that address only.
func New(base, token, agent string) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, api.Errorf(api.InvalidParams, "%q is not the address of an API. It looks like http://127.0.0.1:5000", base)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return &Client{base: u, token: token, agent: agent, http: &http.Client{
		// A redirect is reported, not followed: a POST would become a GET.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		// No overall timeout: streams last. Each step of a request is bounded.
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: 3 * time.Minute,
			IdleConnTimeout:       time.Minute,
		},
	}}, nil
}

// request is one call.
type request struct {
	method, path string
	body         any // encoded as JSON; nil = none
	ranges       string
	basic        [2]string // e-mail, password instead of the token
}

func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	var body io.Reader
	if r.body != nil {
		b, err := json.Marshal(r.body)
		if err != nil {
			return nil, fmt.Errorf("cannot encode request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, c.base.String()+r.path, body)
	if err != nil {
		return nil, fmt.Errorf("cannot make request: %w", err)
	}
	req.Header.Set("Accept", "application/vnd.heroku+json; version=3")
	req.Header.Set("User-Agent", c.agent)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.ranges != "" {
		req.Header.Set("Range", r.ranges)
	}
	switch {
	case r.basic[0] != "":
		req.SetBasicAuth(r.basic[0], r.basic[1])
	case c.token != "":
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return c.do(req)
}

func (c *Client) do(req *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		if ctxErr := req.Context().Err(); ctxErr != nil {
			return nil, ctxErr
		}
		return nil, api.Errorf(api.Unavailable, "Cannot reach the API at %s: %v. Is paasd running there?", c.base.Redacted(), err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	if to := resp.Header.Get("Location"); resp.StatusCode < 400 && to != "" {
		return nil, api.Errorf(api.InvalidParams, "%s sends its callers on to %s. Is that the API's address?", c.base.Redacted(), to)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("cannot read answer: %w", err)
	}
	var e v3.Error
	if json.Unmarshal(b, &e) != nil || e.Message == "" {
		return nil, api.Errorf(api.Internal, "%s answered %s, which is not this API. Is the address right?", c.base.Redacted(), resp.Status)
	}
	return nil, &api.Error{ID: api.ErrorID(e.ID), Message: e.Message, Resource: e.Resource}
}

// call sends r and decodes the answer.
func call[T any](ctx context.Context, c *Client, r request) (out T, err error) {
	resp, err := c.send(ctx, r)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return out, fmt.Errorf("cannot read answer: %w", err)
	}
	return out, nil
}

// maxPages bounds how many pages of a list are read.
const maxPages = 100

// pages sends r again for every further page.
func pages[T any](ctx context.Context, c *Client, r request) ([]T, error) {
	all := []T{} // none is [] in JSON
	for range maxPages {
		resp, err := c.send(ctx, r)
		if err != nil {
			return nil, err
		}
		var some []T
		err = json.NewDecoder(resp.Body).Decode(&some)
		resp.Body.Close()
		if err != nil {
			return nil, fmt.Errorf("cannot read answer: %w", err)
		}
		all = append(all, some...)
		if r.ranges = resp.Header.Get("Next-Range"); resp.StatusCode != http.StatusPartialContent || r.ranges == "" {
			break
		}
	}
	return all, nil
}

// stream opens a capability URL of the server (no token is sent) and returns
// its body, which the caller closes.
func (c *Client) stream(ctx context.Context, address, accept, after string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot make request: %w", err)
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", c.agent)
	if after != "" {
		req.Header.Set("Last-Event-ID", after)
	}
	resp, err := c.do(req)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

func app(name string, rest ...string) string {
	p := "/apps/" + url.PathEscape(name)
	for _, r := range rest {
		p += "/" + url.PathEscape(r)
	}
	return p
}
