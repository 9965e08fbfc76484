package server

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/coder/websocket"

	"paas/api/platform"
	v3 "paas/api/v3"
	"paas/dyno"
)

// attach connects a client to its one-off dyno over a WebSocket (see
// v3.Control for the messages). coder/websocket is small, maintained and
// speaks contexts.
func attach(c *call) error {
	// A browser must not be able to attach from another site; the secret is
	// what authenticates, so the check of the origin stays on.
	conn, err := websocket.Accept(c.Response(), c.Request(), nil)
	if err != nil {
		return nil // Accept has answered
	}
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	ctx, cancel := context.WithCancel(c.Request().Context())
	defer cancel()

	stdin, keys := io.Pipe()
	defer stdin.Close()
	resize := make(chan dyno.WindowSize, 1)
	go func() {
		defer cancel() // the client has gone
		readClient(ctx, conn, keys, resize)
	}()
	if c.server.platform.AwaitsTerminal(c.Param("secret")) {
		firstSize(ctx, resize)
	}
	exit, err := c.server.platform.Attach(ctx, c.Param("secret"), dyno.Streams{
		Stdin: stdin, Stdout: &messages{ctx: ctx, conn: conn}, Resize: resize,
	})
	end := v3.Exit{Status: exit.Status}
	switch {
	case err != nil:
		end = v3.Exit{Status: 1, Error: platform.Reason(err)}
	case exit.Err != nil:
		end.Error = "The dyno was lost."
	}
	b, err := json.Marshal(v3.Control{Exit: &end})
	if err != nil {
		return err
	}
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer stop()
	if err := conn.Write(last, websocket.MessageText, b); err == nil {
		conn.Close(websocket.StatusNormalClosure, "")
	}
	return nil
}

// firstSize waits for the client's first size, so that a full-screen program
// starts with it; a client that sends none waits half a second in vain.
func firstSize(ctx context.Context, resize chan dyno.WindowSize) {
	select {
	case size := <-resize:
		select {
		case resize <- size:
		default: // a newer one has come
		}
	case <-time.After(500 * time.Millisecond):
	case <-ctx.Done():
	}
}

// readClient passes what the client sends on until it has gone.
func readClient(ctx context.Context, conn *websocket.Conn, stdin *io.PipeWriter, resize chan dyno.WindowSize) {
	defer stdin.Close()
	for {
		kind, b, err := conn.Read(ctx)
		if err != nil {
			return
		}
		if kind == websocket.MessageBinary {
			// An error means the dyno takes no more input; the loop goes on, to
			// notice when the client goes.
			_, _ = stdin.Write(b)
			continue
		}
		var m v3.Control
		if json.Unmarshal(b, &m) != nil {
			continue
		}
		if m.EOF {
			stdin.Close()
		}
		if m.Resize != nil {
			select { // only the newest size matters
			case <-resize:
			default:
			}
			select {
			case resize <- dyno.WindowSize{Rows: m.Resize.Rows, Cols: m.Resize.Cols}:
			default:
			}
		}
	}
}

// messages sends each write as one binary message.
type messages struct {
	ctx  context.Context
	conn *websocket.Conn
}

func (m *messages) Write(b []byte) (int, error) {
	return len(b), m.conn.Write(m.ctx, websocket.MessageBinary, b)
}
