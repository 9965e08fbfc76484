package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"paas/api"
)

// ask puts a question to the terminal and reads a line; a secret is not shown
// while it is typed. Ctrl-C ends it, which a plain read would not notice.
func (c *Call) ask(ctx context.Context, question string, secret bool) (string, error) {
	fd := int(c.Stdin.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("cannot prepare the terminal: %w", err)
	}
	c.say("%s", question)
	type answer struct {
		text string
		err  error
	}
	got := make(chan answer, 1)
	go func() { // left behind, in a program that ends, if nothing is typed
		if secret {
			b, err := term.ReadPassword(fd)
			got <- answer{string(b), err}
			return
		}
		line, err := readLine(c.Stdin)
		got <- answer{line, err}
	}()
	select {
	case a := <-got:
		if secret {
			c.say("\n")
		}
		return a.text, a.err
	case <-ctx.Done():
		c.say("\n")
		return "", errors.Join(ctx.Err(), term.Restore(fd, before))
	}
}

// readLine reads no byte behind the newline: that belongs to the next
// question.
func readLine(in *os.File) (string, error) {
	var line []byte
	for b := []byte{0}; ; {
		n, err := in.Read(b)
		if n == 1 && b[0] == '\n' || err == io.EOF && len(line) > 0 {
			return strings.TrimSpace(string(line)), nil
		}
		if err != nil {
			return "", err
		}
		line = append(line, b[:n]...)
	}
}

// confirm makes people type the app's name before something is lost.
func (c *Call) confirm(ctx context.Context, name string) error {
	given := c.string("confirm")
	if given == "" {
		if !term.IsTerminal(int(c.Stdin.Fd())) {
			return usagef("This deletes %s and all that it has. To go on, add --confirm %s", name, name)
		}
		var err error
		given, err = c.ask(ctx, fmt.Sprintf(" !    WARNING: This will delete %s including all that it has.\n !    To proceed, type %s: ", name, name), false)
		if err != nil && ctx.Err() == nil {
			return api.Errorf(api.ConfirmationRequired, "Nothing was typed. %s is untouched.", name)
		}
		if err != nil {
			return err
		}
	}
	if given != name {
		return api.Errorf(api.ConfirmationRequired, "Confirmation %q is not %q. Nothing was deleted.", given, name)
	}
	return nil
}
