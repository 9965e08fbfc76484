package dynotest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"paas/dyno"
)

// FakeOptions configure a Fake. The zero value suits unit tests.
type FakeOptions struct {
	// Sink gets the output of dynos without Streams; nil = nobody.
	Sink dyno.LogSink
	// Listen makes dynos whose command listens do so on a real socket, at an
	// address of their own in 127.0.0.0/8.
	Listen bool
	// Handler answers their requests; nil = Listen's answer, the dyno's name.
	Handler func(dyno.Spec) http.Handler
	// Command translates a spec to a command that the Fake understands ("node
	// server.js" to Listen); nil = Spec.Command as it is.
	Command func(dyno.Spec) string
	// StartDelay is how long Start takes.
	StartDelay time.Duration
}

// Fake is a dyno.Runtime whose dynos are goroutines.
type Fake struct {
	o FakeOptions

	mu     sync.Mutex
	dynos  map[string]*process
	starts int // successful ones
	fail   func(dyno.Spec) error
	down   bool
	addr   netip.Addr // last one given
	wg     sync.WaitGroup
}

var _ dyno.Runtime = (*Fake)(nil)

// NewFake makes a Fake. Close it.
func NewFake(o FakeOptions) *Fake {
	if o.Command == nil {
		o.Command = func(s dyno.Spec) string { return s.Command }
	}
	if o.Handler == nil {
		o.Handler = func(s dyno.Spec) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, s.Name) })
		}
	}
	// Several test programs may run at once: each has its own corner.
	first := netip.AddrFrom4([4]byte{127, byte(64 + rand.IntN(128)), byte(rand.IntN(256)), 1})
	return &Fake{o: o, dynos: map[string]*process{}, addr: first}
}

// Close ends all dynos and waits for them.
func (f *Fake) Close() {
	f.mu.Lock()
	for _, p := range f.dynos {
		p.end(dyno.Exit{Status: 137})
	}
	f.mu.Unlock()
	f.wg.Wait()
}

// FailStarts makes Start fail with what fail returns, where that is not nil.
// fail nil ends it.
func (f *Fake) FailStarts(fail func(dyno.Spec) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

// Starts counts the dynos started so far.
func (f *Fake) Starts() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.starts
}

// Running lists the specs of dynos that run, by time of creation and name.
func (f *Fake) Running() []dyno.Spec {
	f.mu.Lock()
	defer f.mu.Unlock()
	var specs []dyno.Spec
	for _, p := range f.dynos {
		if !p.ended() {
			specs = append(specs, p.spec)
		}
	}
	slices.SortFunc(specs, func(a, b dyno.Spec) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.Name, b.Name))
	})
	return specs
}

// Held counts the dynos not deleted yet, running or not.
func (f *Fake) Held() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.dynos)
}

// Crash ends a dyno from outside, as kill or the kernel would.
func (f *Fake) Crash(id string, exit dyno.Exit) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.dynos[id]; p != nil {
		p.end(exit)
	}
}

// Abandon is what kill -9 of paasd does: dynos go on, but nobody takes their
// output, until Recover.
func (f *Fake) Abandon() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = true
	for _, p := range f.dynos {
		p.out.pause()
	}
}

// Probe reports whether a dyno listens at addr. With Options.Listen it dials.
func (f *Fake) Probe(ctx context.Context, addr netip.AddrPort) error {
	if f.o.Listen {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr.String())
		if err != nil {
			return err
		}
		return c.Close()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.dynos {
		if p.handle.Addr == addr && p.listening.Load() {
			return nil
		}
	}
	return errors.New("connection refused")
}

// Start implements dyno.Runtime.
func (f *Fake) Start(ctx context.Context, s dyno.Spec, streams *dyno.Streams) (dyno.Handle, error) {
	if f.o.StartDelay > 0 {
		select {
		case <-time.After(f.o.StartDelay):
		case <-ctx.Done():
			return dyno.Handle{}, context.Cause(ctx)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		if err := f.fail(s); err != nil {
			return dyno.Handle{}, err
		}
	}
	switch {
	case s.Image == MissingImage:
		return dyno.Handle{}, &dyno.ImageError{Image: s.Image, Err: errors.New("no such image")}
	case f.dynos[s.ID] != nil:
		return dyno.Handle{}, fmt.Errorf("cannot start dyno %s: it exists", s.ID)
	}
	f.addr = f.addr.Next()
	f.starts++
	p := newProcess(s, dyno.Handle{ID: s.ID, Addr: netip.AddrPortFrom(f.addr, uint16(s.Port))}, streams, f.o)
	if f.down {
		p.out.pause()
	}
	f.dynos[s.ID] = p
	f.wg.Go(p.run)
	return p.handle, nil
}

func (f *Fake) process(id string) (*process, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.dynos[id]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("cannot find dyno %s", id)
}

// Signal implements dyno.Runtime.
func (f *Fake) Signal(ctx context.Context, id string, sig dyno.Signal) error {
	p, err := f.process(id)
	if err != nil {
		return err
	}
	p.signal(sig)
	return nil
}

// Wait implements dyno.Runtime.
func (f *Fake) Wait(ctx context.Context, id string) (dyno.Exit, error) {
	p, err := f.process(id)
	if err != nil {
		return dyno.Exit{}, err
	}
	select {
	case <-p.drained:
		return p.exit, nil
	case <-ctx.Done():
		return dyno.Exit{}, context.Cause(ctx)
	}
}

// Delete implements dyno.Runtime.
func (f *Fake) Delete(ctx context.Context, id string) error {
	p, err := f.process(id)
	if err != nil {
		return nil
	}
	p.end(dyno.Exit{Status: 137})
	select {
	case <-p.gone:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	f.mu.Lock()
	delete(f.dynos, id)
	f.mu.Unlock()
	if f.o.Sink != nil {
		return f.o.Sink.Forget(p.spec.AppID, id)
	}
	return nil
}

// Recover implements dyno.Runtime; here it may be called once for every
// scheduler that is put on top.
func (f *Fake) Recover(ctx context.Context) ([]dyno.Recovered, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = false
	var found []dyno.Recovered
	for id, p := range f.dynos {
		if p.attached {
			p.end(dyno.Exit{Status: 137})
			delete(f.dynos, id)
			continue
		}
		if err := p.out.resume(); err != nil {
			return nil, err
		}
		found = append(found, dyno.Recovered{Spec: p.spec, Handle: p.handle, Started: p.started})
	}
	return found, nil
}

// Check implements dyno.Runtime.
func (f *Fake) Check(ctx context.Context) error { return nil }
