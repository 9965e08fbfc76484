package dyno

import (
	"context"
	"io"
	"net/netip"
	"time"

	"paas/api"
)

// Manifest is what should run of one app. It is complete: what it does not
// name is stopped.
type Manifest struct {
	AppID   string
	AppName string
	// Current is the release whose dynos serve; nil = none (a blank app).
	Current *Release
	// Candidate is a release being rolled out: its dynos are started beside
	// those of Current and nothing of Current is stopped for it. A dyno of a
	// Candidate that fails to come up is not restarted (see Scheduler.Ready).
	Candidate *Release
}

// Release is the part of a release that a scheduler needs.
type Release struct {
	Version int
	Image   string // digest of the slug's OCI manifest
	// Env is complete but for what belongs to one dyno (PORT, DYNO,
	// HEROKU_DYNO_ID), which the scheduler adds.
	Env       api.ConfigVars
	Processes []Process
}

// Process is one process type of a release at its wanted quantity.
type Process struct {
	Type     string
	Command  string
	Quantity int
	Size     api.DynoSize
}

// Instance is a dyno as a scheduler knows it.
type Instance struct {
	api.Dyno
	// Addr is where it listens; the zero value while it has no address.
	Addr netip.AddrPort
	// Retired says that it belongs to neither the current nor the candidate
	// release, or is being replaced: it MUST get no new requests.
	Retired bool
}

// Selector picks dynos of an app: all (zero value), those of a type ("web"),
// or one by name ("web.1").
type Selector struct{ Type, Name string }

// OneOff asks for a dyno outside the formation.
type OneOff struct {
	// ID and Name ("run.4821") may be fixed by the caller, who has to make
	// sure that no other dyno of the app has that name; "" = chosen here.
	ID      string
	Name    string
	AppID   string
	AppName string
	Type    string // "run" or "release"; the name is Type + "." + four digits
	Release Release
	Command string
	Size    api.DynoSize
	// TimeToLive ends it (SIGTERM, then SIGKILL); 0 = 24 h.
	TimeToLive time.Duration
	// Streams, when set, attaches it: output goes there and not to the log,
	// and it is killed when paasd ends.
	Streams *Streams
}

// Streams is the other side of an attached dyno.
type Streams struct {
	Stdin  io.Reader // nil = none. EOF closes the dyno's stdin
	Stdout io.Writer // with TTY everything comes here
	Stderr io.Writer // nil = joined with Stdout
	TTY    bool
	// Resize gets new window sizes of the TTY; nil = never. Rows, Cols of the
	// first value are set before the command starts, if one is waiting.
	Resize <-chan WindowSize
}

// WindowSize of a terminal, in characters.
type WindowSize struct{ Rows, Cols uint16 }

// Exit is how a dyno ended.
type Exit struct {
	Status int // as a shell reports it: 128+n for signal n
	At     time.Time
	// Code is the R-code that ended it ("R10", "R12", "R15"), "" if it ended
	// by itself.
	Code string
	// Err is set when the platform lost or could not run it, in words for the
	// log; Status is then 137 or -1.
	Err error
}

// Scheduler makes running dynos match manifests. All methods may be called
// concurrently and, but for Ready, Wait and Run, return without waiting for
// dynos.
type Scheduler interface {
	// Apply replaces the app's manifest. It is idempotent: applying an equal
	// manifest changes nothing. Dynos that are no longer wanted are retired:
	// requests are drained, then SIGTERM, 30 s, SIGKILL.
	Apply(ctx context.Context, m Manifest) error
	// Remove stops everything of an app and forgets it.
	Remove(ctx context.Context, appID string) error
	// Ready waits until all wanted dynos of that release of the app are up
	// (nil) or one of them failed to come up (*RolloutError), or ctx ends.
	Ready(ctx context.Context, appID string, version int) error
	// Dynos lists the app's dynos, one-offs included, by name.
	Dynos(appID string) []Instance
	// Restart replaces the selected dynos: the new one is started beside the
	// old, which is retired once the new one is up. NotFound if none matches.
	Restart(ctx context.Context, appID string, s Selector) error
	// Stop stops the selected dynos. Those of the formation are started again
	// (Heroku: ps:stop acts as a restart); one-offs are gone.
	Stop(ctx context.Context, appID string, s Selector) error
	// Run starts a one-off dyno and returns once its process runs.
	Run(ctx context.Context, o OneOff) (api.Dyno, error)
	// Wait waits for a dyno started by Run to end. It may be called once or
	// more, until a minute after the end.
	Wait(ctx context.Context, dynoID string) (Exit, error)
	// Watch returns a channel of capacity 1 that gets a value whenever what
	// Dynos reports of any app may have changed, until ctx ends.
	Watch(ctx context.Context) <-chan struct{}
}

// RolloutError says why a release did not come up.
type RolloutError struct {
	Dyno   string // "web.1"
	Code   string // "R10", "H10", "R17"; "" if there is none
	Reason string // a sentence for the user
}

func (e *RolloutError) Error() string { return e.Dyno + ": " + e.Reason }
