package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"paas/api"
	v3 "paas/api/v3"
)

// Logs calls line for each line of an app's log, until the end of what was
// asked for or, with Tail, until ctx ends. A tail that breaks is taken up
// again behind the last line, also when the server has been restarted and
// knows nothing of the session.
func (c *Client) Logs(ctx context.Context, name string, r v3.LogSessionRequest, line func(string) error) error {
	session := func() (v3.LogSession, error) {
		return call[v3.LogSession](ctx, c, request{method: "POST", path: app(name, "log-sessions"), body: r})
	}
	s, err := session()
	if err != nil {
		return err
	}
	t := &tail{line: line}
	for wait := firstRetry; ; {
		err := t.read(ctx, c, s.LogplexURL)
		var stop *stopped
		switch {
		case errors.As(err, &stop):
			return stop.err
		case ctx.Err() != nil:
			return ctx.Err()
		case !r.Tail || err != nil && !t.begun:
			return err
		case err == nil:
			wait = firstRetry
		}
		select {
		case <-time.After(wait):
			wait = min(2*wait, 5*time.Second)
		case <-ctx.Done():
			return ctx.Err()
		}
		if api.IDOf(err) == api.NotFound {
			next, err := session()
			switch api.IDOf(err) {
			case "":
				s = next
			case api.Unavailable: // down, or on its way up
			default:
				return err
			}
		}
	}
}

const firstRetry = 100 * time.Millisecond

// silence is after how long without so much as a heartbeat (every 20 s) a
// stream counts as broken.
const silence = time.Minute

// tail is what is known of a log stream over its connections.
type tail struct {
	line  func(string) error
	begun bool   // it could be opened once
	after string // id of the last line
}

// stopped is an error of the caller's own function.
type stopped struct{ err error }

func (s *stopped) Error() string { return s.err.Error() }

func (t *tail) read(ctx context.Context, c *Client, address string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body, err := c.stream(ctx, address, "text/event-stream", t.after)
	if err != nil {
		return err
	}
	defer body.Close()
	t.begun = true
	quiet := time.AfterFunc(silence, cancel)
	defer quiet.Stop()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 4*api.MaxLogLine)
	id := ""
	for lines.Scan() {
		quiet.Reset(silence)
		if v, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
			id = v
		}
		if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			if err := t.line(text); err != nil {
				return &stopped{err}
			}
			t.after = id // only now: it may break between the two
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("cannot read log: %w", err)
	}
	return nil
}
