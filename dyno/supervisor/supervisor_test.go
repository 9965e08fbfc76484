package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"paas/api"
	"paas/dyno"
	"paas/dyno/dynotest"
)

func TestLinesOfALife(t *testing.T) {
	inBubble(t, dynotest.FakeOptions{}, Options{}, func(t *testing.T, b *bench) {
		listen := dynotest.After("0.2", dynotest.Listen)
		v1 := rel(1, "web 2 "+listen)
		b.apply(v1, nil)
		b.ready(1)
		lines := strings.Split(b.said(), "\n")
		for _, want := range []string{
			"web.1: Starting process with command `" + listen + "`", "web.1: State changed from starting to up",
			"web.2: Starting process with command `" + listen + "`", "web.2: State changed from starting to up",
		} {
			if !strings.Contains(strings.Join(lines, "\n"), want) || len(lines) != 4 {
				t.Errorf("the log is %q", lines)
			}
		}
		b.apply(rel(1, "web 1 "+listen), nil)
		b.wantSaid("scale down", "web.2: Stopping all processes with SIGTERM", "web.2: Process exited with status 143", "web.2: State changed from up to down")

		if err := b.Restart(t.Context(), appID, dyno.Selector{}); err != nil {
			t.Fatal(err)
		}
		b.after(time.Second)
		b.wantSaid("restart", "web.1: Restarting", "web.1: State changed from up to starting",
			"web.1: Starting process with command `"+listen+"`", "web.1: State changed from starting to up",
			"web.1: Stopping all processes with SIGTERM", "web.1: Process exited with status 143")

		if err := b.Stop(t.Context(), appID, dyno.Selector{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := b.said(); !strings.HasPrefix(got, "web.1: State changed from up to starting\n") || strings.Contains(got, "down") {
			t.Errorf("stop: the log is\n%s", got)
		}
		b.after(time.Second)
		b.said()

		b.fake.Crash(b.id("web.1"), dyno.Exit{Status: 1})
		b.wantSaid("crash", "web.1: Process exited with status 1", "web.1: State changed from up to crashed",
			"web.1: State changed from crashed to starting", "web.1: Starting process with command `"+listen+"`")
		b.after(time.Second)
		b.said()

		b.apply(rel(1, "web 1 "+listen), rel(2, "web 1 "+listen))
		b.ready(2)
		b.apply(rel(2, "web 1 "+listen), nil)
		b.wantSaid("rollout", "web.1: Starting process with command `"+listen+"`", "web.1: State changed from starting to up",
			"web.1: Stopping all processes with SIGTERM", "web.1: Process exited with status 143")
	})
}

func TestEnvironment(t *testing.T) {
	inBubble(t, dynotest.FakeOptions{}, Options{}, func(t *testing.T, b *bench) {
		r := rel(1, "web 2 "+dynotest.Listen, "worker 1 "+dynotest.Forever)
		r.Env = api.ConfigVars{"A": "1", "PORT": "no"}
		b.apply(r, nil)
		b.ready(1)
		ports := map[string]bool{}
		for _, s := range b.fake.Running() {
			if s.Env["A"] != "1" || s.Env["DYNO"] != s.Name || s.Env["HEROKU_DYNO_ID"] != s.ID || s.Env["PORT"] != fmt.Sprint(s.Port) || ports[s.Env["PORT"]] {
				t.Errorf("%s has the environment %#v and port %d", s.Name, map[string]string(s.Env), s.Port)
			}
			ports[s.Env["PORT"]] = true
		}
		if len(ports) != 3 || len(r.Env) != 2 {
			t.Errorf("ports %v, release %v", ports, r.Env.Names())
		}
	})
}

func TestBootTimeout(t *testing.T) {
	inBubble(t, dynotest.FakeOptions{}, Options{}, func(t *testing.T, b *bench) {
		v1 := rel(1, "web 1 "+dynotest.Listen)
		b.apply(v1, nil)
		b.ready(1)
		b.said()
		start := time.Now()
		b.apply(v1, rel(2, "web 1 "+dynotest.Forever))
		var failed *dyno.RolloutError
		if err := b.Ready(t.Context(), appID, 2); !errors.As(err, &failed) || failed.Code != "R10" || failed.Dyno != "web.1" {
			t.Errorf("Ready: %v", err)
		}
		if took := time.Since(start); took != time.Minute {
			t.Errorf("R10 after %v", took)
		}
		b.wantSaid("R10", "web.1: Starting process with command `sleep infinity`",
			"web.1: Error R10 (Boot timeout) -> Web process failed to bind to $PORT within 60 seconds of launch",
			"web.1: Stopping process with SIGKILL", "web.1: Process exited with status 137", "web.1: State changed from starting to crashed")
		b.wantDynos("web.1 v1 up, web.1 v2 crashed")
		b.after(time.Hour) // a candidate is not started again
		b.wantDynos("web.1 v1 up, web.1 v2 crashed")
		b.apply(v1, nil)
		b.wantDynos("web.1 v1 up")
		if n := b.fake.Held(); n != 1 {
			t.Errorf("the runtime holds %d dynos", n)
		}
	})
}

func TestExitTimeout(t *testing.T) {
	inBubble(t, dynotest.FakeOptions{}, Options{}, func(t *testing.T, b *bench) {
		b.apply(rel(1, "web 1 "+dynotest.DeafListen), nil)
		b.ready(1)
		b.said()
		b.apply(rel(1), nil)
		b.after(29 * time.Second)
		b.wantDynos("web.1 v1 stopping")
		b.after(time.Second)
		b.wantDynos("")
		b.wantSaid("R12", "web.1: Stopping all processes with SIGTERM",
			"web.1: Error R12 (Exit timeout) -> Process failed to exit within 30 seconds of SIGTERM",
			"web.1: Stopping remaining processes with SIGKILL", "web.1: Process exited with status 137", "web.1: State changed from up to down")
	})
}

func TestCrashesAreRestartedEverMoreSlowly(t *testing.T) {
	inBubble(t, dynotest.FakeOptions{}, Options{}, func(t *testing.T, b *bench) {
		b.apply(rel(1, "worker 1 "+dynotest.Exit("0")), nil)
		var failed *dyno.RolloutError
		if err := b.Ready(t.Context(), appID, 1); !errors.As(err, &failed) || failed.Dyno != "worker.1" {
			t.Errorf("Ready: %v", err)
		}
		begin := time.Now()
		var at []time.Duration
		for n := b.fake.Starts(); len(at) < 9; b.after(time.Second) {
			if b.fake.Starts() > n {
				n = b.fake.Starts()
				at = append(at, time.Since(begin))
			}
		}
		if got := fmt.Sprint(at); got != "[10s 30s 1m10s 2m30s 5m10s 10m30s 20m30s 30m30s 40m30s]" {
			t.Errorf("started again after %s", got)
		}
		b.wantDynos("worker.1 v1 crashed")
		b.said()

		// Told to, it is started at once, and the count is as new.
		n := b.fake.Starts()
		if err := b.Restart(t.Context(), appID, dyno.Selector{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := b.fake.Starts() - n; got != 2 {
			t.Errorf("%d starts after a restart, want one and another at once", got)
		}
		// So is a new release.
		n = b.fake.Starts()
		b.apply(rel(2, "worker 1 "+dynotest.Exit("0")), nil)
		if got := b.fake.Starts() - n; got != 2 {
			t.Errorf("%d starts after a release, want one and another at once", got)
		}
		b.apply(rel(2), nil)
		b.wantDynos("")
		if got := b.said(); !strings.HasSuffix(got, "worker.1: State changed from crashed to down") {
			t.Errorf("scale down of a crashed dyno: the log is\n%s", got)
		}
	})
}

func TestSteadyDynosAreForgivenTheirCrashes(t *testing.T) {
	inBubble(t, dynotest.FakeOptions{}, Options{}, func(t *testing.T, b *bench) {
		b.apply(rel(1, "worker 1 "+dynotest.Forever), nil)
		for range 5 {
			b.after(steadyAfter)
			b.fake.Crash(b.id("worker.1"), dyno.Exit{Status: 1})
			b.wantDynos("worker.1 v1 up") // again, at once
		}
		b.after(steadyAfter - time.Second)
		b.fake.Crash(b.id("worker.1"), dyno.Exit{Status: 1})
		b.wantDynos("worker.1 v1 crashed")
		b.after(10 * time.Second)
		b.wantDynos("worker.1 v1 up")
	})
}

func TestDrainComesBeforeSIGTERM(t *testing.T) {
	var drained []string
	var cut error
	o := Options{}
	inBubbleWith := func(drain func(ctx context.Context, b *bench, id string), test func(t *testing.T, b *bench)) {
		var b0 *bench
		o.Drain = func(ctx context.Context, id string) { drain(ctx, b0, id) }
		inBubble(t, dynotest.FakeOptions{}, o, func(t *testing.T, b *bench) { b0 = b; test(t, b) })
	}
	inBubbleWith(func(ctx context.Context, b *bench, id string) {
		for _, i := range b.Dynos(appID) {
			if i.ID == id && (!i.Retired || i.State != api.Stopping) {
				b.Errorf("%s is drained although it is not retired", i.Name)
			}
		}
		drained = append(drained, id)
		time.Sleep(3 * time.Second)
	}, func(t *testing.T, b *bench) {
		b.apply(rel(1, "web 1 "+dynotest.Listen, "worker 1 "+dynotest.Forever), nil)
		b.ready(1)
		id := b.id("web.1")
		b.apply(rel(1), nil)
		b.said()
		b.after(2 * time.Second)
		b.wantSaid("while it is drained")
		b.after(time.Second)
		b.wantSaid("then", "web.1: Stopping all processes with SIGTERM", "web.1: Process exited with status 143", "web.1: State changed from up to down")
		if fmt.Sprint(drained) != fmt.Sprint([]string{id}) {
			t.Errorf("drained %v", drained)
		}
	})
	inBubbleWith(func(ctx context.Context, b *bench, id string) { <-ctx.Done(); cut = context.Cause(ctx) }, func(t *testing.T, b *bench) {
		b.apply(rel(1, "web 1 "+dynotest.Listen), nil)
		b.ready(1)
		b.apply(rel(1), nil)
		b.after(29 * time.Second)
		b.wantDynos("web.1 v1 stopping")
		b.after(2 * time.Second)
		b.wantDynos("")
		if !errors.Is(cut, context.DeadlineExceeded) {
			t.Errorf("the drain was cut by %v", cut)
		}
	})
}

func TestCandidateHasToSettle(t *testing.T) {
	inBubble(t, dynotest.FakeOptions{}, Options{}, func(t *testing.T, b *bench) {
		v1 := rel(1, "worker 1 "+dynotest.Forever)
		b.apply(v1, nil)
		begin := time.Now()
		b.ready(1)
		if took := time.Since(begin); took != 0 {
			t.Errorf("a worker of the current release was up after %v", took)
		}
		b.apply(v1, rel(2, "worker 1 "+dynotest.After("0.4", "exit 3")))
		var failed *dyno.RolloutError
		if err := b.Ready(t.Context(), appID, 2); !errors.As(err, &failed) || !strings.Contains(failed.Reason, "status 3") {
			t.Errorf("Ready: %v", err)
		}
		begin = time.Now()
		b.apply(v1, rel(3, "worker 1 "+dynotest.Forever))
		b.ready(3)
		if took := time.Since(begin); took != 500*time.Millisecond {
			t.Errorf("a worker of the candidate was up after %v", took)
		}
		// One that ends before the commit fails the rollout, too.
		b.fake.Crash(b.id2(3), dyno.Exit{Status: 137, Code: "R15"})
		synctest.Wait()
		if err := b.Ready(t.Context(), appID, 3); !errors.As(err, &failed) || failed.Code != "R15" {
			t.Errorf("Ready: %v", err)
		}
		if got := b.said(); !strings.Contains(got, "worker.1: Error R15 (Memory quota vastly exceeded)\nworker.1: Process exited with status 137") {
			t.Errorf("the log is\n%s", got)
		}
	})
}

// id2 is the id of the one dyno of a release.
func (b *bench) id2(version int) string {
	for _, i := range b.Dynos(appID) {
		if i.Release == version {
			return i.ID
		}
	}
	return ""
}

func TestChecksumError(t *testing.T) {
	inBubble(t, dynotest.FakeOptions{}, Options{}, func(t *testing.T, b *bench) {
		v2 := rel(2, "web 1 "+dynotest.Listen)
		v2.Image = dynotest.MissingImage
		b.apply(nil, v2)
		var failed *dyno.RolloutError
		if err := b.Ready(t.Context(), appID, 2); !errors.As(err, &failed) || failed.Code != "R17" {
			t.Errorf("Ready: %v", err)
		}
		b.wantSaid("R17", "web.1: Starting process with command `"+dynotest.Listen+"`",
			"web.1: Error R17 (Checksum error) -> Slug "+dynotest.MissingImage+" does not match its checksum",
			"web.1: State changed from starting to crashed")
	})
}

func TestStartsThatFailForAMomentDoNotFailARollout(t *testing.T) {
	inBubble(t, dynotest.FakeOptions{}, Options{}, func(t *testing.T, b *bench) {
		b.fake.FailStarts(func(dyno.Spec) error { return errors.New("connection refused") })
		b.apply(nil, rel(1, "web 1 "+dynotest.Listen))
		b.after(10 * time.Second)
		b.wantDynos("web.1 v1 starting")
		b.fake.FailStarts(nil)
		b.ready(1)

		b.fake.FailStarts(func(dyno.Spec) error { return errors.New("connection refused") })
		b.apply(rel(1, "web 1 "+dynotest.Listen), rel(2, "web 1 "+dynotest.Listen))
		var failed *dyno.RolloutError
		if err := b.Ready(t.Context(), appID, 2); !errors.As(err, &failed) || strings.Contains(failed.Reason, "refused") {
			t.Errorf("Ready: %v", err)
		}
		b.fake.FailStarts(func(dyno.Spec) error { return api.Errorf(api.Unavailable, "No memory left.") })
		begin := time.Now()
		b.apply(rel(1, "web 1 "+dynotest.Listen), rel(3, "web 1 "+dynotest.Listen))
		if err := b.Ready(t.Context(), appID, 3); !errors.As(err, &failed) || failed.Reason != "No memory left." || time.Since(begin) != 0 {
			t.Errorf("Ready: %v", err)
		}
		if _, err := b.Supervisor.Run(t.Context(), dyno.OneOff{AppID: appID, Command: "true"}); err == nil || err.Error() != "No memory left." {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestStartsArePaced(t *testing.T) {
	pace := func(command string, wait time.Duration, want ...int) {
		inBubble(t, dynotest.FakeOptions{}, Options{Starts: 3}, func(t *testing.T, b *bench) {
			for n := range 10 {
				m := dyno.Manifest{AppID: fmt.Sprint("app", n), AppName: "app", Current: rel(1, "web 1 "+command)}
				if err := b.Apply(t.Context(), m); err != nil {
					t.Fatal(err)
				}
			}
			for round, n := range want {
				synctest.Wait()
				if got := b.fake.Starts(); got != n {
					t.Errorf("round %d: %d starts, want %d", round, got, n)
				}
				time.Sleep(wait)
			}
			begin := time.Now()
			if _, err := b.Supervisor.Run(t.Context(), dyno.OneOff{AppID: appID, Command: "true"}); err != nil || time.Since(begin) != 0 {
				t.Errorf("Run: %v after %v", err, time.Since(begin))
			}
		})
	}
	// The next one is let in when one is up, or has had its five seconds.
	pace(dynotest.After("2", dynotest.Listen), 2100*time.Millisecond, 3, 6, 9, 10)
	pace(dynotest.Forever, 5*time.Second, 3, 6, 9)
}

func TestOneOffLines(t *testing.T) {
	inBubble(t, dynotest.FakeOptions{}, Options{}, func(t *testing.T, b *bench) {
		d, err := b.Supervisor.Run(t.Context(), dyno.OneOff{AppID: appID, Name: "run.4821", Command: "sleep 1; exit 2", Size: api.DynoSizes()[0]})
		if err != nil || d.Name != "run.4821" {
			t.Fatalf("Run = %+v, %v", d, err)
		}
		b.wantDynos("run.4821 v0 up")
		if e, err := b.Wait(t.Context(), d.ID); err != nil || e.Status != 2 {
			t.Errorf("Wait = %+v, %v", e, err)
		}
		b.wantSaid("one-off", "run.4821: Starting process with command `sleep 1; exit 2`", "run.4821: State changed from starting to up",
			"run.4821: Process exited with status 2", "run.4821: State changed from up to complete")
		b.after(59 * time.Second)
		if _, err := b.Wait(t.Context(), d.ID); err != nil {
			t.Error("Wait after 59 s:", err)
		}
		b.after(2 * time.Second)
		if _, err := b.Wait(t.Context(), d.ID); api.IDOf(err) != api.NotFound {
			t.Error("Wait after 61 s:", err)
		}

		ctx, cancel := context.WithCancel(t.Context())
		b.fake.FailStarts(func(dyno.Spec) error { cancel(); return errors.New("not yet") })
		if _, err := b.Supervisor.Run(ctx, dyno.OneOff{AppID: appID, Command: "true"}); !errors.Is(err, context.Canceled) {
			t.Error("Run after its context ended:", err)
		}
		b.wantDynos("")
	})
}

func TestTimeToLiveOutlivesPaasd(t *testing.T) {
	inBubble(t, dynotest.FakeOptions{}, Options{}, func(t *testing.T, b *bench) {
		d, err := b.Supervisor.Run(t.Context(), dyno.OneOff{AppID: appID, Command: dynotest.Forever, TimeToLive: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		b.after(30 * time.Minute)
		b.restartPaasd(Options{})
		b.after(29 * time.Minute)
		b.wantDynos(d.Name + " v0 up")
		b.after(time.Minute)
		b.wantDynos("")
		if e, err := b.Wait(t.Context(), d.ID); err != nil || e.Status != 143 {
			t.Errorf("Wait = %+v, %v", e, err)
		}
	})
}

// restartPaasd puts a new Supervisor over the dynos, as if killed and begun.
func (b *bench) restartPaasd(o Options) {
	b.fake.Abandon()
	b.end()
	b.begin(o)
}

func TestRestartOfPaasdRestartsNothing(t *testing.T) {
	inBubble(t, dynotest.FakeOptions{}, Options{}, func(t *testing.T, b *bench) {
		v1 := rel(1, "web 2 "+dynotest.Listen, "worker 1 "+dynotest.Forever)
		b.apply(v1, nil)
		b.ready(1)
		begin := time.Now()
		for range 3 {
			b.said()
			b.restartPaasd(Options{})
			b.wantDynos("web.1 v1 up, web.2 v1 up, worker.1 v1 up") // before any manifest
			for _, i := range b.Dynos(appID) {
				if i.Retired || !i.Addr.IsValid() || i.UpdatedAt.After(begin.Add(time.Second)) {
					t.Errorf("after adoption: %+v", i)
				}
			}
			b.after(time.Hour)
			b.apply(v1, nil)
			b.ready(1)
			b.wantSaid("restart of paasd")
		}
		if n := b.fake.Starts(); n != 3 {
			t.Errorf("%d starts, want 3", n)
		}
		// What ended meanwhile is started again, and told of.
		b.fake.Abandon()
		b.end()
		b.fake.Crash(b.id("web.2"), dyno.Exit{Status: 1})
		b.begin(Options{})
		b.apply(v1, nil)
		b.ready(1)
		b.wantSaid("crash without paasd", "web.2: Process exited with status 1", "web.2: State changed from up to crashed",
			"web.2: State changed from crashed to starting", "web.2: Starting process with command `"+dynotest.Listen+"`", "web.2: State changed from starting to up")
	})
}

func TestRestartOfPaasdDuringRollout(t *testing.T) {
	inBubble(t, dynotest.FakeOptions{}, Options{}, func(t *testing.T, b *bench) {
		v1, v2 := rel(1, "web 1 "+dynotest.Listen), rel(2, "web 1 "+dynotest.Listen)
		b.apply(v1, nil)
		b.ready(1)
		b.after(time.Second)
		b.apply(v1, v2)
		b.ready(2)
		// Not committed: v2 goes.
		b.restartPaasd(Options{})
		b.wantDynos("web.1 v1 up, web.1 v2 up")
		b.apply(v1, nil)
		b.wantDynos("web.1 v1 up")
		b.apply(v1, v2)
		b.ready(2)
		// Committed: v1 goes.
		n := b.fake.Starts()
		b.restartPaasd(Options{})
		b.apply(v2, nil)
		b.wantDynos("web.1 v2 up")
		if b.fake.Starts() != n {
			t.Error("a dyno was started")
		}
	})
}

func TestSweep(t *testing.T) {
	inBubble(t, dynotest.FakeOptions{}, Options{}, func(t *testing.T, b *bench) {
		apps := []string{"gone", "kept", "known"}
		for _, id := range apps {
			if err := b.Apply(t.Context(), dyno.Manifest{AppID: id, Current: rel(1, "web 1 "+dynotest.Listen)}); err != nil {
				t.Fatal(err)
			}
			if err := b.Ready(t.Context(), id, 1); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Supervisor.Run(t.Context(), dyno.OneOff{AppID: id, Command: dynotest.Forever}); err != nil {
				t.Fatal(err)
			}
		}
		b.restartPaasd(Options{})
		if err := b.Apply(t.Context(), dyno.Manifest{AppID: "known", Current: rel(1, "web 1 "+dynotest.Listen)}); err != nil {
			t.Fatal(err)
		}
		if err := b.Sweep(t.Context(), func(id string) bool { return id == "kept" }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for n, want := range []int{0, 2, 2} {
			if got := len(b.Dynos(apps[n])); got != want {
				t.Errorf("app %s has %d dynos, want %d", apps[n], got, want)
			}
		}
		if b.fake.Held() != 4 {
			t.Errorf("the runtime holds %d dynos", b.fake.Held())
		}
	})
}

func TestEndOfPaasd(t *testing.T) {
	inBubble(t, dynotest.FakeOptions{}, Options{}, func(t *testing.T, b *bench) {
		b.apply(rel(1, "web 1 "+dynotest.Listen, "worker 1 "+dynotest.Forever), nil)
		b.ready(1)
		stdin, keyboard := io.Pipe()
		d, err := b.Supervisor.Run(t.Context(), dyno.OneOff{AppID: appID, Command: "cat", Streams: &dyno.Streams{Stdin: stdin, Stdout: io.Discard}})
		if err != nil {
			t.Fatal(err)
		}
		waited := make(chan error)
		go func() { _, err := b.Wait(t.Context(), d.ID); waited <- err }()
		synctest.Wait()
		b.cancel()
		if err := <-waited; api.IDOf(err) != api.Unavailable {
			t.Error("Wait:", err)
		}
		synctest.Wait()
		if n := len(b.fake.Running()); n != 2 {
			t.Errorf("%d dynos run on, want those of the formation", n)
		}
		if err := b.Apply(t.Context(), dyno.Manifest{AppID: appID}); api.IDOf(err) != api.Unavailable {
			t.Error("Apply:", err)
		}
		if err := b.Ready(t.Context(), appID, 1); api.IDOf(err) != api.Unavailable {
			t.Error("Ready:", err)
		}
		_ = keyboard.Close()
	})
}

func TestCycling(t *testing.T) {
	inBubble(t, dynotest.FakeOptions{}, Options{Cycle: 24 * time.Hour}, func(t *testing.T, b *bench) {
		b.apply(rel(1, "web 1 "+dynotest.Listen), nil)
		b.ready(1)
		first := b.id("web.1")
		b.said()
		b.after(24*time.Hour - time.Second)
		b.wantSaid("before its time")
		b.after(4 * time.Hour)
		if b.id("web.1") == first {
			t.Error("it was not cycled")
		}
		b.wantSaid("cycling", "web.1: Cycling", "web.1: State changed from up to starting",
			"web.1: Starting process with command `"+dynotest.Listen+"`", "web.1: State changed from starting to up",
			"web.1: Stopping all processes with SIGTERM", "web.1: Process exited with status 143")
		b.wantDynos("web.1 v1 up")
	})
}

// TestReplacementThatCrashes: the old dyno serves until a new one is up.
func TestReplacementThatCrashes(t *testing.T) {
	var broken atomic.Bool
	f := dynotest.FakeOptions{Command: func(s dyno.Spec) string {
		if broken.Load() {
			return "exit 1"
		}
		return s.Command
	}}
	inBubble(t, f, Options{}, func(t *testing.T, b *bench) {
		b.apply(rel(1, "web 1 "+dynotest.Listen), nil)
		b.ready(1)
		old := b.id("web.1")
		broken.Store(true)
		if err := b.Restart(t.Context(), appID, dyno.Selector{}); err != nil {
			t.Fatal(err)
		}
		b.after(5 * time.Second)
		b.wantDynos("web.1 v1 up, web.1 v1 crashed")
		if got := strings.Count(b.said(), "crashed\n"); got != 1 {
			t.Errorf("%d crashes in the log before the second", got)
		}
		if b.id("web.1") != old {
			t.Error("the old dyno was retired")
		}
		broken.Store(false)
		b.after(10 * time.Second)
		b.wantDynos("web.1 v1 up")
		if b.id("web.1") == old {
			t.Error("the old dyno was not replaced")
		}
	})
}

func TestRuntimeThatCannotRecover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Runtime: lostRuntime{}})
		if err := s.Apply(t.Context(), dyno.Manifest{AppID: appID, Current: rel(1)}); err != nil {
			t.Error(err)
		}
		if err := s.Supervise(t.Context()); err == nil {
			t.Error("Supervise without a runtime is no error")
		}
		if err := s.Ready(t.Context(), appID, 1); err == nil {
			t.Error("Ready without a runtime is no error")
		}
	})
}

type lostRuntime struct{ dyno.Runtime }

func (lostRuntime) Recover(context.Context) ([]dyno.Recovered, error) {
	return nil, errors.New("connection refused")
}
