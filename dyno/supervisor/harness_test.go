package supervisor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"paas/api"
	"paas/dyno"
	"paas/dyno/dynotest"
)

const appID = "11111111-1111-4111-8111-111111111111"

// bench is a Supervisor over a Fake, in a bubble whose clock jumps.
type bench struct {
	*testing.T
	*Supervisor
	fake   *dynotest.Fake
	cancel context.CancelFunc
	done   chan error

	mu    sync.Mutex
	lines []string // "web.1: text"
}

// inBubble runs a test with a Supervisor whose time is the bubble's.
func inBubble(t *testing.T, f dynotest.FakeOptions, o Options, test func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{T: t, fake: dynotest.NewFake(f), done: make(chan error, 1)}
		defer b.fake.Close()
		b.begin(o)
		defer b.end()
		test(t, b)
	})
}

func (b *bench) begin(o Options) {
	o.Runtime, o.Probe = b.fake, b.fake.Probe
	o.Log = func(app string, l api.LogLine) {
		if l.Source != api.SourcePlatform || l.Time.After(time.Now()) {
			b.Errorf("line %v", l)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.lines = append(b.lines, l.Proc+": "+l.Message)
	}
	b.Supervisor = New(o)
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	go func() { b.done <- b.Supervise(ctx) }()
	<-b.Adopted()
	synctest.Wait()
}

func (b *bench) end() {
	b.cancel()
	if err := <-b.done; err != nil {
		b.Error("Supervise:", err)
	}
}

// said returns the lines of the log since the last call.
func (b *bench) said() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := strings.Join(b.lines, "\n")
	b.lines = nil
	return s
}

func (b *bench) wantSaid(what string, lines ...string) {
	b.Helper()
	synctest.Wait()
	if got, want := b.said(), strings.Join(lines, "\n"); got != want {
		b.Errorf("%s: the log is\n%s\nwant\n%s", what, got, want)
	}
}

// apply takes releases of "type quantity command" lines.
func (b *bench) apply(current, candidate *dyno.Release) {
	b.Helper()
	if err := b.Apply(b.Context(), dyno.Manifest{AppID: appID, AppName: "app", Current: current, Candidate: candidate}); err != nil {
		b.Fatal(err)
	}
	synctest.Wait()
}

func (b *bench) ready(version int) {
	b.Helper()
	if err := b.Ready(b.Context(), appID, version); err != nil {
		b.Fatal(err)
	}
	synctest.Wait()
}

func rel(version int, processes ...string) *dyno.Release {
	r := &dyno.Release{Version: version, Image: fmt.Sprint("sha256:", version)}
	for _, line := range processes {
		parts := strings.SplitN(line, " ", 3)
		var n int
		_, _ = fmt.Sscan(parts[1], &n)
		r.Processes = append(r.Processes, dyno.Process{Type: parts[0], Quantity: n, Command: parts[2], Size: api.DynoSizes()[2]})
	}
	return r
}

func (b *bench) wantDynos(want string) {
	b.Helper()
	synctest.Wait()
	var all []string
	for _, i := range b.Dynos(appID) {
		all = append(all, fmt.Sprintf("%s v%d %s", i.Name, i.Release, i.State))
	}
	if got := strings.Join(all, ", "); got != want {
		b.Errorf("there are %q, want %q", got, want)
	}
}

func (b *bench) id(name string) string {
	b.Helper()
	list := b.Dynos(appID)
	n := slices.IndexFunc(list, func(i dyno.Instance) bool { return i.Name == name && !i.Retired })
	if n < 0 {
		b.Fatalf("no dyno %s", name)
	}
	return list[n].ID
}

// after lets time pass, and everything that happens then.
func (b *bench) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
