package supervisor

// phase is the state of a dyno's runner.
//
//	          gate           Start             it listens, or need not
//	queued ─────────▶ launching ────▶ booting ──────────────────▶ up
//	  │ retired         │ error         │ │ R10    │ exit           │  │ exit
//	  │                 ▼               │ ▼        ▼                │  ▼
//	  │              crashed ◀──────────┼─killing──crashed          │ crashed
//	  │                                 │ retired                   │ retired
//	  │                                 ▼                           ▼
//	  │                              stopping ◀──────────────── draining
//	  │                               │     │ 30 s, R12   no requests, 30 s
//	  │                          exit │     ▼
//	  ▼                               ▼   killing
//	gone ◀────────────────────────── exit ◀──┘
//
// A one-off goes to gone wherever a dyno of the formation goes to crashed. In
// crashed and gone the runtime has nothing of the dyno any more, or is about to
// delete it. When Supervise's context ends a runner returns in whatever phase it is.
type phase int

const (
	phaseQueued phase = iota
	phaseLaunching
	phaseBooting
	phaseUp
	phaseDraining
	phaseStopping
	phaseKilling
	phaseCrashed
	phaseGone
	// phaseLeft is not a phase of a dyno: its runner leaves it as it is.
	phaseLeft
)
