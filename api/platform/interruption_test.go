package platform_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"paas/api"
	"paas/api/platform"
	"paas/api/store"
	"paas/dyno"
	"paas/dyno/dynotest"
	"paas/router"
)

// These tests are about what happens between two steps: a client that leaves,
// a start, a stop, a write that fails.

func (b *fakeBuilder) blocks() (began, block chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.began, b.block = make(chan struct{}), make(chan struct{})
	return b.began, b.block
}

// What is begun between Start and Run is not a leftover of the last run.
func TestStartTakesNothingNewForALeftover(t *testing.T) {
	w := newWorld(t)
	app := w.app("shop")
	w.stop()
	w.fake.Abandon()
	sup := w.boot()
	settled := make(chan struct{})
	w.Settled = func() { close(settled) }
	if err := w.Start(w.ctx); err != nil {
		t.Fatal(err)
	}
	began, block := w.builder.blocks()
	done := make(chan error, 1)
	go func() { _, _, err := w.push(app, commitA, web); done <- err }()
	<-began
	w.run(sup)
	<-settled
	close(block)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	builds, err := w.Builds(w.ctx, app, 1)
	if err != nil || builds[0].Status != api.Succeeded {
		t.Errorf("%+v, %v", builds, err)
	}
}

// watchedScheduler fails the test if a manifest is applied before somebody
// watches: what that changes could be missed.
type watchedScheduler struct {
	dyno.Scheduler
	t       *testing.T
	watched atomic.Bool
	applied atomic.Bool
}

func (s *watchedScheduler) Watch(ctx context.Context) <-chan struct{} {
	s.watched.Store(true)
	return s.Scheduler.Watch(ctx)
}

func (s *watchedScheduler) Apply(ctx context.Context, m dyno.Manifest) error {
	s.applied.Store(true)
	if !s.watched.Load() {
		s.t.Error("a manifest is applied before anybody watches the dynos")
	}
	return s.Scheduler.Apply(ctx, m)
}

func TestNoChangeOfDynosIsMissedAtTheStart(t *testing.T) {
	w := newWorld(t)
	app := w.app("shop")
	if _, _, err := w.push(app, commitA, web); err != nil {
		t.Fatal(err)
	}
	w.stop()
	w.fake.Abandon()
	sup := w.boot()
	watched := &watchedScheduler{Scheduler: sup, t: t}
	w.Scheduler = watched
	settled := make(chan struct{})
	w.Settled = func() { close(settled) }
	w.run(sup)
	<-settled
	w.routed(app, func(r *router.Route) bool { return len(r.Targets) == 1 })
	if !watched.applied.Load() {
		t.Error("nothing was applied")
	}
}

// One app that cannot be applied does not keep the others from running.
func TestStartWithABrokenApp(t *testing.T) {
	w := newWorld(t)
	broken, fine := w.app("broken"), w.app("fine")
	for _, app := range []api.App{broken, fine} {
		if _, _, err := w.push(app, commitA, web); err != nil {
			t.Fatal(err)
		}
	}
	err := w.store.Update(w.ctx, func(tx store.Tx) error {
		return tx.PutFormation(api.Formation{ID: "1c0e7c2e-6b1f-4c5e-9d54-5b8ad0b0a004", AppID: broken.ID, Type: "web", Quantity: 1, Size: "No-Such-Size"})
	})
	if err != nil {
		t.Fatal(err)
	}
	w.stop()
	w.fake.Abandon()
	w.router = newFakeRouter()
	w.start() // the world's check fails the test if Run returns an error
	w.routed(fine, func(r *router.Route) bool { return len(r.Targets) == 1 })
	w.stop()
}

// A client that leaves just after its change was stored does not leave it half
// in effect.
func TestClientLeavesAfterTheCommit(t *testing.T) {
	w := newWorld(t)
	app := w.app("shop")
	if _, _, err := w.push(app, commitA, web); err != nil {
		t.Fatal(err)
	}
	leaving := func(do func(ctx context.Context) error) {
		t.Helper()
		ctx, leave := context.WithCancel(w.ctx)
		w.hooked.set(nil, leave)
		defer w.hooked.set(nil, nil)
		if err := do(ctx); err != nil {
			t.Fatal(err)
		}
	}
	leaving(func(ctx context.Context) error {
		_, err := w.Scale(ctx, w.who, app, []platform.ScaleUpdate{{Type: "web", Quantity: "3"}})
		return err
	})
	w.routed(app, func(r *router.Route) bool { return len(r.Targets) == 3 })
	leaving(func(ctx context.Context) error {
		on := true
		_, err := w.UpdateApp(ctx, w.who, app, platform.AppChange{Maintenance: &on})
		return err
	})
	w.routed(app, func(r *router.Route) bool { return r.State == router.InMaintenance })
	leaving(func(ctx context.Context) error {
		_, err := w.CreateApp(ctx, w.who, platform.AppRequest{Name: "second"})
		return err
	})
	leaving(func(ctx context.Context) error { return w.DestroyApp(ctx, app) })
	w.router.wait(t, w.ctx, func(t *router.Table) bool {
		return t.Hosts["shop.example.com"] == nil && t.Hosts["second.example.com"] != nil
	})
	changes := w.Scheduler.Watch(w.ctx)
	for len(w.fake.Running()) > 0 {
		select {
		case <-changes:
		case <-w.ctx.Done():
			t.Fatalf("dynos of a destroyed app run on: %v", w.fake.Running())
		}
	}
}

// Destroying an app ends its build first, so that nothing of it comes back
// behind the cleaning.
func TestDestroyDuringABuild(t *testing.T) {
	w := newWorld(t)
	app := w.app("shop")
	began, _ := w.builder.blocks()
	done := make(chan error, 1)
	go func() { _, _, err := w.push(app, commitA, web); done <- err }()
	<-began
	if err := w.DestroyApp(w.ctx, app); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("a destroyed app was deployed")
	}
	w.logs.mu.Lock()
	defer w.logs.mu.Unlock()
	if !w.logs.deleted[app.ID] || len(w.logs.late) > 0 {
		t.Errorf("written to a deleted log: %v", w.logs.late)
	}
	_, err := w.Deploy(w.ctx, platform.Deploy{Who: w.who, App: app, Source: fakeSource{commit: commitA}, Output: &strings.Builder{}})
	if api.IDOf(err) != api.NotFound {
		t.Errorf("a push that comes late: %v", err)
	}
}

func TestDestroyForgetsWhoWaits(t *testing.T) {
	w := newWorld(t)
	app := w.app("shop")
	if _, _, err := w.push(app, commitA, web); err != nil {
		t.Fatal(err)
	}
	_, secret, err := w.RunDyno(w.ctx, w.who, app, platform.RunRequest{Command: "echo hello", Attach: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.DestroyApp(w.ctx, app); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Attach(w.ctx, secret, dyno.Streams{Stdout: &strings.Builder{}}); api.IDOf(err) != api.NotFound {
		t.Errorf("a dyno of a destroyed app was started: %v", err)
	}
}

// Who was told that a build is cancelled does not see it released.
func TestCancelIsKept(t *testing.T) {
	w := newWorld(t)
	app := w.app("shop")
	w.builder.deaf = true
	began, block := w.builder.blocks()
	done := make(chan error, 1)
	go func() { _, _, err := w.push(app, commitA, web); done <- err }()
	<-began
	builds, err := w.Builds(w.ctx, app, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.CancelBuild(w.ctx, app, builds[0].ID); err != nil {
		t.Fatal(err)
	}
	close(block)
	if err := <-done; err == nil || w.fresh(app).Current != 1 {
		t.Errorf("v%d, %v", w.fresh(app).Current, err)
	}
}

// A build whose end could not be stored would hold the app's deploys up for
// ever.
func TestCancelMendsABuildThatIsLeft(t *testing.T) {
	w := newWorld(t)
	app := w.app("shop")
	w.builder.fail = errBroken
	var updates atomic.Int32
	w.hooked.set(func() error {
		if updates.Add(1) > 1 { // all but the build's beginning
			return errors.New("disk full")
		}
		return nil
	}, nil)
	if _, _, err := w.push(app, commitA, web); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	w.hooked.set(nil, nil)
	w.builder.fail = nil
	_, _, err := w.push(app, commitA, web)
	if api.IDOf(err) != api.Conflict || !strings.Contains(err.Error(), "builds:cancel") {
		t.Fatal(err)
	}
	builds, err := w.Builds(w.ctx, app, 1)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := w.CancelBuild(w.ctx, app, builds[0].ID); err != nil || b.Status != api.Failed {
		t.Fatalf("%+v, %v", b, err)
	}
	if _, _, err := w.push(app, commitA, web); err != nil {
		t.Error(err)
	}
}

// The build succeeds in the transaction that makes its release current: there
// is no moment at which a crash, or a full disk, would have one without the
// other.
func TestBuildSucceedsWithItsRelease(t *testing.T) {
	w := newWorld(t)
	app := w.app("shop")
	w.hooked.set(func() error {
		if w.fresh(app).Current > 1 {
			return errors.New("disk full")
		}
		return nil
	}, nil)
	r, out, err := w.push(app, commitA, web)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	builds, err := w.Builds(w.ctx, app, 1)
	if err != nil || builds[0].Status != api.Succeeded || builds[0].ReleaseID != r.ID || builds[0].SlugID != r.SlugID {
		t.Errorf("%+v, %v", builds, err)
	}
}

// A config var whose release failed is set, but does not run: setting it again
// tries again.
func TestSetConfigAgainAfterAFailure(t *testing.T) {
	w := newWorld(t)
	app := w.app("shop")
	if _, _, err := w.push(app, commitA, web); err != nil {
		t.Fatal(err)
	}
	w.fake.FailStarts(func(s dyno.Spec) error {
		if s.Release == 3 {
			return errBroken
		}
		return nil
	})
	value := "1"
	set := func() {
		t.Helper()
		if _, err := w.SetConfig(w.ctx, w.who, app, map[string]*string{"A": &value}); err != nil {
			t.Fatal(err)
		}
	}
	set()
	if r := w.settled(app, 3); r.Status != api.Failed {
		t.Fatalf("%+v", r)
	}
	set()
	if r := w.settled(app, 4); r.Status != api.Succeeded || r.Description != "Set A config vars" {
		t.Fatalf("%+v", r)
	}
	set()
	if all, err := w.Releases(w.ctx, app, 0); err != nil || len(all) != 4 {
		t.Errorf("%d releases, %v", len(all), err)
	}
}

// Config vars that buildpacks suggest are taken for the first release, and
// never win.
func TestSuggestedConfig(t *testing.T) {
	w := newWorld(t)
	app := w.app("shop")
	mine := "mine"
	if _, err := w.SetConfig(w.ctx, w.who, app, map[string]*string{"A": &mine}); err != nil {
		t.Fatal(err)
	}
	w.settled(app, 2)
	w.builder.config = api.ConfigVars{"A": "theirs", "B": "theirs", "PORT": "1"}
	if _, _, err := w.push(app, commitA, web); err != nil {
		t.Fatal(err)
	}
	config, err := w.Config(w.ctx, app)
	if err != nil || len(config) != 2 || config["A"] != "mine" || config["B"] != "theirs" {
		t.Errorf("%v, %v", config.Names(), err)
	}
	w.builder.config = api.ConfigVars{"C": "late"}
	if _, _, err := w.push(app, commitB, web); err != nil {
		t.Fatal(err)
	}
	if config, err := w.Config(w.ctx, app); err != nil || !slices.Equal(config.Names(), []string{"A", "B"}) {
		t.Errorf("%v, %v", config.Names(), err)
	}
}

// Many short looks at logs do not keep the next one out.
func TestLogSessionsMakeRoom(t *testing.T) {
	w := newWorld(t)
	app := w.app("shop")
	var first string
	for n := range 1001 {
		s, err := w.CreateLogSession(app, platform.LogFilter{Lines: 1}, false)
		if err != nil {
			t.Fatalf("session %d: %v", n, err)
		}
		if n == 0 {
			first = s.ID
		}
		if _, err := w.OpenLogSession(w.ctx, s.ID, 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.OpenLogSession(w.ctx, first, 0); api.IDOf(err) != api.NotFound {
		t.Errorf("the oldest session is still there: %v", err)
	}
}

// While the platform stops, a push is told so, and no release is left half-made
// for longer than until the next start.
func TestStopDuringABuild(t *testing.T) {
	w := newWorld(t)
	app := w.app("shop")
	began, _ := w.builder.blocks()
	done := make(chan error, 1)
	var out string
	go func() { _, o, err := w.push(app, commitA, web); out = o; done <- err }()
	<-began
	w.stop()
	if err := <-done; err == nil || !strings.Contains(err.Error(), "restarted") {
		t.Fatalf("%v\n%s", err, out)
	}
	_, err := w.Deploy(w.ctx, platform.Deploy{Who: w.who, App: app, Source: fakeSource{commit: commitA}, Output: &strings.Builder{}})
	if api.IDOf(err) != api.Unavailable {
		t.Errorf("a push after the end: %v", err)
	}
	value := "1"
	if _, err := w.SetConfig(w.ctx, w.who, app, map[string]*string{"A": &value}); err != nil {
		t.Fatal(err)
	}
	w.fake.Abandon()
	w.builder.block = nil
	w.builder.began = nil
	w.start()
	if r := w.settled(app, 2); r.Status != api.Failed {
		t.Errorf("%+v", r)
	}
	if _, _, err := w.push(app, commitA, web); err != nil {
		t.Error(err)
	}
}

// However long a commit message or a description is, dynos can start.
func TestDescriptionsAreCut(t *testing.T) {
	w := newWorld(t)
	app := w.app("shop")
	src := fakeSource{commit: commitA, description: strings.Repeat("x", 1<<20), processes: []api.ProcessType{{Name: "web", Command: dynotest.Listen}}}
	r, err := w.Deploy(w.ctx, platform.Deploy{Who: w.who, App: app, Source: src, Output: &strings.Builder{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range w.fake.Running() {
		if n := len(s.Env["HEROKU_BUILD_DESCRIPTION"]); n != 1000 {
			t.Errorf("%d bytes", n)
		}
	}
	if _, err := w.ReleaseSlug(w.ctx, w.who, app, r.SlugID, strings.Repeat("x", 1001)); api.IDOf(err) != api.InvalidParams {
		t.Error(err)
	}
	// Many changed config vars make a long description.
	changes := map[string]*string{}
	for n := range 1500 {
		value := "1"
		changes["A_RATHER_LONG_NAME_"+strconv.Itoa(n)] = &value
	}
	if _, err := w.SetConfig(w.ctx, w.who, app, changes); err != nil {
		t.Fatal(err)
	}
	if r := w.settled(app, 3); r.Status != api.Succeeded {
		t.Errorf("%+v", r.Status)
	}
	for _, s := range w.fake.Running() {
		if n := len(s.Env["HEROKU_SLUG_DESCRIPTION"]); n > 1000 {
			t.Errorf("%d bytes", n)
		}
	}
}
