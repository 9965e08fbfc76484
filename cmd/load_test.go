package cmd_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load asks an app at a steady rate until it is stopped, half of it with
// keep-alive, half with a new connection each time, and counts what fails.
type load struct {
	sent, failed atomic.Int64
	first        atomic.Pointer[string]
	cancel       context.CancelFunc
	wg           sync.WaitGroup
}

const requestsPerSecond = 500

func (a *app) load() *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{cancel: cancel}
	keep := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext}}
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext}}
	slots := make(chan *http.Client, requestsPerSecond) // bounds what waits
	for range 64 {
		l.wg.Add(1)
		go func() {
			defer l.wg.Done()
			for c := range slots {
				code, body, err := a.tryGet(c, "/")
				l.sent.Add(1)
				if err != nil || code != http.StatusOK || !strings.HasPrefix(body, "v") {
					l.failed.Add(1)
					what := fmt.Sprintf("%d %q %v", code, body, err)
					l.first.CompareAndSwap(nil, &what)
				}
			}
		}()
	}
	l.wg.Add(1)
	go func() {
		defer l.wg.Done()
		defer close(slots)
		tick := time.NewTicker(time.Second / requestsPerSecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			c := keep
			if n%2 == 1 {
				c = fresh
			}
			select {
			case slots <- c:
			case <-ctx.Done():
				return
			}
		}
	}()
	return l
}

func (l *load) stop(t *testing.T) {
	t.Helper()
	l.cancel()
	l.wg.Wait()
	t.Logf("%d requests", l.sent.Load())
	if n := l.failed.Load(); n > 0 {
		t.Errorf("%d of %d requests failed, the first: %s", n, l.sent.Load(), *l.first.Load())
	}
	if l.sent.Load() < 1000 {
		t.Errorf("only %d requests were sent", l.sent.Load())
	}
}

// Not one request fails, whatever is replaced under it.
func TestNoRequestFails(t *testing.T) {
	i := platform(t)
	files := i.serverApp(t)
	files["VERSION"] = "v0"
	a := i.newApp(t, files)
	a.push()
	l := a.load()
	for n := 1; n <= 20; n++ {
		out := a.change(map[string]string{"VERSION": fmt.Sprintf("v%d", n)})
		if !strings.Contains(out, "Verifying deploy... done.") {
			t.Fatal(out)
		}
		a.wants(fmt.Sprintf("v%d ", n)) // what was pushed answers once the push has ended
	}
	a.cmd("config:set", "GREETING=hello")
	a.wants("v20 hello")
	for n := range 10 {
		a.cmd("rollback", fmt.Sprintf("v%d", 2+n%5))
		a.wants(fmt.Sprintf("v%d ", n%5))
	}
	for n := range 10 {
		a.cmd("ps:scale", fmt.Sprintf("web=%d", 1+(n+1)%2*2))
		want := 1 + (n+1)%2*2
		eventually(t, "scaled", func() bool {
			return strings.Count(a.cmd("ps"), "web.") >= want && strings.Count(a.cmd("ps"), " up ") == want
		})
	}
	a.cmd("restart")
	eventually(t, "restarted", func() bool { return strings.Contains(a.cmd("ps"), " up ") })
	l.stop(t)
}
