//go:build unix

package cli

import (
	"os"
	"os/signal"
	"syscall"
)

// sizeChanges gets a value when the terminal has a new size.
func sizeChanges() (<-chan os.Signal, func()) {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	return changed, func() { signal.Stop(changed) }
}
