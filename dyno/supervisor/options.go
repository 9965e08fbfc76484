package supervisor

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"paas/api"
	"paas/dyno"
)

// Options of a Supervisor. Runtime is needed; the zero value of everything
// else means what its comment says.
type Options struct {
	Runtime dyno.Runtime

	// Log takes the platform's lines about dynos, in order. It may be slow, but
	// MUST NOT call the Supervisor. nil = nobody reads them.
	Log func(appID string, l api.LogLine)
	// Drain makes sure that a retired web dyno gets no new requests, and returns
	// when it has none left that are worth waiting for. Watch has told of the
	// retirement by then, but nobody may have acted on that yet. Its context ends
	// after DrainTimeout. nil = no wait.
	Drain func(ctx context.Context, dynoID string)
	// Probe reports whether a web dyno accepts connections; nil = TCP connect.
	Probe func(ctx context.Context, addr netip.AddrPort) error
	// Logger takes what is the operator's to know; nil = nobody.
	Logger *slog.Logger

	BootTimeout  time.Duration // for a web dyno to listen, else R10; 60 s
	StopTimeout  time.Duration // from SIGTERM to SIGKILL and R12; 30 s
	DrainTimeout time.Duration // 30 s
	// StartTimeout bounds one Runtime.Start, which may unpack a slug; 5 min.
	StartTimeout time.Duration
	// Settle is how long a candidate's dyno that does not listen has to run to
	// count as up; 500 ms.
	Settle time.Duration
	// Cycle is the age at which a dyno is replaced (Heroku: 24 h), plus up to
	// 15 %, spread over dynos; 0 = never.
	Cycle time.Duration

	// Starts is how many dynos may be booting at once, so that a host that
	// comes back with many apps is not overrun; 4. As many again are let in for
	// rollouts and one-offs, for which somebody waits.
	Starts int
	// StartHold is how long a dyno that boots counts as one of Starts; 5 s.
	StartHold time.Duration

	// FirstPort and Ports are the range of values of PORT; 20000 and 10000. No
	// two dynos of the host have the same.
	FirstPort, Ports int
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = func(string, api.LogLine) {}
	}
	if o.Probe == nil {
		o.Probe = dial
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		value *time.Duration
		def   time.Duration
	}{
		{&o.BootTimeout, time.Minute},
		{&o.StopTimeout, 30 * time.Second},
		{&o.DrainTimeout, 30 * time.Second},
		{&o.StartTimeout, 5 * time.Minute},
		{&o.Settle, 500 * time.Millisecond},
		{&o.StartHold, 5 * time.Second},
	} {
		if *d.value == 0 {
			*d.value = d.def
		}
	}
	if o.Starts == 0 {
		o.Starts = 4
	}
	if o.FirstPort == 0 {
		o.FirstPort = 20000
	}
	if o.Ports == 0 {
		o.Ports = 10000
	}
	return o
}

func dial(ctx context.Context, addr netip.AddrPort) error {
	if !addr.IsValid() {
		return errors.New("the dyno has no address")
	}
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return err
	}
	return c.Close()
}
