package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lock makes the caller the only one, in any process, that builds layers of a
// stack, and returns what ends that. It tells waiting when it has to wait.
func (s *Stacks) lock(ctx context.Context, stack string, waiting func()) (func(), error) {
	f, err := os.OpenFile(filepath.Join(s.dir, stack+".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot lock stack %s: %w", stack, err)
	}
	for told := false; ; {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("cannot lock stack %s: %w", stack, err)
		}
		if !told {
			told = true
			waiting()
		}
		// A blocking flock could not be interrupted by ctx.
		select {
		case <-ctx.Done():
			f.Close()
			return nil, context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
