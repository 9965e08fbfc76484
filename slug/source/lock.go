package source

import (
	"context"
	"errors"
	"sync"
)

// errBusy says that another push holds the repository.
var errBusy = errors.New("another push is in progress")

// lock is held by one push, or by maintenance until a push wants it.
type lock struct {
	mu   sync.Mutex
	held bool
	// Of the maintenance that holds it, else nil: stop interrupts it, ended is
	// closed when it has let go.
	stop  context.CancelFunc
	ended chan struct{}
}

// push takes the lock for a push, or returns errBusy when another push has it.
func (l *lock) push(ctx context.Context) (release func(), err error) {
	for {
		l.mu.Lock()
		if l.stop == nil {
			defer l.mu.Unlock()
			if l.held {
				return nil, errBusy
			}
			l.held = true
			return l.release, nil
		}
		l.stop()
		ended := l.ended
		l.mu.Unlock()
		select {
		case <-ended:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (l *lock) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = false
}

// maintain takes the lock for maintenance, if nobody has it. The context it
// returns ends when a push wants the lock.
func (l *lock) maintain(parent context.Context) (ctx context.Context, release func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held {
		return nil, nil, false
	}
	ctx, stop := context.WithCancel(parent)
	l.held, l.stop, l.ended = true, stop, make(chan struct{})
	return ctx, func() {
		stop()
		l.mu.Lock()
		defer l.mu.Unlock()
		close(l.ended)
		l.held, l.stop, l.ended = false, nil, nil
	}, true
}
