package containerd

import (
	"context"
	"os"

	"github.com/fsnotify/fsnotify"
)

// maxEngineLog bounds what the engine writes about itself (errors only).
const maxEngineLog = 4 << 20

// boundLog empties the log when it has grown too long: the engine holds it
// open, in append mode, so it goes on at the beginning.
func boundLog(ctx context.Context, file string) {
	trim := func() {
		if st, err := os.Stat(file); err == nil && st.Size() > maxEngineLog {
			os.Truncate(file, 0)
		}
	}
	trim()
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return // it is trimmed at the engine's next start
	}
	defer w.Close()
	if w.Add(file) != nil {
		return
	}
	for {
		select {
		case <-w.Events:
			trim()
		case <-w.Errors:
		case <-ctx.Done():
			return
		}
	}
}
