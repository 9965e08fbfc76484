package supervisor

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"paas/api"
	"paas/dyno"
)

// world is a model of an app's dynos: what a plan says is done to it, and
// things happen to it in between.
type world struct {
	want  want
	dynos []have
	now   time.Time
	born  uint64
}

func (w *world) find(id string) *have {
	for i := range w.dynos {
		if w.dynos[i].id == id {
			return &w.dynos[i]
		}
	}
	return nil
}

func (w *world) remove(id string) {
	for i := range w.dynos {
		if w.dynos[i].id == id {
			w.dynos = append(w.dynos[:i:i], w.dynos[i+1:]...)
			return
		}
	}
}

func (w *world) add(r *dyno.Release, p dyno.Process, n int, s standing) {
	w.born++
	w.dynos = append(w.dynos, have{
		id: fmt.Sprint("d", w.born), typ: p.Type, number: n, version: r.Version, image: r.Image,
		command: p.Command, size: p.Size.Name, standing: s, born: w.born,
	})
}

func (w *world) act(actions []action) {
	for _, a := range actions {
		switch a.verb {
		case start:
			w.remove(a.id)
			w.add(a.release, a.process, a.number, coming)
		case retire:
			w.remove(a.id)
		case cycle:
			w.find(a.id).replace = true
		}
	}
}

// servesCurrent reports whether a dyno is one of the current release in a
// wanted slot.
func (w *world) servesCurrent(d *have) bool {
	if w.want.current == nil || d.version != w.want.current.Version {
		return false
	}
	for _, p := range w.want.current.Processes {
		if p.Type == d.typ && d.number <= p.Quantity {
			return true
		}
	}
	return false
}

func (w *world) fitsCurrent(d *have) bool {
	for _, p := range w.want.current.Processes {
		if p.Type == d.typ {
			return fits(d, w.want.current, p)
		}
	}
	return false
}

type checker interface {
	Helper()
	Fatalf(format string, args ...any)
}

// step plans, checks the plan against the invariants, and carries it out until
// there is nothing left to do.
func (w *world) step(t checker) {
	t.Helper()
	for range 3 {
		actions, _ := plan(w.want, w.dynos, w.now)
		if len(actions) == 0 {
			w.checkBounds(t)
			return
		}
		w.checkSafety(t, actions)
		w.act(actions)
	}
	if actions, _ := plan(w.want, w.dynos, w.now); len(actions) > 0 {
		t.Fatalf("the plan has no end: %+v", actions)
	}
}

func (w *world) checkSafety(t checker, actions []action) {
	t.Helper()
	started := map[string]bool{}
	for _, a := range actions {
		switch a.verb {
		case start:
			key := fmt.Sprint(a.release.Version, a.process.Type, a.number)
			if started[key] {
				t.Fatalf("%s is started twice", key)
			}
			started[key] = true
			if a.number < 1 || a.number > a.process.Quantity {
				t.Fatalf("%s is not wanted", key)
			}
			if w.want.failed && w.want.candidate != nil && a.release.Version == w.want.candidate.Version {
				t.Fatalf("%s of a failed candidate is started", key)
			}
			if d := w.find(a.id); a.id != "" && (d.standing != crashed || d.due.After(w.now)) {
				t.Fatalf("%s is started instead of %+v", key, d)
			}
		case retire:
			d := w.find(a.id)
			if w.want.current == nil {
				continue
			}
			// One just adopted may well be up. Which of several is not known,
			// but of those that do not fit any more only one is kept.
			maybe := d.standing == adopted && !d.replace && w.fitsCurrent(d)
			if d.standing != ready && !maybe || !w.servesCurrent(d) {
				continue
			}
			replaced := false
			for i := range w.dynos {
				o := &w.dynos[i]
				replaced = replaced || o.id != d.id && o.typ == d.typ && o.number == d.number && o.version == d.version && o.standing == ready
			}
			if !replaced {
				t.Fatalf("%+v is retired although nothing has taken its place", d)
			}
		}
	}
}

func (w *world) checkBounds(t checker) {
	t.Helper()
	count := map[slot]map[bool]int{}
	for _, d := range w.dynos {
		s := slot{d.typ, d.number}
		if count[s] == nil {
			count[s] = map[bool]int{}
		}
		count[s][w.want.candidate != nil && d.version == w.want.candidate.Version]++
	}
	for s, n := range count {
		if n[false] > 2 || n[true] > 1 {
			t.Fatalf("%v has %d dynos and %d of the candidate", s, n[false], n[true])
		}
	}
}

// settle lets everything that is started come up, and wants to see exactly
// what is wanted.
func (w *world) settle(t checker) {
	t.Helper()
	w.want.candidate, w.want.failed = nil, false
	for range 4 {
		w.now = w.now.Add(time.Hour)
		w.step(t)
		for i := range w.dynos {
			if d := &w.dynos[i]; d.standing == coming || d.standing == adopted {
				d.standing, d.due = ready, time.Time{}
			}
		}
	}
	w.step(t)
	n := 0
	if w.want.current != nil {
		for _, p := range w.want.current.Processes {
			for i := 1; i <= p.Quantity; i++ {
				n++
				found := 0
				for j := range w.dynos {
					d := &w.dynos[j]
					if d.typ == p.Type && d.number == i && d.standing == ready && !d.replace && fits(d, w.want.current, p) {
						found++
					}
				}
				if found != 1 {
					t.Fatalf("%s.%d has %d dynos in the end", p.Type, i, found)
				}
			}
		}
	}
	if len(w.dynos) != n {
		t.Fatalf("%d dynos in the end, want %d: %+v", len(w.dynos), n, w.dynos)
	}
}

var types = []string{"web", "worker", "clock"}

func drawRelease(t *rapid.T, version int) *dyno.Release {
	r := &dyno.Release{Version: version, Image: fmt.Sprint("sha256:", version)}
	sizes := api.DynoSizes()
	for _, typ := range types {
		if q := rapid.IntRange(-1, 3).Draw(t, typ); q >= 0 {
			r.Processes = append(r.Processes, dyno.Process{
				Type: typ, Command: fmt.Sprint("run ", typ, " of ", version), Quantity: q,
				Size: sizes[rapid.IntRange(0, 1).Draw(t, "size")],
			})
		}
	}
	return r
}

func TestPlanHoldsItsInvariants(t *testing.T) {
	for range 20 { // 100 histories each
		rapid.Check(t, history)
	}
}

func history(t *rapid.T) {
	w := &world{now: time.Unix(0, 0)}
	version := 0
	pick := func() *have {
		if len(w.dynos) == 0 {
			return nil
		}
		return &w.dynos[rapid.IntRange(0, len(w.dynos)-1).Draw(t, "dyno")]
	}
	t.Repeat(map[string]func(*rapid.T){
		"": func(t *rapid.T) { w.step(t) },
		"deploy": func(t *rapid.T) { // without a candidate before it
			version++
			w.want.current = drawRelease(t, version)
		},
		"rollout": func(t *rapid.T) {
			version++
			w.want.candidate, w.want.failed = drawRelease(t, version), false
		},
		"commit": func(t *rapid.T) {
			if w.want.candidate != nil && !w.want.failed {
				w.want.current, w.want.candidate = w.want.candidate, nil
			}
		},
		"abort": func(t *rapid.T) { w.want.candidate, w.want.failed = nil, false },
		"scale": func(t *rapid.T) {
			if w.want.current != nil {
				w.want.current = drawRelease(t, w.want.current.Version)
			}
		},
		"up": func(t *rapid.T) {
			if d := pick(); d != nil && d.standing != crashed {
				d.standing = ready
			}
		},
		"crash": func(t *rapid.T) {
			if d := pick(); d != nil {
				if w.want.candidate != nil && d.version == w.want.candidate.Version {
					w.want.failed = true
				}
				d.standing, d.due = crashed, w.now.Add(time.Duration(rapid.IntRange(0, 60).Draw(t, "delay"))*time.Second)
			}
		},
		"restart": func(t *rapid.T) {
			if d := pick(); d != nil && w.servesCurrent(d) && d.standing != crashed {
				d.replace = true
			}
		},
		"stop": func(t *rapid.T) {
			if d := pick(); d != nil {
				w.remove(d.id)
			}
		},
		"cycle": func(t *rapid.T) {
			if d := pick(); d != nil && d.standing == ready {
				d.due = w.now
			}
		},
		"time": func(t *rapid.T) { w.now = w.now.Add(time.Duration(rapid.IntRange(1, 30).Draw(t, "s")) * time.Second) },
		"paasd restarts": func(t *rapid.T) {
			for i := range w.dynos {
				if d := &w.dynos[i]; d.standing == crashed {
					d.due = w.now
				} else {
					d.standing, d.replace, d.due = adopted, false, time.Time{}
				}
			}
		},
	})
	w.settle(t)
}

// TestPlanAdoptsWhatFits: a restart of paasd alone changes nothing.
func TestPlanAdoptsWhatFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{now: time.Unix(0, 0), want: want{current: drawRelease(t, 1)}}
		for _, p := range w.want.current.Processes {
			for n := 1; n <= p.Quantity; n++ {
				w.add(w.want.current, p, n, rapid.SampledFrom([]standing{adopted, ready, coming}).Draw(t, "standing"))
			}
		}
		if actions, wake := plan(w.want, w.dynos, w.now); len(actions) > 0 || !wake.IsZero() {
			t.Fatalf("plan = %+v, %v", actions, wake)
		}
	})
}

func release(version int, quantities ...any) *dyno.Release {
	r := &dyno.Release{Version: version, Image: fmt.Sprint("sha256:", version)}
	for i := 0; i < len(quantities); i += 2 {
		r.Processes = append(r.Processes, dyno.Process{Type: quantities[i].(string), Quantity: quantities[i+1].(int), Size: api.DynoSizes()[0]})
	}
	return r
}

func TestPlanStopsHighestNumbersFirst(t *testing.T) {
	w := &world{want: want{current: release(1, "web", 4)}}
	w.settle(t)
	w.want.current = release(1, "web", 1)
	actions, _ := plan(w.want, w.dynos, w.now)
	var numbers []int
	for _, a := range actions {
		if a.verb != retire || !a.down {
			t.Fatalf("plan = %+v", actions)
		}
		numbers = append(numbers, w.find(a.id).number)
	}
	if fmt.Sprint(numbers) != "[4 3 2]" {
		t.Errorf("stopped in the order %v", numbers)
	}
}

func TestPlanWakes(t *testing.T) {
	w := &world{now: time.Unix(100, 0), want: want{current: release(1, "web", 2)}}
	w.settle(t)
	w.dynos[0].standing, w.dynos[0].due = crashed, w.now.Add(20*time.Second)
	w.dynos[1].due = w.now.Add(10 * time.Second)
	actions, wake := plan(w.want, w.dynos, w.now)
	if len(actions) > 0 || !wake.Equal(w.now.Add(10*time.Second)) {
		t.Errorf("plan = %+v, wake after %v", actions, wake.Sub(w.now))
	}
	w.now = wake
	if actions, wake = plan(w.want, w.dynos, w.now); len(actions) != 1 || actions[0].verb != cycle || !wake.Equal(w.now.Add(10*time.Second)) {
		t.Errorf("plan = %+v, wake after %v", actions, wake.Sub(w.now))
	}
}

func TestBackoff(t *testing.T) {
	want := []time.Duration{0, 0, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 320 * time.Second, 10 * time.Minute, 10 * time.Minute}
	for n, d := range want {
		if got := backoff(n); got != d {
			t.Errorf("backoff(%d) = %v, want %v", n, got, d)
		}
	}
	if got := backoff(1 << 30); got != longestDelay {
		t.Errorf("backoff of very many = %v", got)
	}
}

func TestPlanGivesUpAnOlderReleaseWhenTheNewOneCrashes(t *testing.T) {
	w := &world{now: time.Unix(100, 0), want: want{current: release(1, "web", 1)}}
	w.settle(t)
	w.want.current = release(2, "web", 1)
	w.step(t)
	if len(w.dynos) != 2 {
		t.Fatalf("without a rollout, v1 is not kept until v2 is up: %+v", w.dynos)
	}
	w.dynos[1].standing, w.dynos[1].due = crashed, w.now.Add(time.Hour)
	w.step(t)
	if len(w.dynos) != 1 || w.dynos[0].version != 2 {
		t.Errorf("there are %+v", w.dynos)
	}
}
