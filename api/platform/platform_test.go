package platform_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"paas/api"
	"paas/api/auth"
	"paas/api/platform"
	"paas/api/store"
	"paas/dyno"
	"paas/dyno/dynotest"
	"paas/router"
)

const (
	commitA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	commitB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	web     = "web: " + dynotest.Listen
)

func TestAppHasReleaseOneFromTheStart(t *testing.T) {
	w := newWorld(t)
	app := w.app("shop")
	r, err := w.Release(w.ctx, app, "v1")
	if err != nil || r.Status != api.Succeeded || r.Description != "Initial release" || !isUUID(r.ID) {
		t.Fatalf("%+v, %v", r, err)
	}
	w.routed(app, func(r *router.Route) bool { return r.State == router.Blank })
	for name, want := range map[string]string{"shop": "already taken", "Shop": "lowercase", "api": "reserved"} {
		_, err := w.CreateApp(w.ctx, w.who, platform.AppRequest{Name: name})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("create %s: %v", name, err)
		}
	}
	if a, err := w.CreateApp(w.ctx, w.who, platform.AppRequest{}); err != nil || api.CheckAppName(a.Name) != nil {
		t.Errorf("made-up name: %q, %v", a.Name, err)
	}
}

func TestDeployRollbackAndConfig(t *testing.T) {
	w := newWorld(t)
	app := w.app("shop")
	r, out, err := w.push(app, commitA, web)
	if err != nil || r.Version != 2 {
		t.Fatalf("v%d, %v\n%s", r.Version, err, out)
	}
	for _, want := range []string{"-----> Launching...", "Released v2", "http://shop.example.com deployed to Heroku", "Verifying deploy... done."} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	w.routed(app, func(r *router.Route) bool { return len(r.Targets) == 1 && r.Targets[0].Name == "web.1" })
	if r, _, err = w.push(app, commitB, web); err != nil || r.Version != 3 {
		t.Fatalf("v%d, %v", r.Version, err)
	}

	value := "1"
	config, err := w.SetConfig(w.ctx, w.who, app, map[string]*string{"A": &value})
	if err != nil || config["A"] != "1" {
		t.Fatal(config, err)
	}
	if r := w.settled(app, 4); r.Status != api.Succeeded || r.Description != "Set A config vars" || r.SlugID == "" {
		t.Fatalf("%+v", r)
	}
	if _, err := w.SetConfig(w.ctx, w.who, app, map[string]*string{"A": &value, "B": nil}); err != nil {
		t.Fatal(err)
	}
	if list, err := w.Releases(w.ctx, app, 0); err != nil || len(list) != 4 {
		t.Fatalf("a change that changes nothing made a release: %d, %v", len(list), err)
	}

	back, err := w.Rollback(w.ctx, w.who, w.fresh(app), "v2")
	if err != nil || back.Version != 5 || back.Description != "Rollback to v2" {
		t.Fatalf("%+v, %v", back, err)
	}
	if r := w.settled(app, 5); r.Status != api.Succeeded {
		t.Fatalf("%+v", r)
	}
	if config, err := w.Config(w.ctx, app); err != nil || len(config) != 0 {
		t.Fatalf("a rollback takes the config vars along: %v, %v", config.Names(), err)
	}
	s, err := w.Slug(w.ctx, w.fresh(app), "current")
	if err != nil || s.Commit != commitA {
		t.Fatalf("%+v, %v", s, err)
	}
	if _, err := w.Rollback(w.ctx, w.who, w.fresh(app), "v1"); api.IDOf(err) != api.InvalidParams {
		t.Fatalf("v1 has no slug: %v", err)
	}
}

// What does not come up must never be noticed by those who use the app.
func TestReleaseThatDoesNotComeUp(t *testing.T) {
	w := newWorld(t)
	app := w.app("shop")
	if _, _, err := w.push(app, commitA, web); err != nil {
		t.Fatal(err)
	}
	var before string
	w.routed(app, func(r *router.Route) bool {
		if len(r.Targets) == 1 {
			before = r.Targets[0].DynoID
		}
		return before != ""
	})
	r, out, err := w.push(app, commitB, "web: echo cannot read settings; exit 3")
	if err == nil {
		t.Fatalf("%+v\n%s", r, out)
	}
	for _, want := range []string{"Release v3 failed", "status 3", "cannot read settings", "was not touched", "Push rejected to shop"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if got := w.fresh(app).Current; got != 2 {
		t.Errorf("current is v%d", got)
	}
	w.routed(app, func(r *router.Route) bool { return len(r.Targets) == 1 && r.Targets[0].DynoID == before })
	failed, err := w.Release(w.ctx, app, "v3")
	if err != nil || failed.Status != api.Failed {
		t.Errorf("%+v, %v", failed, err)
	}
	if _, err := w.Rollback(w.ctx, w.who, w.fresh(app), "v3"); api.IDOf(err) != api.InvalidParams {
		t.Errorf("a failed release can be rolled back to: %v", err)
	}
}

func TestReleasePhase(t *testing.T) {
	w := newWorld(t)
	app := w.app("shop")
	_, out, err := w.push(app, commitA, web, "release: echo migrating")
	if err != nil || !strings.Contains(out, "migrating\n") || !strings.Contains(out, "Release command declared") || !strings.Contains(out, "Waiting for release.... done.") {
		t.Fatalf("%v\n%s", err, out)
	}
	_, out, err = w.push(app, commitB, web, "release: echo half-way; exit 4")
	if err == nil || !strings.Contains(out, "half-way") || !strings.Contains(out, "exit status 4") {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := w.fresh(app).Current; got != 2 {
		t.Errorf("current is v%d", got)
	}
	r, err := w.Release(w.ctx, app, "v3")
	if err != nil {
		t.Fatal(err)
	}
	var kept strings.Builder
	if err := w.Outputs.Copy(w.ctx, r.OutputID, &kept); err != nil || kept.String() != "half-way\n" {
		t.Errorf("kept output %q, %v", kept.String(), err)
	}
	if _, err := w.Scale(w.ctx, w.who, app, []platform.ScaleUpdate{{Type: "release", Quantity: "1"}}); api.IDOf(err) != api.InvalidParams {
		t.Errorf("the release process was scaled: %v", err)
	}
}

func TestBuildsFailAndCancel(t *testing.T) {
	w := newWorld(t)
	app := w.app("shop")
	w.builder.fail = api.Errorf(api.InvalidParams, "No default language could be detected for this app.")
	if _, out, err := w.push(app, commitA, web); err == nil || !strings.Contains(out, "Push rejected to shop") {
		t.Fatalf("%v\n%s", err, out)
	}
	w.builder.fail = errBroken
	_, out, err := w.push(app, commitA, web)
	if !errors.Is(err, errBroken) || strings.Contains(out, "broken") || !strings.Contains(out, "Internal error") {
		t.Fatalf("%v\n%s", err, out)
	}
	builds, err := w.Builds(w.ctx, app, 0)
	if err != nil || len(builds) != 2 || builds[1].Reason == "" || builds[0].Status != api.Failed {
		t.Fatalf("%+v, %v", builds, err)
	}

	w.builder.fail, w.builder.block, w.builder.began = nil, make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() { _, _, err := w.push(app, commitA, web); done <- err }()
	<-w.builder.began
	w.builder.mu.Lock()
	w.builder.began = nil
	w.builder.mu.Unlock()
	if _, _, err := w.push(app, commitB, web); api.IDOf(err) != api.Conflict {
		t.Errorf("a second build beside the first: %v", err)
	}
	builds, err = w.Builds(w.ctx, app, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.CancelBuild(w.ctx, app, builds[0].ID); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil || !strings.Contains(err.Error(), "cancelled") {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := w.CancelBuild(w.ctx, app, builds[0].ID); api.IDOf(err) != api.Conflict {
		t.Errorf("cancelled twice: %v", err)
	}

	gone := make(chan struct{})
	close(gone)
	_, err = w.Deploy(w.ctx, platform.Deploy{Who: w.who, App: app, Source: fakeSource{commit: commitA}, Output: &strings.Builder{}, Abandoned: gone})
	if err == nil || !strings.Contains(err.Error(), "cancelled") {
		t.Errorf("abandoned: %v", err)
	}
}

func TestUnchangedSourceReusesTheSlug(t *testing.T) {
	w := newWorld(t)
	app := w.app("shop")
	first, _, err := w.push(app, commitA, web)
	if err != nil {
		t.Fatal(err)
	}
	second, _, err := w.push(app, commitA, web)
	if err != nil || second.SlugID != first.SlugID || second.Version != 3 {
		t.Fatalf("%+v, %v", second, err)
	}
}

func TestScale(t *testing.T) {
	w := newWorld(t)
	app := w.app("shop")
	if _, err := w.Scale(w.ctx, w.who, app, []platform.ScaleUpdate{{Type: "web", Quantity: "1"}}); err == nil || !strings.Contains(err.Error(), "deploy first") {
		t.Fatal(err)
	}
	if _, _, err := w.push(app, commitA, web, "worker: "+dynotest.Forever); err != nil {
		t.Fatal(err)
	}
	changed, err := w.Scale(w.ctx, w.who, app, []platform.ScaleUpdate{{Type: "web", Quantity: "+2"}, {Type: "worker", Quantity: "1", Size: "standard-2x"}})
	if err != nil || changed[0].Quantity != 3 || changed[1].Size != "Standard-2X" {
		t.Fatalf("%+v, %v", changed, err)
	}
	w.routed(app, func(r *router.Route) bool { return len(r.Targets) == 3 })
	if _, err := w.Scale(w.ctx, w.who, app, []platform.ScaleUpdate{{Type: "web", Quantity: "0"}, {Type: "nope", Quantity: "1"}}); api.IDOf(err) != api.NotFound {
		t.Fatal(err)
	}
	w.routed(app, func(r *router.Route) bool { return len(r.Targets) == 3 }) // all or nothing
	for _, bad := range []string{"x", "-9", "101", "1.5"} {
		if _, err := w.Scale(w.ctx, w.who, app, []platform.ScaleUpdate{{Type: "web", Quantity: bad}}); api.IDOf(err) != api.InvalidParams {
			t.Errorf("quantity %q: %v", bad, err)
		}
	}
	if _, err := w.Scale(w.ctx, w.who, app, []platform.ScaleUpdate{{Type: "web", Quantity: "0"}}); err != nil {
		t.Fatal(err)
	}
	w.routed(app, func(r *router.Route) bool { return r.State == router.NoWeb && len(r.Targets) == 0 })
}

// A restart of paasd fails what was under way and leaves what runs alone.
func TestRestart(t *testing.T) {
	w := newWorld(t)
	app := w.app("shop")
	if _, _, err := w.push(app, commitA, web); err != nil {
		t.Fatal(err)
	}
	starts := w.fake.Starts()
	now := app.CreatedAt
	err := w.store.Update(w.ctx, func(tx store.Tx) error {
		if err := tx.CreateBuild(api.Build{ID: "1c0e7c2e-6b1f-4c5e-9d54-5b8ad0b0a001", AppID: app.ID, Status: api.Pending, CreatedAt: now, UpdatedAt: now}); err != nil {
			return err
		}
		return tx.CreateRelease(api.Release{ID: "1c0e7c2e-6b1f-4c5e-9d54-5b8ad0b0a002", AppID: app.ID, Version: 3, Status: api.Pending, CreatedAt: now, UpdatedAt: now}, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	w.stop()
	w.fake.Abandon()
	w.start()
	if r := w.settled(app, 3); r.Status != api.Failed {
		t.Errorf("%+v", r)
	}
	builds, err := w.Builds(w.ctx, app, 1)
	if err != nil || builds[0].Status != api.Failed || !strings.Contains(builds[0].Reason, "restarted") {
		t.Errorf("%+v, %v", builds, err)
	}
	w.routed(app, func(r *router.Route) bool { return len(r.Targets) == 1 })
	if w.fake.Starts() != starts {
		t.Errorf("%d dynos were started for a restart of paasd", w.fake.Starts()-starts)
	}
}

func TestOneOffDynos(t *testing.T) {
	w := newWorld(t)
	app := w.app("shop")
	if _, _, err := w.RunDyno(w.ctx, w.who, app, platform.RunRequest{Command: "true"}); err == nil || !strings.Contains(err.Error(), "git push") {
		t.Fatal(err)
	}
	if _, _, err := w.push(app, commitA, web); err != nil {
		t.Fatal(err)
	}
	d, secret, err := w.RunDyno(w.ctx, w.who, app, platform.RunRequest{Command: "echo hello; exit 7", Attach: true})
	if err != nil || secret == "" || !strings.HasPrefix(d.Name, "run.") {
		t.Fatalf("%+v, %v", d, err)
	}
	var out strings.Builder
	exit, err := w.Attach(w.ctx, secret, dyno.Streams{Stdout: &out})
	if err != nil || exit.Status != 7 || strings.TrimSpace(out.String()) != "hello" {
		t.Errorf("%+v, %v, %q", exit, err, out.String())
	}
	if _, err := w.Attach(w.ctx, secret, dyno.Streams{Stdout: &out}); api.IDOf(err) != api.NotFound {
		t.Errorf("a secret worked twice: %v", err)
	}
	if !w.logs.has("Starting process with command `echo hello; exit 7` by user ada@example.com") {
		t.Error("the log does not say who ran what")
	}
}

func TestDestroyApp(t *testing.T) {
	w := newWorld(t)
	app := w.app("shop")
	if _, _, err := w.push(app, commitA, web); err != nil {
		t.Fatal(err)
	}
	if err := w.DestroyApp(w.ctx, app); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Find(w.ctx, w.who, "shop", auth.View); api.IDOf(err) != api.NotFound {
		t.Error(err)
	}
	w.router.wait(t, w.ctx, func(t *router.Table) bool { return t.Hosts["shop.example.com"] == nil })
	w.app("shop") // the name is free again
}

func TestOutputsFollow(t *testing.T) {
	outputs, err := platform.OpenOutputs(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const id = "1c0e7c2e-6b1f-4c5e-9d54-5b8ad0b0a003"
	if err := outputs.Copy(context.Background(), id, &strings.Builder{}); api.IDOf(err) != api.NotFound {
		t.Errorf("before it began: %v", err)
	}
	if err := outputs.Copy(context.Background(), "../../etc/passwd", &strings.Builder{}); api.IDOf(err) != api.NotFound {
		t.Errorf("not an id: %v", err)
	}
	o, err := outputs.Create(id)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 1)
	first := &signalWriter{first: make(chan struct{})}
	go func() {
		if err := outputs.Copy(context.Background(), id, first); err != nil {
			t.Error(err)
		}
		seen <- first.String()
	}()
	o.Write([]byte("one\n"))
	<-first.first
	o.Write([]byte("two\n"))
	o.Close()
	if got := <-seen; got != "one\ntwo\n" {
		t.Errorf("%q", got)
	}
	var again strings.Builder
	if err := outputs.Copy(context.Background(), id, &again); err != nil || again.String() != "one\ntwo\n" {
		t.Errorf("%q, %v", again.String(), err)
	}
}

type signalWriter struct {
	strings.Builder
	first chan struct{}
	once  bool
}

func (s *signalWriter) Write(b []byte) (int, error) {
	n, err := s.Builder.Write(b)
	if !s.once {
		s.once = true
		close(s.first)
	}
	return n, err
}
