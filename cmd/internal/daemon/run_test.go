package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func testConfig(t *testing.T) Config {
	t.Helper()
	c := defaults()
	c.DataDir, c.RunDir = filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "run")
	c.RouterAddr, c.SSHAddr, c.APIAddr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	return c
}

func TestLock(t *testing.T) {
	c := testConfig(t)
	if running(c) {
		t.Error("something runs where nothing is")
	}
	if err := makeDirs(c); err != nil {
		t.Fatal(err)
	}
	unlock, err := lock(c)
	if err != nil {
		t.Fatal(err)
	}
	if !running(c) {
		t.Error("nobody is seen to run")
	}
	pid := filepath.Join(c.RunDir, "paasd.pid")
	if b, err := os.ReadFile(pid); err != nil || string(b) != fmt.Sprintln(os.Getpid()) {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := lock(c); err == nil || !strings.Contains(err.Error(), "another paasd works on it") {
		t.Errorf("locked twice: %v", err)
	}
	if b, err := os.ReadFile(pid); err != nil || len(b) == 0 {
		t.Errorf("the second took the first one's pid file: %q, %v", b, err)
	}
	unlock()
	if running(c) {
		t.Error("somebody runs after the end")
	}
	if _, err := os.Stat(pid); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the pid file is left: %v", err)
	}
	again, err := lock(c)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

// Each port that is taken is named with its setting, and those that were free
// are free again.
func TestListenNamesWhatIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	c := testConfig(t)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.APIAddr = free.Addr().String()
	free.Close()
	c.RouterAddr, c.SSHAddr = taken.Addr().String(), taken.Addr().String()
	_, err = listen(c)
	if err == nil {
		t.Fatal("a port was taken twice")
	}
	for _, want := range []string{c.RouterAddr + " (router_addr): another program uses that port", "Stop it, or set ssh_addr"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
	c.RouterAddr, c.SSHAddr = "127.0.0.1:0", "127.0.0.1:0"
	l, err := listen(c)
	if err != nil {
		t.Fatalf("the API's port was kept: %v", err)
	}
	l.close()
	c.SSHAddr = "192.0.2.1:2222" // of no machine
	if _, err := listen(c); err == nil || !strings.Contains(err.Error(), "192.0.2.1:2222 (ssh_addr)") || strings.Contains(err.Error(), "another program") {
		t.Error(err)
	}
}

func TestEnded(t *testing.T) {
	told, stop := context.WithCancel(t.Context())
	stop()
	cause := errors.New("broken")
	if err := ended(told, "router", cause); err != nil {
		t.Errorf("told to end: %v", err)
	}
	if err := ended(t.Context(), "router", cause); !errors.Is(err, cause) || err.Error() != "router: broken" {
		t.Error(err)
	}
	// A part that just returns would end paasd with status 0, as if asked to.
	if err := ended(t.Context(), "router", nil); err == nil || !strings.Contains(err.Error(), "router") {
		t.Error(err)
	}
}

// The API ends its streams when paasd is told to end, and does not wait for
// them.
func TestServeAPIEndsStreams(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- serveAPI(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintln(w, "begun")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}), slog.New(slog.DiscardHandler))
	}()
	resp, err := http.Get("http://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	stop()
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "begun\n" {
		t.Errorf("%q, %v", b, err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
}

// Dynos get through to their files whatever umask paasd was started with, and
// whatever mode the directories had.
func TestDirectoriesCanBeSearched(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	c := testConfig(t)
	for range 2 {
		if err := makeDirs(c); err != nil {
			t.Fatal(err)
		}
		for dir, want := range map[string]os.FileMode{c.DataDir: 0o711, c.RunDir: 0o711, filepath.Join(c.DataDir, "repos"): 0o700} {
			if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: %v, %v", dir, info.Mode(), err)
			}
		}
		if err := os.Chmod(c.DataDir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
}
