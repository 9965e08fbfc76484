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
// again behind the last line.
func (c *Client) Logs(ctx context.Context, name string, r v3.LogSessionRequest, line func(string) error) error {
	s, err := call[v3.LogSession](ctx, c, request{method: "POST", path: app(name, "log-sessions"), body: r})
	if err != nil {
		return err
	}
	after, wait := "", 100*time.Millisecond
	for {
		err := c.logStream(ctx, s.LogplexURL, &after, line)
		var stop *stopped
		switch {
		case errors.As(err, &stop):
			return stop.err
		case ctx.Err() != nil:
			return ctx.Err()
		case !r.Tail:
			return err
		case api.IDOf(err) == api.NotFound:
			return api.Errorf(api.Gone, "The log stream has ended. Start it again.")
		case err == nil:
			wait = 100 * time.Millisecond
		}
		select {
		case <-time.After(wait):
			wait = min(2*wait, 5*time.Second)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// stopped is an error of the caller's own function.
type stopped struct{ err error }

func (s *stopped) Error() string { return s.err.Error() }

func (c *Client) logStream(ctx context.Context, address string, after *string, line func(string) error) error {
	body, err := c.stream(ctx, address, "text/event-stream", *after)
	if err != nil {
		return err
	}
	defer body.Close()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 4*api.MaxLogLine)
	for lines.Scan() {
		if id, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
			*after = id
		}
		if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			if err := line(text); err != nil {
				return &stopped{err}
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("cannot read log: %w", err)
	}
	return nil
}
