package sqlstore

import (
	"context"
	"sync"
)

// pokes tells subscribers that something changed.
type pokes struct {
	mu   sync.Mutex
	subs map[chan struct{}]struct{}
}

func (p *pokes) subscribe(ctx context.Context) <-chan struct{} {
	c := make(chan struct{}, 1)
	p.mu.Lock()
	if p.subs == nil {
		p.subs = map[chan struct{}]struct{}{}
	}
	p.subs[c] = struct{}{}
	p.mu.Unlock()
	context.AfterFunc(ctx, func() {
		p.mu.Lock()
		delete(p.subs, c)
		p.mu.Unlock()
	})
	return c
}

// send never blocks: a subscriber that was poked and has not looked yet will
// see this change too when it does.
func (p *pokes) send() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.subs {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
