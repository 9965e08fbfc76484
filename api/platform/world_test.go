package platform_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"paas/api"
	"paas/api/auth"
	"paas/api/platform"
	"paas/api/store"
	"paas/api/store/sqlstore"
	"paas/dyno"
	"paas/dyno/dynotest"
	"paas/dyno/supervisor"
	"paas/router"
	"paas/slug"
)

// world is a platform on a real database and the real supervisor; builds and
// containers are fakes.
type world struct {
	*platform.Platform
	t       *testing.T
	ctx     context.Context
	store   store.Store
	hooked  *hookedStore // what the platform works on
	fake    *dynotest.Fake
	builder *fakeBuilder
	router  *fakeRouter
	logs    *fakeLogs
	who     auth.Principal
	stop    func() // ends paasd's part of the world; dynos run on
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	db, err := sqlstore.Open(ctx, filepath.Join(t.TempDir(), "paas.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	w := &world{t: t, ctx: ctx, store: db, hooked: &hookedStore{Store: db}, builder: &fakeBuilder{}, router: newFakeRouter(), logs: &fakeLogs{}}
	w.fake = dynotest.NewFake(dynotest.FakeOptions{Sink: w.logs})
	t.Cleanup(w.fake.Close)
	a, err := platform.CreateAccount(ctx, db, time.Now(), "ada@example.com", "Ada", false)
	if err != nil {
		t.Fatal(err)
	}
	w.who = auth.Principal{Account: a, Scopes: []api.Scope{api.ScopeGlobal}}
	w.start()
	return w
}

// start runs a new platform and supervisor on what the world has.
func (w *world) start() { w.run(w.boot()) }

// boot makes them.
func (w *world) boot() *supervisor.Supervisor {
	w.t.Helper()
	outputs, err := platform.OpenOutputs(w.t.TempDir())
	if err != nil {
		w.t.Fatal(err)
	}
	sup := supervisor.New(supervisor.Options{
		Runtime: w.fake, Log: func(appID string, l api.LogLine) { w.logs.Write(appID, l) }, Probe: w.fake.Probe,
		Settle: time.Millisecond, StopTimeout: time.Second, BootTimeout: 5 * time.Second,
	})
	w.Platform = platform.New(platform.Options{
		Store: w.hooked, Auth: auth.New(auth.Options{Store: w.store, Passwords: auth.NewPasswords(), Now: time.Now}),
		Builder: w.builder, Slugs: fakeSlugs{}, Scheduler: sup, Router: w.router, Logs: w.logs, Repos: fakeRepos{},
		Outputs: outputs, Log: slog.New(slog.DiscardHandler), Now: time.Now, Domain: "example.com",
		WebURL: func(app string) string { return "http://" + app + ".example.com" },
		GitURL: func(app string) string { return "git@example.com:" + app + ".git" },
		Stacks: []string{slug.DefaultStack, "other"},
	})
	return sup
}

func (w *world) run(sup *supervisor.Supervisor) {
	ctx, cancel := context.WithCancel(w.ctx)
	var wg sync.WaitGroup
	wg.Add(2)
	go func() { defer wg.Done(); w.check(sup.Supervise(ctx)) }()
	go func() { defer wg.Done(); w.check(w.Run(ctx)) }()
	w.stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	w.t.Cleanup(w.stop)
}

func (w *world) check(err error) {
	if err != nil {
		w.t.Error(err)
	}
}

func (w *world) app(name string) api.App {
	w.t.Helper()
	app, err := w.CreateApp(w.ctx, w.who, platform.AppRequest{Name: name})
	if err != nil {
		w.t.Fatal(err)
	}
	return app
}

// fresh reads an app again.
func (w *world) fresh(app api.App) api.App {
	w.t.Helper()
	app, err := w.Find(w.ctx, w.who, app.ID, auth.View)
	if err != nil {
		w.t.Fatal(err)
	}
	return app
}

// push deploys a commit whose Procfile is processes ("web: cmd"), and returns
// what the pusher saw.
func (w *world) push(app api.App, commit string, processes ...string) (api.Release, string, error) {
	var out strings.Builder
	src := fakeSource{commit: commit}
	for _, p := range processes {
		name, cmd, _ := strings.Cut(p, ": ")
		src.processes = append(src.processes, api.ProcessType{Name: name, Command: cmd})
	}
	r, err := w.Deploy(w.ctx, platform.Deploy{Who: w.who, App: w.fresh(app), Source: src, Output: &out})
	return r, out.String(), err
}

// settled waits until a release is no longer pending.
func (w *world) settled(app api.App, version int) api.Release {
	w.t.Helper()
	changes := w.store.Changes(w.ctx)
	for {
		r, err := w.Release(w.ctx, app, fmt.Sprint(version))
		if err != nil {
			w.t.Fatal(err)
		}
		if r.Status != api.Pending {
			return r
		}
		select {
		case <-changes:
		case <-w.ctx.Done():
			w.t.Fatalf("v%d is still pending", version)
		}
	}
}

// routed waits until the app's route looks right.
func (w *world) routed(app api.App, ok func(*router.Route) bool) {
	w.t.Helper()
	w.router.wait(w.t, w.ctx, func(t *router.Table) bool {
		r := t.Hosts[app.Name+".example.com"]
		return r != nil && ok(r)
	})
}

// hookedStore calls before, whose error it returns, and after around each
// Update.
type hookedStore struct {
	store.Store
	mu     sync.Mutex
	before func() error
	after  func()
}

func (h *hookedStore) set(before func() error, after func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.before, h.after = before, after
}

func (h *hookedStore) Update(ctx context.Context, fn func(store.Tx) error) error {
	h.mu.Lock()
	before, after := h.before, h.after
	h.mu.Unlock()
	if before != nil {
		if err := before(); err != nil {
			return err
		}
	}
	err := h.Store.Update(ctx, fn)
	if after != nil {
		after()
	}
	return err
}

type fakeSource struct {
	commit      string
	description string
	processes   []api.ProcessType
}

func (s fakeSource) Revision() slug.Revision              { return slug.Revision{Commit: s.commit, Tree: s.commit} }
func (s fakeSource) Export(context.Context, string) error { return nil }

// fakeBuilder makes a slug out of a fakeSource's processes.
type fakeBuilder struct {
	mu     sync.Mutex
	fail   error
	block  chan struct{} // closed = go on
	began  chan struct{}
	deaf   bool // it does not notice that it is cancelled
	config api.ConfigVars
	builds int
}

func (b *fakeBuilder) Build(ctx context.Context, r slug.BuildRequest) (slug.BuildResult, error) {
	b.mu.Lock()
	b.builds++
	fail, block, began, deaf, config := b.fail, b.block, b.began, b.deaf, b.config
	b.mu.Unlock()
	src := r.Source.(fakeSource)
	if s, ok := r.Reuse(src.commit); ok {
		return slug.BuildResult{Slug: s, Reused: true}, nil
	}
	if began != nil {
		close(began)
	}
	if deaf {
		<-block
	} else if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return slug.BuildResult{}, context.Cause(ctx)
		}
	}
	if fail != nil {
		return slug.BuildResult{}, fail
	}
	fmt.Fprintln(r.Output, "-----> Building")
	return slug.BuildResult{Config: config, Slug: api.Slug{
		Key: src.commit, Digest: "sha256:" + strings.Repeat(src.commit[:1], 64), Stack: r.Stack, Commit: src.commit, CommitDescription: src.description,
		Processes: src.processes, Buildpacks: []string{"heroku/fake"},
	}}, nil
}

func (b *fakeBuilder) PurgeCache(context.Context, string) error { return nil }

type fakeSlugs struct{}

func (fakeSlugs) Info(context.Context, string) (slug.Info, error)         { return slug.Info{}, nil }
func (fakeSlugs) Export(context.Context, string, string, io.Writer) error { return nil }
func (fakeSlugs) Collect(context.Context, []string) (int64, error)        { return 0, nil }

type fakeRepos struct{}

func (fakeRepos) Delete(string) error { return nil }
func (fakeRepos) Size(string) int64   { return 0 }

// fakeRouter remembers the last table and tells when there is a new one.
type fakeRouter struct {
	mu    sync.Mutex
	table *router.Table
	next  chan struct{}
}

func newFakeRouter() *fakeRouter {
	return &fakeRouter{next: make(chan struct{}), table: &router.Table{}}
}

func (f *fakeRouter) Publish(t *router.Table) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.table = t
	close(f.next)
	f.next = make(chan struct{})
}

func (f *fakeRouter) wait(t *testing.T, ctx context.Context, ok func(*router.Table) bool) {
	t.Helper()
	for {
		f.mu.Lock()
		table, next := f.table, f.next
		f.mu.Unlock()
		if ok(table) {
			return
		}
		select {
		case <-next:
		case <-ctx.Done():
			t.Fatal("the router was never told")
		}
	}
}

// fakeLogs keeps all lines of all apps; it is also the runtime's sink.
type fakeLogs struct {
	mu      sync.Mutex
	lines   []api.LogLine
	deleted map[string]bool
	late    []api.LogLine // came for a deleted app
}

func (f *fakeLogs) Write(appID string, lines ...api.LogLine) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.deleted[appID] {
		f.late = append(f.late, lines...)
	}
	f.lines = append(f.lines, lines...)
}

func (f *fakeLogs) Append(appID, _ string, _ int64, lines []api.LogLine) error {
	f.Write(appID, lines...)
	return nil
}
func (f *fakeLogs) Offset(string, string) (int64, error) { return 0, nil }
func (f *fakeLogs) Forget(string, string) error          { return nil }
func (f *fakeLogs) Delete(appID string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.deleted == nil {
		f.deleted = map[string]bool{}
	}
	f.deleted[appID] = true
	return nil
}

func (f *fakeLogs) Tail(_ context.Context, _ string, filter platform.LogFilter, _ bool) (platform.LogSession, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &fakeSession{lines: slices.DeleteFunc(slices.Clone(f.lines), func(l api.LogLine) bool {
		return filter.Dyno != "" && l.Proc != filter.Dyno
	})}, nil
}

func (f *fakeLogs) has(text string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.lines, func(l api.LogLine) bool { return strings.Contains(l.Message, text) })
}

type fakeSession struct {
	lines []api.LogLine
	n     int64
}

func (s *fakeSession) Next(context.Context) (int64, api.LogLine, error) {
	if len(s.lines) == 0 {
		return 0, api.LogLine{}, io.EOF
	}
	l := s.lines[0]
	s.lines = s.lines[1:]
	s.n++
	return s.n, l, nil
}
func (s *fakeSession) Close() error { return nil }

var errBroken = errors.New("broken")

func isUUID(s string) bool { _, err := uuid.Parse(s); return err == nil }

var _ dyno.LogSink = (*fakeLogs)(nil)
