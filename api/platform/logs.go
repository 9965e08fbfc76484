package platform

import (
	"context"
	"sync"
	"time"

	"paas/api"
)

// Logs is the log hub. dyno/logplex implements it, through the daemon.
type Logs interface {
	Write(appID string, lines ...api.LogLine)
	Tail(ctx context.Context, appID string, f LogFilter, follow bool) (LogSession, error)
	Delete(appID string) error
}

// LogFilter picks lines of an app's log.
type LogFilter struct {
	Lines  int    // how many of the last ones; 0 = none
	Dyno   string // "web.1" or "web"; "" = all
	Source string // "app" or "heroku"; "" = all
	After  int64  // only lines with a greater id (resuming); then Lines is ignored
}

// LogSession reads log lines. It is used by one goroutine.
type LogSession interface {
	// Next returns the next line and its id, io.EOF at the end, or ctx's error.
	Next(ctx context.Context) (int64, api.LogLine, error)
	Close() error
}

// Limits of log sessions, Heroku's.
const (
	DefaultLogLines = 100
	MaxLogLines     = 1500
	logSessionTTL   = 5 * time.Minute
	maxLogSessions  = 1000
)

// logSessions are capabilities to read one app's log: whoever has the id may.
type logSessions struct {
	logMu    sync.Mutex
	sessions map[string]LogSessionRequest
}

func (l *logSessions) init() { l.sessions = map[string]LogSessionRequest{} }

// LogSessionRequest is what a log session shows.
type LogSessionRequest struct {
	ID      string
	AppID   string
	Filter  LogFilter
	Follow  bool
	Created time.Time
	used    bool
}

// CreateLogSession makes a capability to read app's log. It can be opened for
// the first time within five minutes, and again for two hours at least, unless
// very many are made.
func (p *Platform) CreateLogSession(app api.App, f LogFilter, follow bool) (LogSessionRequest, error) {
	if f.Lines < 0 {
		return LogSessionRequest{}, api.Errorf(api.InvalidParams, "lines must not be negative.")
	}
	f.Lines = min(f.Lines, MaxLogLines)
	s := LogSessionRequest{ID: newID(), AppID: app.ID, Filter: f, Follow: follow, Created: p.Now()}
	p.logMu.Lock()
	defer p.logMu.Unlock()
	for id, old := range p.sessions {
		age := s.Created.Sub(old.Created)
		if (!old.used && age > logSessionTTL) || age > 2*time.Hour {
			delete(p.sessions, id)
		}
	}
	if len(p.sessions) >= maxLogSessions && !p.dropOldestSession() {
		return LogSessionRequest{}, api.Errorf(api.RateLimit, "Too many log sessions are open. Try again in some minutes.")
	}
	p.sessions[s.ID] = s
	return s, nil
}

// dropOldestSession makes room by forgetting the session that was opened and
// is the oldest; who reads it reads on, but cannot come back. p.logMu is held.
func (p *Platform) dropOldestSession() bool {
	oldest := ""
	for id, s := range p.sessions {
		if s.used && (oldest == "" || s.Created.Before(p.sessions[oldest].Created)) {
			oldest = id
		}
	}
	delete(p.sessions, oldest)
	return oldest != ""
}

// OpenLogSession starts reading. after, when not 0, resumes behind that line.
func (p *Platform) OpenLogSession(ctx context.Context, id string, after int64) (LogSession, error) {
	p.logMu.Lock()
	s, ok := p.sessions[id]
	if ok && !s.used && p.Now().Sub(s.Created) > logSessionTTL {
		delete(p.sessions, id)
		ok = false
	}
	if ok {
		s.used = true
		p.sessions[id] = s
	}
	p.logMu.Unlock()
	if !ok {
		return nil, api.Missing("log session")
	}
	if after > 0 {
		s.Filter.After = after
	}
	return p.Logs.Tail(ctx, s.AppID, s.Filter, s.Follow)
}

// event writes a line of the platform about what a user did, in Heroku's form.
func (p *Platform) event(appID, message string) {
	p.Logs.Write(appID, api.LogLine{Time: p.Now(), Source: api.SourceApp, Proc: "api", Message: message})
}
