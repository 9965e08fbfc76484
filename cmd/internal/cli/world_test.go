package cli_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"paas/api"
	"paas/api/auth"
	"paas/api/platform"
	"paas/api/server"
	"paas/api/store"
	"paas/api/store/sqlstore"
	"paas/dyno"
	"paas/dyno/dynotest"
	"paas/dyno/supervisor"
	"paas/router"
	"paas/slug"
)

// tester is what a world needs of a *testing.T or a running script.
type tester interface {
	Fatal(args ...any)
	Log(args ...any)
	Cleanup(func())
}

// world is the real API over the real use cases, database and supervisor.
// Builds, containers and logs are fakes.
type world struct {
	*platform.Platform
	t       tester
	ctx     context.Context
	http    *httptest.Server
	store   store.Store
	fake    *dynotest.Fake
	builder *fakeBuilder
	logs    *memoryLogs
	who     auth.Principal
	token   string
}

var appRequest = platform.AppRequest{Name: "shop"}

const email = "ada@example.com"

func newWorld(t tester, dir string) *world {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	db, err := sqlstore.Open(ctx, filepath.Join(dir, "paas.db"))
	must(err)
	t.Cleanup(func() { db.Close() })
	outputs, err := platform.OpenOutputs(filepath.Join(dir, "outputs"))
	must(err)
	w := &world{t: t, ctx: ctx, store: db, builder: &fakeBuilder{broken: map[string]bool{}}, logs: newMemoryLogs()}
	w.fake = dynotest.NewFake(dynotest.FakeOptions{Sink: w.logs})
	t.Cleanup(w.fake.Close)
	w.fake.FailStarts(w.builder.refuse)
	sup := supervisor.New(supervisor.Options{
		Runtime: w.fake, Log: func(appID string, l api.LogLine) { w.logs.Write(appID, l) }, Probe: w.fake.Probe,
		Settle: time.Millisecond, StopTimeout: time.Second, BootTimeout: 10 * time.Second,
	})
	w.Platform = platform.New(platform.Options{
		Store: db, Auth: auth.New(auth.Options{Store: db, Passwords: auth.NewPasswords(), Now: time.Now}),
		Builder: w.builder, Slugs: fakeSlugs{}, Scheduler: sup, Router: noRouter{}, Logs: w.logs, Repos: noRepos{},
		Outputs: outputs, Log: slog.New(slog.DiscardHandler), Now: time.Now, Domain: "example.com",
		WebURL: func(app string) string { return "http://" + app + ".example.com/" },
		GitURL: func(app string) string { return "ssh://git@example.com:2222/" + app + ".git" },
		Stacks: []string{slug.DefaultStack, "other"},
	})
	account, err := platform.CreateAccount(ctx, db, time.Now(), email, "Ada", false)
	must(err)
	_, token, err := platform.CreateAuthorization(ctx, db, time.Now(), account, "test", []api.Scope{api.ScopeGlobal}, 0)
	must(err)
	w.token = token.Reveal()
	w.who = auth.Principal{Account: account, Scopes: []api.Scope{api.ScopeGlobal}}
	run, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for _, part := range []func(context.Context) error{sup.Supervise, w.Run} {
		wg.Go(func() {
			if err := part(run); err != nil {
				t.Log(err)
			}
		})
	}
	t.Cleanup(func() { stop(); wg.Wait() })
	w.http = httptest.NewServer(server.New(w.Platform, slog.New(slog.DiscardHandler)))
	t.Cleanup(func() { w.http.CloseClientConnections(); w.http.Close() })
	return w
}

func (w *world) app(name string) api.App {
	app, err := w.Find(w.ctx, w.who, name, auth.View)
	if err != nil {
		w.t.Fatal(err)
	}
	return app
}

// deploy does what a push of a commit with that Procfile does.
func (w *world) deploy(app, commit, procfile string) error {
	src := fakeSource{commit: commit}
	for line := range strings.Lines(procfile) {
		if name, command, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			src.processes = append(src.processes, api.ProcessType{Name: name, Command: command})
		}
	}
	_, err := w.Deploy(w.ctx, platform.Deploy{Who: w.who, App: w.app(app), Source: src, Output: io.Discard})
	return err
}

// until waits for a condition of the app's dynos.
func (w *world) until(app string, what string, ok func([]api.Dyno) bool) {
	a := w.app(app)
	changes := w.Scheduler.Watch(w.ctx)
	for !ok(w.Dynos(a)) {
		select {
		case <-changes:
		case <-w.ctx.Done():
			w.t.Fatal("waited in vain for ", what, ": ", fmt.Sprint(w.Dynos(a)))
		}
	}
}

func (w *world) untilUp(app, processType string, n int) {
	w.until(app, fmt.Sprintf("%d %s up", n, processType), func(dynos []api.Dyno) bool {
		up := 0
		for _, d := range dynos {
			if d.Type == processType {
				if d.State != api.Up {
					return false
				}
				up++
			}
		}
		return up == n
	})
}

type fakeSource struct {
	commit    string
	processes []api.ProcessType
}

func (s fakeSource) Revision() slug.Revision              { return slug.Revision{Commit: s.commit, Tree: s.commit} }
func (s fakeSource) Export(context.Context, string) error { return nil }

// fakeBuilder makes a slug of a fakeSource's processes. A commit that begins
// with "bad" does not build.
type fakeBuilder struct {
	mu     sync.Mutex
	broken map[string]bool // digests whose dynos no longer start
}

func digest(commit string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(commit))) }

func (b *fakeBuilder) Build(_ context.Context, r slug.BuildRequest) (slug.BuildResult, error) {
	src := r.Source.(fakeSource)
	fmt.Fprintf(r.Output, "-----> Building on the %s stack\n", r.Stack)
	if strings.HasPrefix(src.commit, "bad") {
		return slug.BuildResult{}, api.Errorf(api.InvalidParams, "Push rejected, failed to compile Fake app.")
	}
	return slug.BuildResult{Slug: api.Slug{
		Key: src.commit, Digest: digest(src.commit), Stack: r.Stack, Commit: src.commit, CommitDescription: "Make it \x1b[31mred",
		Size: 3 << 20, Processes: src.processes, Buildpacks: []string{"heroku/fake"},
	}}, nil
}

func (b *fakeBuilder) PurgeCache(context.Context, string) error { return nil }

func (b *fakeBuilder) breakCommit(commit string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken[digest(commit)] = true
}

func (b *fakeBuilder) refuse(s dyno.Spec) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken[s.Image] {
		return errors.New("broken on purpose")
	}
	return nil
}

type fakeSlugs struct{}

func (fakeSlugs) Info(_ context.Context, digest string) (slug.Info, error) {
	return slug.Info{Layers: []slug.Layer{{Name: "app", Digest: digest, Size: 3 << 20}}}, nil
}
func (fakeSlugs) Export(_ context.Context, digest, name string, w io.Writer) error {
	_, err := fmt.Fprintf(w, "image %s of %s\n", digest, name)
	return err
}
func (fakeSlugs) Collect(context.Context, []string) (int64, error) { return 0, nil }

type noRouter struct{}

func (noRouter) Publish(*router.Table) {}

type noRepos struct{}

func (noRepos) Delete(string) error { return nil }
func (noRepos) Size(string) int64   { return 2048 }

// memoryLogs is a log hub, and the sink of the runtime.
type memoryLogs struct {
	mu    sync.Mutex
	lines []appLine // the id of a line is its place, from 1
	grown chan struct{}
}

type appLine struct {
	app string
	api.LogLine
}

func newMemoryLogs() *memoryLogs { return &memoryLogs{grown: make(chan struct{})} }

func (m *memoryLogs) Write(app string, lines ...api.LogLine) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range lines {
		m.lines = append(m.lines, appLine{app, l})
	}
	close(m.grown)
	m.grown = make(chan struct{})
}

func (m *memoryLogs) Append(app, _ string, _ int64, lines []api.LogLine) error {
	m.Write(app, lines...)
	return nil
}
func (m *memoryLogs) Offset(string, string) (int64, error) { return 0, nil }
func (m *memoryLogs) Forget(string, string) error          { return nil }
func (m *memoryLogs) Delete(string) error                  { return nil }

func (m *memoryLogs) Tail(_ context.Context, app string, f platform.LogFilter, follow bool) (platform.LogSession, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &memorySession{logs: m, app: app, filter: f, follow: follow, next: int(f.After)}
	if f.After == 0 {
		s.next = len(m.lines)
		for found := 0; found < f.Lines && s.next > 0; {
			s.next--
			if s.wants(m.lines[s.next]) {
				found++
			}
		}
	}
	return s, nil
}

type memorySession struct {
	logs   *memoryLogs
	app    string
	filter platform.LogFilter
	follow bool
	next   int
}

func (s *memorySession) wants(l appLine) bool {
	d := s.filter.Dyno
	return l.app == s.app && (s.filter.Source == "" || l.Source == s.filter.Source) &&
		(d == "" || l.Proc == d || strings.HasPrefix(l.Proc, d+"."))
}

func (s *memorySession) Next(ctx context.Context) (int64, api.LogLine, error) {
	for {
		s.logs.mu.Lock()
		for s.next < len(s.logs.lines) {
			l := s.logs.lines[s.next]
			s.next++
			if s.wants(l) {
				s.logs.mu.Unlock()
				return int64(s.next), l.LogLine, nil
			}
		}
		grown := s.logs.grown
		s.logs.mu.Unlock()
		if !s.follow {
			return 0, api.LogLine{}, io.EOF
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return 0, api.LogLine{}, ctx.Err()
		}
	}
}
func (s *memorySession) Close() error { return nil }

var _ tester = (*testing.T)(nil)
