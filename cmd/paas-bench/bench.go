package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"paas/api/client"
	v3 "paas/api/v3"
)

// bench is one run: what it measured, and what it has to clean up.
type bench struct {
	options
	api    *client.Client
	stderr io.Writer
	report report

	dir  string // of clones and ssh's files
	web  *http.Client
	apps []string // made and not yet destroyed
	next int      // for names and versions
	id   string   // of this run
}

func newBench(ctx context.Context, o options, c *client.Client, stderr io.Writer) (*bench, error) {
	who, err := c.Account(ctx)
	if err != nil {
		return nil, err
	}
	b := &bench{options: o, api: c, stderr: stderr, id: strings.ToLower(rand.Text()[:6])}
	if b.dir, err = os.MkdirTemp("", "paas-bench-"); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(b.dir, "ssh"), []byte(sshWrapper), 0o700); err != nil {
		return nil, err
	}
	b.web = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DialContext: b.dial, DisableKeepAlives: true}}
	b.say("as %s, apps are named bench-%s-N", who.Email, b.id)
	return b, nil
}

// sshWrapper is what git calls: the platform's host key is trusted at first
// sight and not remembered. What differs comes by environment.
const sshWrapper = `#!/bin/sh
exec ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o "UserKnownHostsFile=$PAAS_BENCH_HOSTS" ${PAAS_BENCH_KEY:+-i "$PAAS_BENCH_KEY"} "$@"
`

// dial reaches names under localhost on this machine, whatever the resolver
// thinks of them.
func (b *bench) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if b.router != "" {
		addr = b.router
	} else if strings.HasSuffix(host, ".localhost") {
		addr = net.JoinHostPort("127.0.0.1", port)
	}
	return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, addr)
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.stderr, time.Now().Format("15:04:05")+" "+format+"\n", args...)
}

// close destroys whatever is left, also after Ctrl-C.
func (b *bench) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	for _, name := range b.apps {
		if _, err := b.api.DestroyApp(ctx, name); err != nil {
			b.say("cannot destroy %s: %v", name, err)
		}
	}
	if err := os.RemoveAll(b.dir); err != nil {
		b.say("cannot clean up: %v", err)
	}
}

// app is an app of the bench with its clone.
type app struct {
	b        *bench
	name     string
	address  string
	dir      string
	file     string // the one that has the version
	template string // its text, with version "v1"
}

// newApp makes an app and a repository of a sample, not pushed yet.
func (b *bench) newApp(ctx context.Context, sample, file string) (*app, error) {
	b.next++
	made, err := b.api.CreateApp(ctx, fmt.Sprintf("bench-%s-%d", b.id, b.next), "")
	if err != nil {
		return nil, err
	}
	b.apps = append(b.apps, made.Name)
	if made.WebURL == nil {
		return nil, fmt.Errorf("app %s has no address", made.Name)
	}
	if _, err := url.Parse(*made.WebURL); err != nil {
		return nil, err
	}
	a := &app{b: b, name: made.Name, address: *made.WebURL, dir: filepath.Join(b.dir, made.Name), file: file}
	if err := os.CopyFS(a.dir, os.DirFS(filepath.Join(b.source, "cmd", "paas-bench", "samples", sample))); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(a.dir, file))
	if err != nil {
		return nil, err
	}
	if a.template = string(text); strings.Count(a.template, `"v1"`) != 1 {
		return nil, fmt.Errorf("%s of the sample %s does not say \"v1\" once", file, sample)
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"remote", "add", "paas", made.GitURL}} {
		if err := a.git(ctx, args...); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// destroy ends an app before the end of the run.
func (a *app) destroy(ctx context.Context) error {
	if _, err := a.b.api.DestroyApp(ctx, a.name); err != nil {
		return err
	}
	for i, name := range a.b.apps {
		if name == a.name {
			a.b.apps = append(a.b.apps[:i], a.b.apps[i+1:]...)
			break
		}
	}
	return nil
}

// commit records a new version and returns what the app will say then. An
// empty one changes nothing of the tree.
func (a *app) commit(ctx context.Context, empty bool) (version string, err error) {
	a.b.next++
	version = fmt.Sprintf("bench-%s-%d", a.b.id, a.b.next)
	if !empty {
		text := strings.Replace(a.template, `"v1"`, `"`+version+`"`, 1)
		if err := os.WriteFile(filepath.Join(a.dir, a.file), []byte(text), 0o644); err != nil {
			return "", err
		}
	}
	if err := a.git(ctx, "add", "-A"); err != nil {
		return "", err
	}
	return version, a.git(ctx, "commit", "-q", "--allow-empty", "-m", version)
}

func (a *app) git(ctx context.Context, args ...string) error {
	out, err := a.gitCommand(ctx, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("git %s: %w\n%s", args[0], err, out)
	}
	return nil
}

func (a *app) gitCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "user.name=paas-bench", "-c", "user.email=paas-bench@localhost", "-c", "commit.gpgsign=false"}, args...)...)
	cmd.Dir = a.dir
	own := slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "GIT_") })
	cmd.Env = append(own, "GIT_SSH="+filepath.Join(a.b.dir, "ssh"), "GIT_SSH_VARIANT=ssh",
		"PAAS_BENCH_HOSTS="+filepath.Join(a.b.dir, "known_hosts"), "PAAS_BENCH_KEY="+a.b.key, "GIT_TERMINAL_PROMPT=0")
	return cmd
}

// answers waits until the app's answer has text in it and returns when it had.
func (a *app) answers(ctx context.Context, text string) (time.Time, error) {
	var last string
	for {
		body, err := a.get(ctx)
		at := time.Now()
		switch {
		case err == nil && strings.Contains(body, text):
			return at, nil
		case err != nil:
			last = err.Error()
		default:
			last = body[:min(len(body), 200)]
		}
		select {
		case <-time.After(a.b.each):
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("%s never said %q, but: %s", a.address, text, last)
		}
	}
}

func (a *app) get(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.address, nil)
	if err != nil {
		return "", err
	}
	resp, err := a.b.web.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return string(body), err
}

// dynos waits until the app's dynos of a type are n, all up.
func (a *app) dynos(ctx context.Context, processType string, n int) error {
	for {
		all, err := a.b.api.Dynos(ctx, a.name)
		if err != nil {
			return err
		}
		if upOnly(all, processType, n) {
			return nil
		}
		select {
		case <-time.After(a.b.each):
		case <-ctx.Done():
			return fmt.Errorf("%s never had %d dynos of type %s up", a.name, n, processType)
		}
	}
}

func upOnly(all []v3.Dyno, processType string, n int) bool {
	for _, d := range all {
		if d.Type == processType {
			if d.State != "up" {
				return false
			}
			n--
		}
	}
	return n == 0
}

// current returns the version of the current release.
func (a *app) current(ctx context.Context) (int, error) {
	r, err := a.b.api.Release(ctx, a.name, "current")
	return r.Version, err
}

var errNoPhase = errors.New("the build's output does not show when the buildpack worked")
