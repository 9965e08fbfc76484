package supervisor

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"paas/api"
	"paas/dyno"
)

// instance is one dyno. Its fields are guarded by Supervisor.mu unless they
// say otherwise; its runner is the only one that changes phase.
type instance struct {
	spec    dyno.Spec     // fixed
	streams *dyno.Streams // fixed
	app     *app          // fixed
	number  int           // fixed; of a dyno of the formation
	born    uint64        // fixed
	adopted bool          // fixed: found running
	urgent  bool          // fixed: somebody waits for it
	// again is set for one that is started in place of a crashed one.
	again bool // fixed

	phase   phase
	since   time.Time      // of the state that users see
	addr    netip.AddrPort // zero until it runs
	settled bool
	upAt    time.Time
	replace bool // a newer one is to take its place
	crashes int  // in a row, this one included once it has crashed
	due     time.Time
	failure *dyno.RolloutError // why it crashed

	retired bool
	down    bool          // retired, and nothing takes its place
	stop    chan struct{} // closed when retired

	launched chan struct{} // closed when it runs or failed to, see startErr
	startErr error
	ended    chan struct{} // closed when it ended, see exit
	exit     dyno.Exit
}

func newInstance(a *app, s dyno.Spec, born uint64, now time.Time) *instance {
	_, digits, _ := strings.Cut(s.Name, ".")
	number, _ := strconv.Atoi(digits)
	return &instance{
		spec: s, app: a, number: number, born: born, since: now,
		stop: make(chan struct{}), launched: make(chan struct{}), ended: make(chan struct{}),
	}
}

// retire asks the runner to stop the dyno.
func (i *instance) retire(down bool) {
	if !i.retired {
		i.retired, i.down, i.since = true, down, time.Now()
		close(i.stop)
	}
}

// closeOnce closes a channel that is only ever closed under Supervisor.mu.
func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

// state is what users are shown.
func (i *instance) state() api.DynoState {
	switch {
	case i.phase == phaseCrashed:
		return api.Crashed
	case i.retired:
		return api.Stopping
	case i.phase == phaseUp:
		return api.Up
	case i.phase == phaseGone:
		return api.Down
	default:
		return api.Starting
	}
}

// have is the instance as a plan sees it.
func (i *instance) have(cycle time.Duration) have {
	h := have{
		id: i.spec.ID, typ: i.spec.Type, number: i.number, version: i.spec.Release, image: i.spec.Image,
		command: i.spec.Command, size: i.spec.Size.Name, replace: i.replace, born: i.born,
	}
	switch i.phase {
	case phaseUp:
		h.standing = ready
		if cycle > 0 {
			h.due = i.spec.CreatedAt.Add(cycle + spread(i.spec.ID, cycle*15/100))
		}
	case phaseCrashed:
		h.standing, h.due = crashed, i.due
	default:
		h.standing = coming
		if i.adopted {
			h.standing = adopted
		}
	}
	return h
}

// spread is a part of d that depends on the id alone.
func spread(id string, d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	return time.Duration(h.Sum64() % uint64(d))
}

// public is the instance as users see it.
func (i *instance) public() dyno.Instance {
	return dyno.Instance{
		Dyno: api.Dyno{
			ID: i.spec.ID, AppID: i.spec.AppID, Name: i.spec.Name, Type: i.spec.Type, Release: i.spec.Release,
			Command: i.spec.Command, Size: i.spec.Size.Name, State: i.state(), CreatedAt: i.spec.CreatedAt, UpdatedAt: i.since,
		},
		Addr:    i.addr,
		Retired: i.retired || i.app.manifest != nil && !i.spec.OneOff && !i.app.serves(i.spec.Release),
	}
}

// crashedWith remembers why a dyno ended and when to start it again.
func (i *instance) crashedWith(f *dyno.RolloutError, now time.Time) {
	if !i.upAt.IsZero() && now.Sub(i.upAt) >= steadyAfter {
		i.crashes = 0
	}
	i.crashes++
	i.failure, i.due = f, now.Add(backoff(i.crashes))
}

func dynoName(typ string, n int) string { return fmt.Sprintf("%s.%d", typ, n) }
