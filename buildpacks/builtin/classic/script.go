package classic

import (
	"path/filepath"
	"strings"
)

// ProfileScript writes a script that every dyno sources when it starts.
func (c *Call) ProfileScript(name, content string) error {
	return Write(c.Path(".profile.d", name), 0o644, content)
}

// Export writes the script that is sourced before the next buildpack.
func (c *Call) Export(content string) error {
	return Write(filepath.Join(c.PackDir, "export"), 0o644, content)
}

// Quote quotes s for a POSIX shell.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
