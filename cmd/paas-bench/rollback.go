package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"paas/api"
	v3 "paas/api/v3"
)

const rollbackTarget = "≤ 0.3 s"

// rollbacks goes back and forth between two releases.
func (b *bench) rollbacks(ctx context.Context) error {
	a, err := b.newApp(ctx, "go", "main.go")
	if err != nil {
		return err
	}
	type target struct {
		says    string
		version int
	}
	var targets [2]target
	for i := range targets {
		if _, err := a.push(ctx, false); err != nil {
			return err
		}
		targets[i].says = fmt.Sprintf("bench-%s-%d", b.id, b.next)
		if targets[i].version, err = a.current(ctx); err != nil {
			return err
		}
	}
	whole := b.report.add("rollback → first answer of the old release (go)", "")
	boot := b.report.add("… of which the app's boot", "")
	rest := b.report.add("… of which the platform", rollbackTarget)
	for i := range b.runs {
		t := targets[i%2]
		wait, cancel := context.WithTimeout(ctx, b.longest)
		since, start := time.Now(), time.Now()
		r, err := b.api.Rollback(wait, a.name, fmt.Sprintf("v%d", t.version))
		if err != nil {
			cancel()
			return err
		}
		at, err := a.answers(wait, t.says)
		cancel()
		if err != nil {
			return err
		}
		booted, err := a.boot(ctx, since)
		if err != nil {
			return err
		}
		took := at.Sub(start)
		b.say("  rollback to v%d: first answer after %v, boot %v", t.version, rounded(took), rounded(booted))
		whole.took(took)
		boot.took(booted)
		rest.took(took - booted)
		if err := a.settled(ctx, r.ID); err != nil {
			return err
		}
	}
	return a.destroy(ctx)
}

// settled waits until a release is current and its dynos are the only ones.
func (a *app) settled(ctx context.Context, release string) error {
	ctx, cancel := context.WithTimeout(ctx, a.b.longest)
	defer cancel()
	for {
		r, err := a.b.api.Release(ctx, a.name, release)
		switch {
		case err != nil:
			return err
		case r.Status == string(api.Succeeded):
			return a.dynos(ctx, api.Web, 1)
		case r.Status == string(api.Failed):
			return fmt.Errorf("release v%d of %s failed", r.Version, a.name)
		}
		time.Sleep(a.b.each)
	}
}

// boot reads from the log how long the newest start of a web dyno took.
func (a *app) boot(ctx context.Context, since time.Time) (time.Duration, error) {
	var lines []string
	n := 200
	err := a.b.api.Logs(ctx, a.name, v3.LogSessionRequest{Lines: &n, Source: api.SourcePlatform, Dyno: api.Web}, func(l string) error {
		lines = append(lines, l)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return bootTime(lines, since)
}

// bootTime finds the last start that came up since then.
func bootTime(lines []string, since time.Time) (time.Duration, error) {
	started := map[string]time.Time{} // by dyno
	var took time.Duration
	for _, l := range lines {
		stamp, rest, _ := strings.Cut(l, " ")
		at, err := time.Parse(api.LogTime, stamp)
		if err != nil || at.Before(since) {
			continue
		}
		dyno, text, _ := strings.Cut(rest, ": ")
		switch {
		case strings.HasPrefix(text, "Starting process with command"):
			started[dyno] = at
		case text == "State changed from starting to up" && !started[dyno].IsZero():
			took = at.Sub(started[dyno])
		}
	}
	if took == 0 {
		return 0, errors.New("the log does not show the start of a web dyno")
	}
	return took, nil
}

// dynoStarts adds a dyno and takes it away again.
func (b *bench) dynoStarts(ctx context.Context) error {
	a, err := b.newApp(ctx, "procfile", "server.pl")
	if err != nil {
		return err
	}
	if _, err := a.push(ctx, false); err != nil && !errors.Is(err, errNoPhase) {
		return err
	}
	web := b.report.add("ps:scale web+1 → up (perl, listening)", "")
	worker := b.report.add("ps:scale worker+1 → up", "")
	for range b.runs {
		for _, s := range []struct {
			processType string
			have        int
			series      *series
		}{{api.Web, 1, web}, {"worker", 0, worker}} {
			took, err := a.scaleUp(ctx, s.processType, s.have)
			if err != nil {
				return err
			}
			b.say("  one more %s: %v", s.processType, rounded(took))
			s.series.took(took)
		}
	}
	return a.destroy(ctx)
}

func (a *app) scaleUp(ctx context.Context, processType string, have int) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, a.b.longest)
	defer cancel()
	start := time.Now()
	if _, err := a.b.api.Scale(ctx, a.name, []v3.FormationUpdate{{Type: processType, Quantity: "+1"}}); err != nil {
		return 0, err
	}
	if err := a.dynos(ctx, processType, have+1); err != nil {
		return 0, err
	}
	took := time.Since(start)
	if _, err := a.b.api.Scale(ctx, a.name, []v3.FormationUpdate{{Type: processType, Quantity: "-1"}}); err != nil {
		return 0, err
	}
	return took, a.dynos(ctx, processType, have)
}
