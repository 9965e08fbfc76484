package platform

import (
	"context"
	"sync"
	"time"

	"paas/api"
	"paas/dyno"
)

// attachTimeout is how long an attached one-off dyno waits for its client
// (R13 after it).
const attachTimeout = time.Minute

// maxAwaiting bounds how many one-off dynos wait for clients at one time.
const maxAwaiting = 100

// attachments are one-off dynos whose client has not come yet. The secret is
// the capability to attach, once.
type attachments struct {
	attachMu sync.Mutex
	awaiting map[string]awaited
}

type awaited struct {
	oneOff dyno.OneOff
	tty    bool
	late   *time.Timer
}

func (a *attachments) init() { a.awaiting = map[string]awaited{} }

func (p *Platform) await(o dyno.OneOff, tty bool) (secret string, err error) {
	secret = newID()
	p.attachMu.Lock()
	defer p.attachMu.Unlock()
	if len(p.awaiting) >= maxAwaiting {
		return "", api.Errorf(api.RateLimit, "Too many one-off dynos wait for their clients. Try again in a minute.")
	}
	p.dynoEvent(o, "Awaiting client")
	p.awaiting[secret] = awaited{oneOff: o, tty: tty, late: time.AfterFunc(attachTimeout, func() {
		if _, ok := p.claim(secret); ok {
			p.dynoEvent(o, "Error R13 (Attach error) -> Failed to attach to process")
		}
	})}
	return secret, nil
}

func (p *Platform) claim(secret string) (awaited, bool) {
	p.attachMu.Lock()
	defer p.attachMu.Unlock()
	a, ok := p.awaiting[secret]
	delete(p.awaiting, secret)
	return a, ok
}

// dropAwaiting forgets the one-off dynos of a destroyed app.
func (p *Platform) dropAwaiting(appID string) {
	p.attachMu.Lock()
	defer p.attachMu.Unlock()
	for secret, a := range p.awaiting {
		if a.oneOff.AppID == appID {
			a.late.Stop()
			delete(p.awaiting, secret)
		}
	}
}

// AwaitsTerminal says whether the one-off dyno that waits under secret is to
// have a terminal.
func (p *Platform) AwaitsTerminal(secret string) bool {
	p.attachMu.Lock()
	defer p.attachMu.Unlock()
	return p.awaiting[secret].tty
}

// Attach starts the one-off dyno that waits under secret and connects it to s
// (whose TTY field is set from what RunDyno was asked). It returns when the dyno
// ended. When ctx ends, the client is gone: the dyno gets SIGHUP's meaning,
// that is, it is stopped.
func (p *Platform) Attach(ctx context.Context, secret string, s dyno.Streams) (dyno.Exit, error) {
	a, ok := p.claim(secret)
	if !ok {
		return dyno.Exit{}, api.Errorf(api.NotFound, "That session is over, or its one-off dyno has a client already. Run the command again.")
	}
	a.late.Stop()
	s.TTY = a.tty
	a.oneOff.Streams = &s
	d, err := p.Scheduler.Run(ctx, a.oneOff)
	if err != nil {
		return dyno.Exit{}, err
	}
	exit, err := p.Scheduler.Wait(ctx, d.ID)
	if ctx.Err() != nil {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if err := p.Scheduler.Stop(stop, d.AppID, dyno.Selector{Name: d.Name}); err != nil && api.IDOf(err) != api.NotFound {
			p.Log.Error("cannot stop a one-off dyno whose client has gone", "dyno", d.Name, "err", err)
		}
	}
	return exit, err
}

// dynoEvent writes a line about a one-off dyno in the platform's name.
func (p *Platform) dynoEvent(o dyno.OneOff, message string) {
	p.Logs.Write(o.AppID, api.LogLine{Time: p.Now(), Source: api.SourcePlatform, Proc: o.Name, Message: message})
}
