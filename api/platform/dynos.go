package platform

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"math/big"
	"strings"
	"time"

	"paas/api"
	"paas/api/auth"
	"paas/api/store"
	"paas/dyno"
)

// Dynos lists an app's dynos, one-offs included. Those that are only finishing
// their last requests are left out.
func (p *Platform) Dynos(app api.App) []api.Dyno {
	var out []api.Dyno
	for _, d := range p.Scheduler.Dynos(app.ID) {
		if !d.Retired {
			out = append(out, d.Dyno)
		}
	}
	return out
}

// Dyno finds one by name or id.
func (p *Platform) Dyno(app api.App, nameOrID string) (api.Dyno, error) {
	for _, d := range p.Dynos(app) {
		if d.Name == nameOrID || d.ID == nameOrID {
			return d, nil
		}
	}
	return api.Dyno{}, api.Missing("dyno")
}

// RestartDynos replaces dynos of an app: all of the formation, those of a type, or
// one by name or id. New ones are up before old ones stop.
func (p *Platform) RestartDynos(ctx context.Context, who auth.Principal, app api.App, s dyno.Selector) error {
	if err := p.byName(app, &s); err != nil {
		return err
	}
	p.event(app.ID, "Restart "+selected(s)+" by user "+who.Account.Email)
	return p.Scheduler.Restart(ctx, app.ID, s)
}

// StopDynos stops dynos of an app; those of the formation are started again.
func (p *Platform) StopDynos(ctx context.Context, who auth.Principal, app api.App, s dyno.Selector) error {
	if err := p.byName(app, &s); err != nil {
		return err
	}
	p.event(app.ID, "Stop "+selected(s)+" by user "+who.Account.Email)
	return p.Scheduler.Stop(ctx, app.ID, s)
}

// byName lets a selector's name be an id.
func (p *Platform) byName(app api.App, s *dyno.Selector) error {
	if s.Name == "" {
		return nil
	}
	d, err := p.Dyno(app, s.Name)
	s.Name = d.Name
	return err
}

func selected(s dyno.Selector) string {
	switch {
	case s.Name != "":
		return s.Name
	case s.Type != "":
		return s.Type
	}
	return "all dynos"
}

// RunRequest asks for a one-off dyno.
type RunRequest struct {
	Command string // a command line, or the name of a process type
	Type    string // "" = "run"
	Size    string // "" = the default
	Env     map[string]string
	Attach  bool
	TTY     bool          // with Attach: give it a terminal
	TTL     time.Duration // 0 = 24 h
}

// RunDyno starts a one-off dyno of the current release. With Attach nothing runs
// until Attach is called with the returned secret.
func (p *Platform) RunDyno(ctx context.Context, who auth.Principal, app api.App, r RunRequest) (d api.Dyno, attach string, err error) {
	o, err := p.oneOff(ctx, app, r)
	if err != nil {
		return api.Dyno{}, "", err
	}
	p.event(app.ID, fmt.Sprintf("Starting process with command `%s` by user %s", o.Command, who.Account.Email))
	if !r.Attach {
		d, err = p.Scheduler.Run(ctx, o)
		return d, "", err
	}
	d = api.Dyno{
		ID: o.ID, AppID: app.ID, Name: o.Name, Type: o.Type, Release: o.Release.Version, Command: o.Command,
		Size: o.Size.Name, State: api.Starting, CreatedAt: p.Now(), UpdatedAt: p.Now(),
	}
	attach, err = p.await(o, r.TTY)
	return d, attach, err
}

func (p *Platform) oneOff(ctx context.Context, app api.App, r RunRequest) (dyno.OneOff, error) {
	if strings.TrimSpace(r.Command) == "" {
		return dyno.OneOff{}, api.Errorf(api.InvalidParams, "Say which command to run.")
	}
	if r.Type == "" {
		r.Type = "run"
	}
	if err := api.CheckProcessType(r.Type); err != nil {
		return dyno.OneOff{}, err
	}
	if r.Size == "" {
		r.Size = api.DefaultDynoSize
	}
	size, err := api.SizeNamed(r.Size)
	if err != nil {
		return dyno.OneOff{}, err
	}
	if r.TTL < 0 || r.TTL > 24*time.Hour {
		return dyno.OneOff{}, api.Errorf(api.InvalidParams, "time_to_live must be from 1 to 86400 seconds.")
	}
	for key := range r.Env {
		if err := api.CheckConfigKey(key); err != nil {
			return dyno.OneOff{}, err
		}
	}
	var release *dyno.Release
	err = p.Store.View(ctx, func(tx store.Tx) error {
		fresh, err := tx.App(app.ID)
		if err != nil {
			return fold(err, "app")
		}
		release, err = p.wanted(tx, fresh, fresh.Current)
		return err
	})
	if err != nil {
		return dyno.OneOff{}, err
	}
	if release == nil {
		return dyno.OneOff{}, api.Errorf(api.InvalidParams, "Nothing has been deployed to %s yet. Push first: git push paas main", app.Name)
	}
	for _, proc := range release.Processes {
		if proc.Type == r.Command {
			r.Command = proc.Command
		}
	}
	maps.Copy(release.Env, r.Env)
	return dyno.OneOff{
		ID: newID(), Name: p.freeName(app, r.Type), AppID: app.ID, AppName: app.Name, Type: r.Type,
		Release: *release, Command: r.Command, Size: size, TimeToLive: r.TTL,
	}, nil
}

// freeName picks a name like run.4821 that no dyno of the app has.
func (p *Platform) freeName(app api.App, processType string) string {
	taken := map[string]bool{}
	for _, d := range p.Scheduler.Dynos(app.ID) {
		taken[d.Name] = true
	}
	for {
		n, err := rand.Int(rand.Reader, big.NewInt(9000))
		if err != nil {
			panic("crypto/rand does not fail: " + err.Error())
		}
		if name := fmt.Sprintf("%s.%d", processType, 1000+n.Int64()); !taken[name] {
			return name
		}
	}
}
