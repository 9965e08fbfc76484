package supervisor

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"paas/api"
	"paas/dyno"
	"paas/dyno/dynotest"
)

// TestChaos does anything in any order to a Supervisor and wants it to come to
// what the last manifest says, with nothing left behind.
func TestChaos(t *testing.T) {
	// rapid ends a check when a day has passed on its clock, the bubble's.
	for range 8 {
		chaos(t)
	}
}

func chaos(t *testing.T) {
	inBubble(t, dynotest.FakeOptions{StartDelay: 50 * time.Millisecond}, Options{}, func(outer *testing.T, b *bench) {
		commands := []string{
			dynotest.Listen, dynotest.After("2", dynotest.Listen), dynotest.DeafListen, dynotest.Forever,
			"exit 0", dynotest.After("0.3", "exit 1"), dynotest.After("90", "exit 2"),
		}
		version := 0
		rapid.Check(inBubbleTB{outer}, func(t *rapid.T) {
			draw := func() *dyno.Release {
				version++
				r := rel(version)
				for _, typ := range []string{"web", "worker"} {
					if q := rapid.IntRange(-1, 3).Draw(t, typ); q >= 0 {
						r.Processes = append(r.Processes, dyno.Process{
							Type: typ, Quantity: q, Command: rapid.SampledFrom(commands).Draw(t, "command"), Size: api.DynoSizes()[0],
						})
					}
				}
				return r
			}
			var current, candidate *dyno.Release
			for range rapid.IntRange(1, 12).Draw(t, "steps") {
				switch rapid.IntRange(0, 8).Draw(t, "step") {
				case 0:
					current, candidate = draw(), nil
				case 1:
					candidate = draw()
				case 2:
					if candidate != nil {
						current, candidate = candidate, nil
					}
				case 3:
					candidate = nil
				case 4:
					_ = b.Restart(b.Context(), appID, dyno.Selector{Type: rapid.SampledFrom([]string{"", "web"}).Draw(t, "type")})
				case 5:
					_ = b.Stop(b.Context(), appID, dyno.Selector{Type: rapid.SampledFrom([]string{"", "worker"}).Draw(t, "type")})
				case 6:
					if running := b.fake.Running(); len(running) > 0 {
						b.fake.Crash(running[rapid.IntRange(0, len(running)-1).Draw(t, "victim")].ID, dyno.Exit{Status: 137})
					}
				case 7:
					if rapid.Bool().Draw(t, "paasd") {
						b.restartPaasd(Options{})
					} else if _, err := b.Supervisor.Run(b.Context(), dyno.OneOff{AppID: appID, Command: rapid.SampledFrom(commands).Draw(t, "command"), TimeToLive: 10 * time.Minute}); err != nil {
						t.Fatal(err)
					}
				case 8:
					b.after(time.Duration(rapid.IntRange(1, 100_000).Draw(t, "ms")) * time.Millisecond)
				}
				b.apply(current, candidate)
			}
			// In the end every command is a good one.
			if current != nil {
				version++
				r := *current
				r.Version, r.Processes = version, nil
				for _, p := range current.Processes {
					p.Command = dynotest.Listen
					r.Processes = append(r.Processes, p)
				}
				current = &r
			}
			b.apply(current, nil)
			b.after(30 * time.Minute)
			want := 0
			if current != nil {
				if err := b.Ready(b.Context(), appID, version); err != nil {
					t.Fatal(err)
				}
				for _, p := range current.Processes {
					want += p.Quantity
				}
			}
			list := b.Dynos(appID)
			for _, i := range list {
				if i.State != api.Up || i.Release != version || i.Retired {
					t.Fatalf("in the end there is %+v", i)
				}
			}
			if len(list) != want || b.fake.Held() != want || len(b.ports) != want {
				t.Fatalf("in the end there are %d dynos, %d in the runtime, %d ports; want %d", len(list), b.fake.Held(), len(b.ports), want)
			}
			if err := b.Remove(b.Context(), appID); err != nil {
				t.Fatal(err)
			}
			b.after(time.Minute)
			if n := b.fake.Held(); n != 0 || len(b.apps) != 0 || len(b.oneoffs) != 0 {
				t.Fatalf("after Remove there are %d dynos, %d apps, %d one-offs", n, len(b.apps), len(b.oneoffs))
			}
			if len(b.starts) != 0 || len(b.urgent) != 0 {
				t.Fatal("the gates are not free")
			}
			b.said()
		})
	})
}

func TestWatchIsACheapPoke(t *testing.T) {
	inBubble(t, dynotest.FakeOptions{}, Options{}, func(t *testing.T, b *bench) {
		w := b.Watch(b.Context())
		for n := range 5 {
			b.apply(rel(n+1, fmt.Sprintf("web %d %s", n%3, dynotest.Listen)), nil)
		}
		<-w
		select {
		case <-w:
			t.Error("a second value is there although nobody took the first")
		default:
		}
		b.fake.Crash(b.id("web.1"), dyno.Exit{Status: 1})
		synctest.Wait()
		select {
		case <-w:
		default:
			t.Error("a crash was not told")
		}
	})
}

// inBubbleTB hides Deadline, which may not be called in a bubble.
type inBubbleTB struct{ rapid.TB }
