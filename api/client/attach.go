package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/coder/websocket"

	"paas/api"
	v3 "paas/api/v3"
)

// Attach connects to a one-off dyno until its command ends and returns its
// exit status. stdin is read in the background and may still be read once when
// Attach has returned; resize gets the terminal's new sizes, nil says that
// there is no terminal.
func (c *Client) Attach(ctx context.Context, address string, stdin io.Reader, stdout io.Writer, resize <-chan v3.Resize) (int, error) {
	address = "ws" + strings.TrimPrefix(address, "http")
	conn, _, err := websocket.Dial(ctx, address, &websocket.DialOptions{HTTPClient: c.http})
	if err != nil {
		return 0, api.Wrap(api.Unavailable, err, "Cannot connect to the dyno.")
	}
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go sendSizes(ctx, conn, resize)
	go sendInput(ctx, conn, stdin)
	if resize != nil {
		go keepAlive(ctx, conn)
	}
	for {
		kind, b, err := conn.Read(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return 0, ctx.Err()
			}
			return 0, api.Wrap(api.Unavailable, err, "The connection to the dyno broke; its command was stopped.")
		}
		if kind == websocket.MessageBinary {
			if _, err := stdout.Write(b); err != nil {
				return 0, fmt.Errorf("cannot write output: %w", err)
			}
			continue
		}
		var m v3.Control
		if json.Unmarshal(b, &m) == nil && m.Exit != nil {
			if m.Exit.Error != "" {
				return m.Exit.Status, api.Errorf(api.Unavailable, "%s", m.Exit.Error)
			}
			return m.Exit.Status, nil
		}
	}
}

// In a raw terminal Ctrl-C goes to the dyno, so when the network is gone a
// ping that is not answered is the only way out. Without a terminal nothing is
// pinged: there Ctrl-C works, and a server that waits for a dyno to take its
// input answers no ping.
const (
	pingEvery   = 20 * time.Second
	pingTimeout = time.Minute
)

// keepAlive closes a connection whose other side no longer answers.
func keepAlive(ctx context.Context, conn *websocket.Conn) {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		pong, cancel := context.WithTimeout(ctx, pingTimeout)
		err := conn.Ping(pong)
		cancel()
		if err != nil {
			conn.CloseNow() // the reader says so
			return
		}
	}
}

func sendInput(ctx context.Context, conn *websocket.Conn, stdin io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := stdin.Read(buf)
		if n > 0 && conn.Write(ctx, websocket.MessageBinary, buf[:n]) != nil {
			return
		}
		if err != nil {
			sendControl(ctx, conn, v3.Control{EOF: true})
			return
		}
	}
}

func sendSizes(ctx context.Context, conn *websocket.Conn, sizes <-chan v3.Resize) {
	for {
		select {
		case s, ok := <-sizes:
			if !ok {
				return
			}
			sendControl(ctx, conn, v3.Control{Resize: &s})
		case <-ctx.Done():
			return
		}
	}
}

func sendControl(ctx context.Context, conn *websocket.Conn, m v3.Control) {
	if b, err := json.Marshal(m); err == nil {
		// A failure shows at the reader, which reports it.
		_ = conn.Write(ctx, websocket.MessageText, b)
	}
}
