package dyno

import (
	"context"
	"net/netip"
	"time"

	"paas/api"
)

// Spec says everything a Runtime needs to start one dyno. It is persisted with
// the dyno, so Recover can return it; it holds config vars and MUST NOT be
// logged.
type Spec struct {
	ID      string // uuid; names the container
	AppID   string
	AppName string
	Name    string // "web.1"
	Type    string
	Release int
	OneOff  bool
	Image   string // digest of the slug's OCI manifest
	// Command is run as Heroku does: profile scripts first, then by bash.
	Command string
	Env     api.ConfigVars // complete, with PORT and DYNO
	Size    api.DynoSize
	Port    int // where a web dyno listens inside its own network namespace
	// CreatedAt is when the scheduler decided to start it.
	CreatedAt time.Time
	// TimeToLive, counted from CreatedAt, is kept here for the scheduler, which
	// ends one-offs by it, also after a restart of paasd; 0 = no end.
	TimeToLive time.Duration
}

// Handle is a running (or ended, not yet deleted) dyno.
type Handle struct {
	ID string
	// Addr is where Spec.Port can be reached from the host. No other dyno has
	// it until Delete of this one has returned.
	Addr netip.AddrPort
	PID  int // of its first process on the host, 0 if not known
}

// Recovered is what Recover found.
type Recovered struct {
	Spec    Spec
	Handle  Handle
	Started time.Time
}

// Signal is what a Runtime can send.
type Signal int

const (
	SIGHUP  Signal = 1
	SIGKILL Signal = 9
	SIGTERM Signal = 15
)

// Runtime starts dynos on one host. All methods may be called concurrently,
// for one dyno too.
//
// Output of a dyno without Streams goes to the LogSink the runtime was made
// with, line by line, and is not lost while paasd is down.
type Runtime interface {
	// Start returns when the dyno's process runs; on error nothing is left
	// behind. An error whose text the user should see is an *api.Error. A slug
	// that fails verification is an *ImageError (R17).
	Start(ctx context.Context, s Spec, streams *Streams) (Handle, error)
	// Signal sends to all processes of the dyno. Sending to one that ended is
	// no error.
	Signal(ctx context.Context, id string, sig Signal) error
	// Wait returns when the dyno ended and all its output was handed over. It
	// may be called often, at any time between Start (or Recover) and Delete.
	Wait(ctx context.Context, id string) (Exit, error)
	// Delete kills what is left of a dyno and releases all it held, its
	// address last. Deleting what is not there is no error.
	Delete(ctx context.Context, id string) error
	// Recover returns what earlier runs of paasd left behind: dynos that run
	// (adopted: their output flows again) and those that ended meanwhile and
	// were not deleted. Attached ones are killed. Called once, before Start.
	Recover(ctx context.Context) ([]Recovered, error)
	// Check says what keeps the runtime from starting dynos; nil if nothing.
	Check(ctx context.Context) error
}

// ImageError says that a slug's bytes are not what its digest names: R17.
type ImageError struct {
	Image string
	Err   error
}

func (e *ImageError) Error() string { return "cannot verify slug " + e.Image + ": " + e.Err.Error() }
func (e *ImageError) Unwrap() error { return e.Err }

// LogSink takes what dynos print. dyno/logplex implements it.
type LogSink interface {
	// Append stores lines and, in one step with them, that the dyno's output
	// was read up to offset (bytes since its start). It does not block on
	// readers.
	Append(appID, dynoID string, offset int64, lines []api.LogLine) error
	// Offset returns the last stored offset, 0 if there is none.
	Offset(appID, dynoID string) (int64, error)
	// Forget drops the offset of a dyno that was deleted.
	Forget(appID, dynoID string) error
}
