package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

var keysCommand = &Command{
	Name: "keys", Short: "list your SSH keys", JSON: true,
	Run: func(ctx context.Context, c *Call) error {
		cl, err := c.Client()
		if err != nil {
			return err
		}
		keys, err := cl.Keys(ctx)
		if err != nil {
			return err
		}
		if done, err := c.json(keys); done {
			return err
		}
		if len(keys) == 0 {
			c.say("You have no SSH keys. Add one: paas keys:add\n")
		}
		for _, k := range keys {
			kind, _, _ := strings.Cut(k.PublicKey, " ")
			c.print("%s %s %s\n", kind, k.Fingerprint, k.Comment)
		}
		return nil
	},
}

var keysAddCommand = &Command{
	Name: "keys:add", Args: "[FILE]", Short: "add an SSH key, so that you can push",
	Long: `Without FILE, the first of ~/.ssh/id_ed25519.pub, id_ecdsa.pub and id_rsa.pub.

Examples:
  $ paas keys:add
  $ paas keys:add ~/.ssh/work.pub`,
	Run: func(ctx context.Context, c *Call) error {
		if err := c.args(0, 1); err != nil {
			return err
		}
		file := ""
		if len(c.Args) == 1 {
			file = c.Args[0]
		} else if file = defaultKey(); file == "" {
			return usagef("There is no SSH key in ~/.ssh. Make one: ssh-keygen -t ed25519")
		}
		line, err := readKey(file)
		if err != nil {
			return err
		}
		cl, err := c.Client()
		if err != nil {
			return err
		}
		k, err := cl.AddKey(ctx, line)
		if err != nil {
			return err
		}
		c.say("Added %s (%s)\n", k.Fingerprint, file)
		return nil
	},
}

// readKey reads a public key. A private one that was named by mistake must not
// leave this machine.
func readKey(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("cannot read key: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return "", fmt.Errorf("cannot read key: %w", err)
	}
	line := strings.TrimSpace(string(b))
	if strings.Contains(line, "PRIVATE KEY") {
		return "", usagef("%s is a private key: keep it to yourself. The public one is usually beside it: %s.pub", file, file)
	}
	if line == "" || strings.Contains(line, "\n") {
		return "", usagef("%s is not a public key: one line that begins like ssh-ed25519.", file)
	}
	return line, nil
}

func defaultKey() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	for _, name := range []string{"id_ed25519.pub", "id_ecdsa.pub", "id_rsa.pub"} {
		file := filepath.Join(home, ".ssh", name)
		if _, err := os.Stat(file); err == nil {
			return file
		}
	}
	return ""
}

var keysRemoveCommand = &Command{
	Name: "keys:remove", Args: "KEY", Short: "remove an SSH key, by comment or fingerprint",
	Run: func(ctx context.Context, c *Call) error {
		if err := c.args(1, 1); err != nil {
			return err
		}
		cl, err := c.Client()
		if err != nil {
			return err
		}
		k, err := cl.RemoveKey(ctx, c.Args[0])
		if err != nil {
			return err
		}
		c.say("Removed %s %s\n", k.Fingerprint, k.Comment)
		return nil
	},
}
