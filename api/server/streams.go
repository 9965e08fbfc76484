package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"paas/api"
	"paas/api/platform"
	v3 "paas/api/v3"
)

func createLogSession(c *call) error {
	var body v3.LogSessionRequest
	if err := c.decode(&body); err != nil {
		return err
	}
	f := platform.LogFilter{Lines: platform.DefaultLogLines, Dyno: body.Dyno, Source: body.Source}
	if body.Lines != nil {
		f.Lines = *body.Lines
	}
	for _, alias := range []string{body.DynoName, body.Type} {
		if f.Dyno == "" {
			f.Dyno = alias
		}
	}
	s, err := c.server.platform.CreateLogSession(c.app, f, body.Tail)
	if err != nil {
		return err
	}
	return c.reply(http.StatusCreated, v3.LogSession{
		ID: s.ID, LogplexURL: c.url("/streams/logs/" + s.ID), CreatedAt: when(s.Created), UpdatedAt: when(s.Created),
	})
}

// heartbeat keeps proxies from cutting a quiet stream.
const heartbeat = 20 * time.Second

// streamLogs sends server-sent events to clients that accept them (the id of
// an event resumes behind it), plain lines to others.
func streamLogs(c *call) error {
	r := c.Request()
	after, _ := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64)
	session, err := c.server.platform.OpenLogSession(r.Context(), c.Param("session"), after)
	if err != nil {
		return err
	}
	defer session.Close()
	events := strings.Contains(r.Header.Get("Accept"), "text/event-stream")
	c.beginStream(events)
	for {
		ctx, cancel := context.WithTimeout(r.Context(), heartbeat)
		id, line, err := session.Next(ctx)
		cancel()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, context.DeadlineExceeded) && r.Context().Err() == nil:
			if events {
				_, err = io.WriteString(c.Response(), ": heartbeat\n\n")
			} else {
				err = nil
			}
		case err != nil:
			return nil // the client has gone, or the platform stops: the stream just ends
		case events:
			_, err = fmt.Fprintf(c.Response(), "id: %d\ndata: %s\n\n", id, clean(line))
		default:
			_, err = fmt.Fprintf(c.Response(), "%s\n", clean(line))
		}
		if err != nil {
			return nil
		}
		c.Response().Flush()
	}
}

// clean keeps one line one line: a carriage return would end a server-sent
// event's data field.
func clean(l api.LogLine) string { return strings.ReplaceAll(l.String(), "\r", "") }

func streamOutput(c *call) error {
	w := &flusher{c: c}
	err := c.server.platform.Outputs.Copy(c.Request().Context(), c.Param("output"), w)
	if err != nil {
		return err
	}
	if !w.begun {
		c.beginStream(false)
	}
	return nil
}

// flusher sends each write at once, and headers only once there is something.
type flusher struct {
	c     *call
	begun bool
}

func (f *flusher) Write(b []byte) (int, error) {
	if !f.begun {
		f.c.beginStream(false)
		f.begun = true
	}
	n, err := f.c.Response().Write(b)
	f.c.Response().Flush()
	return n, err
}

func (c *call) beginStream(events bool) {
	head := c.Response().Header()
	head.Set("Content-Type", "text/plain; charset=utf-8")
	if events {
		head.Set("Content-Type", "text/event-stream")
	}
	head.Set("Cache-Control", "no-cache")
	head.Set("X-Accel-Buffering", "no")
	c.Response().WriteHeader(http.StatusOK)
	c.Response().Flush()
}
