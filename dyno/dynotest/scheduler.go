package dynotest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"paas/api"
	"paas/dyno"
)

// SchedulerHarness is a dyno.Scheduler under test.
type SchedulerHarness struct {
	Scheduler dyno.Scheduler
	// Image and Size are ones that start.
	Image string
	Size  api.DynoSize
	// Restart ends the scheduler, and returns the one that a new paasd would
	// make over what the old one left running.
	Restart func(t *testing.T) dyno.Scheduler
}

// RunScheduler holds a scheduler to the contract of dyno.Scheduler. newHarness
// is called for each test; what it makes is cleaned up by t.Cleanup. Dynos
// should be given about a second to stop, not the 30 of production.
func RunScheduler(t *testing.T, newHarness func(t *testing.T) SchedulerHarness) {
	tests := []struct {
		name string
		run  func(*schedulerTest)
	}{
		{"Formation", (*schedulerTest).formation},
		{"ApplyIsIdempotent", (*schedulerTest).idempotent},
		{"ApplyRejectsNonsense", (*schedulerTest).nonsense},
		{"Scale", (*schedulerTest).scale},
		{"Resize", (*schedulerTest).resize},
		{"Rollout", (*schedulerTest).rollout},
		{"RolloutOfFirstRelease", (*schedulerTest).firstRollout},
		{"RolloutFails", (*schedulerTest).rolloutFails},
		{"RolloutOfMissingImage", (*schedulerTest).rolloutMissingImage},
		{"RolloutReplacedByAnother", (*schedulerTest).rolloutReplaced},
		{"ReadyOfUnknown", (*schedulerTest).readyUnknown},
		{"Restart", (*schedulerTest).restart},
		{"RestartNothing", (*schedulerTest).restartNothing},
		{"Stop", (*schedulerTest).stop},
		{"CrashIsRestarted", (*schedulerTest).crash},
		{"OneOff", (*schedulerTest).oneOff},
		{"OneOffAttached", (*schedulerTest).oneOffAttached},
		{"OneOffNames", (*schedulerTest).oneOffNames},
		{"OneOffStop", (*schedulerTest).oneOffStop},
		{"OneOffTimeToLive", (*schedulerTest).oneOffTimeToLive},
		{"OneOffDoesNotStart", (*schedulerTest).oneOffMissingImage},
		{"Remove", (*schedulerTest).remove},
		{"RestartOfPaasd", (*schedulerTest).adopt},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), bound)
			defer cancel()
			h := newHarness(t)
			test.run(&schedulerTest{T: t, h: h, s: h.Scheduler, ctx: ctx, app: uuid.NewString()})
		})
	}
}

type schedulerTest struct {
	*testing.T
	h   SchedulerHarness
	s   dyno.Scheduler
	ctx context.Context
	app string
}

// release makes a release of "type quantity command" lines.
func (t *schedulerTest) release(version int, processes ...string) *dyno.Release {
	r := &dyno.Release{Version: version, Image: t.h.Image, Env: api.ConfigVars{"GREETING": "hello"}}
	for _, line := range processes {
		parts := strings.SplitN(line, " ", 3)
		var n int
		if _, err := fmt.Sscan(parts[1], &n); err != nil {
			t.Fatal(err)
		}
		r.Processes = append(r.Processes, dyno.Process{Type: parts[0], Quantity: n, Command: parts[2], Size: t.h.Size})
	}
	return r
}

func (t *schedulerTest) apply(current, candidate *dyno.Release) {
	t.Helper()
	m := dyno.Manifest{AppID: t.app, AppName: "app", Current: current, Candidate: candidate}
	if err := t.s.Apply(t.ctx, m); err != nil {
		t.Fatal("Apply:", err)
	}
}

func (t *schedulerTest) ready(version int) {
	t.Helper()
	if err := t.s.Ready(t.ctx, t.app, version); err != nil {
		t.Fatalf("Ready of v%d: %v", version, err)
	}
}

func (t *schedulerTest) up(r *dyno.Release) map[string]dyno.Instance {
	t.Helper()
	t.apply(r, nil)
	t.ready(r.Version)
	return t.dynos()
}

// dynos are those that may serve, by name.
func (t *schedulerTest) dynos() map[string]dyno.Instance {
	m := map[string]dyno.Instance{}
	for _, i := range t.s.Dynos(t.app) {
		if !i.Retired {
			m[i.Name] = i
		}
	}
	return m
}

func describe(list []dyno.Instance) string {
	var all []string
	for _, i := range list {
		d := fmt.Sprintf("%s v%d %s", i.Name, i.Release, i.State)
		if i.Retired {
			d += " retired"
		}
		all = append(all, d)
	}
	return strings.Join(all, ", ")
}

// eventually waits until what Dynos reports is as wanted ("web.1 v1 up, ...").
func (t *schedulerTest) eventually(want string) {
	t.Helper()
	t.until(want, func(list []dyno.Instance) bool { return describe(list) == want })
}

func (t *schedulerTest) until(what string, ok func([]dyno.Instance) bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	changed := t.s.Watch(ctx)
	for {
		list := t.s.Dynos(t.app)
		if ok(list) {
			return
		}
		select {
		case <-changed:
		case <-t.ctx.Done():
			t.Fatalf("there never was %q, but in the end %q", what, describe(list))
		}
	}
}

// always fails the test if ok is false at any change until stop is called.
func (t *schedulerTest) always(what string, ok func([]dyno.Instance) bool) (stop func()) {
	ctx, cancel := context.WithCancel(t.ctx)
	changed := t.s.Watch(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if list := t.s.Dynos(t.app); !ok(list) {
				t.Errorf("not always %s: %s", what, describe(list))
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { cancel(); <-done }
}

func serving(version int) func([]dyno.Instance) bool {
	return func(list []dyno.Instance) bool {
		return slices.ContainsFunc(list, func(i dyno.Instance) bool {
			return i.Type == api.Web && i.State == api.Up && !i.Retired && i.Release == version && i.Addr.IsValid()
		})
	}
}

func (t *schedulerTest) sameIDs(what string, before, after map[string]dyno.Instance, names ...string) {
	t.Helper()
	for _, n := range names {
		if before[n].ID == "" || before[n].ID != after[n].ID {
			t.Errorf("%s: %s was restarted", what, n)
		}
	}
}

func (t *schedulerTest) formation() {
	got := t.up(t.release(3, "web 2 "+Listen, "worker 1 "+Forever, "clock 0 "+Forever))
	t.eventually("web.1 v3 up, web.2 v3 up, worker.1 v3 up")
	for name, i := range got {
		if i.AppID != t.app || i.ID == "" || i.Command == "" || i.Size != t.h.Size.Name || i.CreatedAt.IsZero() || i.UpdatedAt.IsZero() {
			t.Errorf("%s is described as %+v", name, i)
		}
	}
	if a, b := got["web.1"].Addr, got["web.2"].Addr; !a.IsValid() || a == b {
		t.Errorf("the web dynos are at %v and %v", a, b)
	}
	t.apply(nil, nil)
	t.eventually("")
}

func (t *schedulerTest) idempotent() {
	r := t.release(1, "web 1 "+Listen, "worker 1 "+Forever)
	before := t.up(r)
	for range 3 {
		t.apply(t.release(1, "web 1 "+Listen, "worker 1 "+Forever), nil)
	}
	t.ready(1)
	t.sameIDs("Apply of an equal manifest", before, t.dynos(), "web.1", "worker.1")
	t.eventually("web.1 v1 up, worker.1 v1 up")
}

func (t *schedulerTest) nonsense() {
	r := t.release(1, "web 1 "+Listen, "web 1 "+Listen)
	if err := t.s.Apply(t.ctx, dyno.Manifest{AppID: t.app, Current: r}); err == nil {
		t.Error("a process type may appear twice")
	}
	r = t.release(1, "web -1 "+Listen)
	if err := t.s.Apply(t.ctx, dyno.Manifest{AppID: t.app, Current: r}); err == nil {
		t.Error("a quantity may be negative")
	}
}

func (t *schedulerTest) scale() {
	before := t.up(t.release(1, "web 3 "+Listen))
	t.apply(t.release(1, "web 1 "+Listen), nil)
	t.eventually("web.1 v1 up")
	t.sameIDs("scale down", before, t.dynos(), "web.1")
	after := t.up(t.release(1, "web 2 "+Listen))
	t.sameIDs("scale up", before, after, "web.1")
	t.eventually("web.1 v1 up, web.2 v1 up")
}

func (t *schedulerTest) resize() {
	r := t.release(1, "web 1 "+Listen)
	before := t.up(r)
	defer t.always("serving", serving(1))()
	r = t.release(1, "web 1 "+Listen)
	r.Processes[0].Size.Name = "Other"
	after := t.up(r)
	if after["web.1"].ID == before["web.1"].ID || after["web.1"].Size != "Other" {
		t.Errorf("the dyno was not replaced by one of the new size: %+v", after["web.1"])
	}
	t.eventually("web.1 v1 up")
}

func (t *schedulerTest) restart() {
	before := t.up(t.release(1, "web 1 "+Listen, "worker 1 "+Forever))
	stop := t.always("serving", serving(1))
	if err := t.s.Restart(t.ctx, t.app, dyno.Selector{Type: "web"}); err != nil {
		t.Fatal(err)
	}
	t.until("a new web.1 alone", func(list []dyno.Instance) bool {
		return describe(list) == "web.1 v1 up, worker.1 v1 up" && list[0].ID != before["web.1"].ID
	})
	stop()
	t.sameIDs("restart of web", before, t.dynos(), "worker.1")
	if err := t.s.Restart(t.ctx, t.app, dyno.Selector{}); err != nil {
		t.Fatal(err)
	}
	t.until("a new worker.1", func(list []dyno.Instance) bool {
		return describe(list) == "web.1 v1 up, worker.1 v1 up" && list[1].ID != before["worker.1"].ID
	})
}

func (t *schedulerTest) restartNothing() {
	t.up(t.release(1, "web 1 "+Listen))
	for _, sel := range []dyno.Selector{{Type: "worker"}, {Name: "web.2"}} {
		if err := t.s.Restart(t.ctx, t.app, sel); api.IDOf(err) != api.NotFound {
			t.Errorf("Restart of %+v: %v", sel, err)
		}
		if err := t.s.Stop(t.ctx, t.app, sel); api.IDOf(err) != api.NotFound {
			t.Errorf("Stop of %+v: %v", sel, err)
		}
	}
}

func (t *schedulerTest) stop() {
	before := t.up(t.release(1, "web 2 "+Listen))
	if err := t.s.Stop(t.ctx, t.app, dyno.Selector{Name: "web.2"}); err != nil {
		t.Fatal(err)
	}
	t.until("a new web.2", func(list []dyno.Instance) bool {
		return describe(list) == "web.1 v1 up, web.2 v1 up" && list[1].ID != before["web.2"].ID
	})
	t.sameIDs("stop of web.2", before, t.dynos(), "web.1")
}

func (t *schedulerTest) crash() {
	t.apply(t.release(1, "web 1 "+Listen, "worker 1 "+After("0.2", "exit 0")), nil)
	t.ready(1)
	first := t.dynos()["worker.1"].ID
	t.until("a new worker.1", func([]dyno.Instance) bool {
		again := t.dynos()["worker.1"]
		return again.ID != first && again.State == api.Up
	})
	t.until("worker.1 crashed", func([]dyno.Instance) bool { return t.dynos()["worker.1"].State == api.Crashed })
	if err := t.s.Restart(t.ctx, t.app, dyno.Selector{Name: "worker.1"}); err != nil {
		t.Fatal(err)
	}
	t.until("worker.1 up", func([]dyno.Instance) bool { return t.dynos()["worker.1"].State == api.Up })
	t.apply(t.release(1, "web 1 "+Listen), nil)
	t.eventually("web.1 v1 up")
}

func (t *schedulerTest) remove() {
	t.up(t.release(1, "web 2 "+Listen))
	t.run(t.oneOffOf(Forever))
	t.oneOffCleanup()
	if err := t.s.Ready(t.ctx, t.app, 1); err == nil {
		t.Error("a removed app is ready")
	}
	t.up(t.release(1, "web 1 "+Listen)) // it may come back
	t.eventually("web.1 v1 up")
	t.oneOffCleanup()
}

func (t *schedulerTest) adopt() {
	r := t.release(1, "web 2 "+Listen, "worker 1 "+Forever)
	t.up(r)
	oneOff := t.run(t.oneOffOf(After("1", "exit 5")))
	before := t.dynos()
	t.s = t.h.Restart(t.T)
	t.until("adoption", func(list []dyno.Instance) bool { return len(list) == 4 })
	t.up(r)
	t.sameIDs("restart of paasd", before, t.dynos(), "web.1", "web.2", "worker.1")
	if e, err := t.s.Wait(t.ctx, oneOff.ID); err != nil || e.Status != 5 {
		t.Errorf("Wait = %d, %v, want 5", e.Status, err)
	}
	t.eventually("web.1 v1 up, web.2 v1 up, worker.1 v1 up")
}
