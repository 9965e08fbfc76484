package dynotest

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"paas/dyno"
)

// process is one dyno of a Fake.
type process struct {
	spec     dyno.Spec
	handle   dyno.Handle
	started  time.Time
	o        FakeOptions
	attached bool
	out      *output

	stdout, stderr io.Writer
	stdin          *bufio.Reader

	term      chan struct{} // capacity 1: a SIGTERM to be handled
	trap      atomic.Pointer[string]
	listening atomic.Bool
	size      atomic.Pointer[dyno.WindowSize]

	once    sync.Once
	ending  chan struct{} // closed when it has to end, or did; exit is set then
	exit    dyno.Exit
	gone    chan struct{} // closed when its goroutine has returned
	drained chan struct{} // closed when gone and all output was handed over
}

func newProcess(s dyno.Spec, h dyno.Handle, streams *dyno.Streams, o FakeOptions) *process {
	p := &process{
		spec: s, handle: h, started: time.Now(), o: o,
		term: make(chan struct{}, 1), ending: make(chan struct{}), gone: make(chan struct{}),
		out: newOutput(s, o.Sink),
	}
	p.drained = p.out.done
	p.stdout, p.stderr = p.out, p.out
	if streams != nil {
		p.attached = true
		p.stdout, p.stderr = streams.Stdout, streams.Stderr
		if streams.Stderr == nil || streams.TTY {
			p.stderr = streams.Stdout
		}
		if streams.Stdin != nil {
			p.stdin = bufio.NewReader(streams.Stdin)
		}
		if streams.Resize != nil {
			select {
			case size := <-streams.Resize:
				p.size.Store(&size)
			default:
			}
		}
	}
	if streams != nil && streams.Resize != nil {
		go p.resize(streams.Resize)
	}
	return p
}

func (p *process) resize(sizes <-chan dyno.WindowSize) {
	for {
		select {
		case size, ok := <-sizes:
			if !ok {
				return
			}
			p.size.Store(&size)
		case <-p.gone:
			return
		}
	}
}

// run is the life of the process.
func (p *process) run() {
	status, ok := (&shell{p: p}).run(p.o.Command(p.spec))
	if ok {
		p.end(dyno.Exit{Status: status})
	}
	close(p.gone)
	p.out.close()
}

// end makes the process end with this exit, if it has not ended yet.
func (p *process) end(e dyno.Exit) {
	p.once.Do(func() {
		if e.At.IsZero() {
			e.At = time.Now()
		}
		p.exit = e
		close(p.ending)
	})
}

func (p *process) ended() bool {
	select {
	case <-p.ending:
		return true
	default:
		return false
	}
}

func (p *process) signal(sig dyno.Signal) {
	trap := p.trap.Load()
	switch {
	case sig == dyno.SIGTERM && trap != nil && *trap == "": // ignored
	case sig == dyno.SIGTERM && trap != nil:
		p.interrupt()
	default:
		p.end(dyno.Exit{Status: 128 + int(sig)})
	}
}

// interrupt tells the shell of a signal that it traps.
func (p *process) interrupt() {
	select {
	case p.term <- struct{}{}:
	default:
	}
}

// serve listens until the process ends or is interrupted by a trapped signal.
// It returns what a shell would say of the command.
func (p *process) serve() (status int) {
	if p.o.Listen {
		l, err := net.Listen("tcp", p.handle.Addr.String())
		if err != nil {
			_, _ = io.WriteString(p.stderr, err.Error()+"\n")
			return 98
		}
		server := &http.Server{Handler: p.o.Handler(p.spec)}
		served := make(chan struct{})
		go func() {
			defer close(served)
			// It returns ErrServerClosed, and nothing else that matters here.
			_ = server.Serve(l)
		}()
		defer func() { _ = server.Close(); <-served }()
	}
	p.listening.Store(true)
	defer p.listening.Store(false)
	select {
	case <-p.ending:
		return p.exit.Status
	case <-p.term:
		p.interrupt() // for the shell
		return 143
	}
}
