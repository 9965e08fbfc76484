package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// targets of the project for pushes.
const (
	pushTarget      = "≤ 1.5 s"
	unchangedTarget = "≤ 1.5 s"
)

// pushes measures first pushes, pushes with one changed file, and pushes that
// change nothing.
func (b *bench) pushes(ctx context.Context, sample, file string) error {
	var first *app
	cold := b.report.add("push → live, "+sample+", first push", "")
	coldOwn := b.report.add("… of which the buildpack", "")
	for i := range b.colds {
		a, err := b.newApp(ctx, sample, file)
		if err != nil {
			return err
		}
		p, err := a.push(ctx, false)
		if err != nil {
			return err
		}
		b.say("  first push: %v", p)
		cold.took(p.live)
		coldOwn.took(p.buildpack)
		if i == 0 {
			first = a
		} else if err := a.destroy(ctx); err != nil {
			return err
		}
	}
	warm := b.report.add("push → live, "+sample+", one file changed", "")
	own := b.report.add("… of which the buildpack", "")
	rest := b.report.add("… of which the platform", pushTarget)
	for range b.runs {
		p, err := first.push(ctx, false)
		if err != nil {
			return err
		}
		b.say("  one file changed: %v", p)
		warm.took(p.live)
		own.took(p.buildpack)
		rest.took(p.live - p.buildpack)
	}
	same := b.report.add("push → released, "+sample+", nothing changed", unchangedTarget)
	for range b.runs {
		p, err := first.push(ctx, true)
		if err != nil {
			return err
		}
		b.say("  nothing changed: %v", p)
		same.took(p.live)
	}
	return first.destroy(ctx)
}

// push is one measured push.
type push struct {
	live      time.Duration // until the first answer of the new version
	returned  time.Duration // until git push ended
	buildpack time.Duration
}

func (p push) String() string {
	return fmt.Sprintf("live after %v, buildpack %v, git push ended after %v", rounded(p.live), rounded(p.buildpack), rounded(p.returned))
}

// push commits and pushes. With unchanged nothing can be seen of the new
// release from outside, so it is live when git push says so.
func (a *app) push(ctx context.Context, unchanged bool) (push, error) {
	ctx, cancel := context.WithTimeout(ctx, a.b.longest)
	defer cancel()
	version, err := a.commit(ctx, unchanged)
	if err != nil {
		return push{}, err
	}
	before, err := a.current(ctx)
	if err != nil {
		return push{}, err
	}
	type answer struct {
		at  time.Time
		err error
	}
	live := make(chan answer, 1)
	start := time.Now()
	if !unchanged {
		go func() {
			at, err := a.answers(ctx, version)
			live <- answer{at, err}
		}()
	}
	lines, err := a.gitPush(ctx)
	p := push{returned: time.Since(start)}
	if a.b.trace {
		for _, l := range lines {
			a.b.say("    %7.3f s  %s", l.at.Sub(start).Seconds(), l.text)
		}
	}
	if err != nil {
		return p, err
	}
	if unchanged {
		p.live = p.returned
		after, err := a.current(ctx)
		if err == nil && after <= before {
			err = fmt.Errorf("git push made no release of %s", a.name)
		}
		return p, err
	}
	got := <-live
	if got.err != nil {
		return p, got.err
	}
	p.live = got.at.Sub(start)
	p.buildpack, err = buildpackTime(lines)
	return p, err
}

// line is one line of output and when it came.
type line struct {
	at   time.Time
	text string
}

// gitPush pushes main and returns what git showed.
func (a *app) gitPush(ctx context.Context) ([]line, error) {
	cmd := a.gitCommand(ctx, "push", "paas", "main")
	out, in := io.Pipe()
	cmd.Stdout, cmd.Stderr = in, in
	var lines []line
	read := make(chan error, 1)
	go func() {
		var err error
		lines, err = readLines(out)
		out.CloseWithError(err)
		read <- err
	}()
	err := cmd.Run()
	err = errors.Join(err, in.Close(), <-read)
	if err != nil {
		last := ""
		for _, l := range lines[max(0, len(lines)-15):] {
			last += "\n    " + l.text
		}
		return lines, fmt.Errorf("git push: %w%s", err, last)
	}
	return lines, nil
}

// readLines stamps each line as it comes, without "remote: ".
func readLines(r io.Reader) ([]line, error) {
	var lines []line
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		text := strings.TrimRight(strings.TrimPrefix(s.Text(), "remote: "), " \r")
		lines = append(lines, line{time.Now(), text})
	}
	return lines, s.Err()
}

// buildpackTime is the time from the line that says what was detected to the
// one behind the last buildpack.
func buildpackTime(lines []line) (time.Duration, error) {
	var from, to time.Time
	for _, l := range lines {
		switch {
		case from.IsZero() && strings.HasPrefix(l.text, "-----> ") && strings.HasSuffix(l.text, " app detected"):
			from = l.at
		case strings.HasPrefix(l.text, "-----> Discovering process types"):
			to = l.at
		}
	}
	if from.IsZero() || to.Before(from) {
		return 0, errNoPhase
	}
	return to.Sub(from), nil
}
