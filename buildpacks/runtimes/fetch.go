package runtimes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Client is an HTTP client for registries: it retries what may pass, and
// gives up on a connection that stalls.
type Client struct {
	HTTP  *http.Client
	Stall time.Duration // a body that gives no byte for so long is given up
	Pause time.Duration // before the first retry; doubled for the next
}

const attempts = 3

// NewClient returns a Client with the time limits of a build.
func NewClient() *Client {
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
		ForceAttemptHTTP2:     true,
	}
	return &Client{HTTP: &http.Client{Transport: t}, Stall: 30 * time.Second, Pause: 300 * time.Millisecond}
}

// StatusError is an answer that is not 200.
type StatusError struct {
	URL  string
	Code int
}

func (e *StatusError) Error() string { return fmt.Sprintf("%s answered %d", e.URL, e.Code) }

// Absent tells whether err means that the server does not have the thing, as
// opposed to: it could not be asked.
func Absent(err error) bool {
	var s *StatusError
	if !errors.As(err, &s) {
		return false
	}
	switch s.Code {
	case http.StatusNotFound, http.StatusGone, http.StatusForbidden:
		return true // some mirrors answer 403 for what they do not hold
	}
	return false
}

// Get asks for url and hands the body of a 200 to read. After a failure that
// may pass (no connection, 5xx, a body that breaks off) it asks again: read
// must start afresh then.
func (c *Client) Get(ctx context.Context, url string, header http.Header, read func(io.Reader) error) error {
	pause := c.Pause
	for attempt := 1; ; attempt++ {
		err := c.get(ctx, url, header, read)
		if err == nil || ctx.Err() != nil || attempt == attempts || !passing(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause *= 2
	}
}

// broken marks an error of the connection, not of what came over it.
type broken struct{ error }

func (b broken) Unwrap() error { return b.error }

func passing(err error) bool {
	var s *StatusError
	if errors.As(err, &s) {
		return s.Code >= 500 || s.Code == http.StatusTooManyRequests
	}
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return false
	}
	var b broken
	return errors.As(err, &b)
}

func (c *Client) get(ctx context.Context, rawURL string, header http.Header, read func(io.Reader) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, nil)
	if err != nil {
		return err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("User-Agent", "paas-buildpack")
	resp, err := c.HTTP.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // its text repeats the URL, which can hold a password
		}
		return broken{fmt.Errorf("cannot get %s: %w", redact(rawURL), err)}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // lets the connection be used again
		return &StatusError{URL: redact(rawURL), Code: resp.StatusCode}
	}
	body := &watched{r: resp.Body, limit: c.Stall}
	body.timer = time.AfterFunc(c.Stall, func() { cancel() })
	defer body.timer.Stop()
	err = read(body)
	if body.err != nil && body.err != io.EOF {
		return broken{fmt.Errorf("cannot read %s: %w", redact(rawURL), body.err)}
	}
	return err
}

// watched restarts a timer at each byte and remembers how its reader failed.
type watched struct {
	r     io.Reader
	timer *time.Timer
	limit time.Duration
	err   error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if n > 0 {
		w.timer.Reset(w.limit)
	}
	if err != nil {
		w.err = err
	}
	return n, err
}

// redact takes a password out of a URL that is shown.
func redact(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "an invalid URL"
	}
	return u.Redacted()
}

// bounded reads at most limit bytes and fails beyond.
func bounded(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("the answer is larger than %d bytes", limit)
	}
	return data, nil
}
