package api

import (
	"fmt"
	"time"
)

// LogLine is one record of an app's log stream.
type LogLine struct {
	Time   time.Time
	Source string // "app" or "heroku"
	Proc   string // "web.1", "router", "api"
	// Message is one line without its newline, at most MaxLogLine bytes;
	// longer output is split by whoever reads it.
	Message string
}

// Log sources, as Heroku names them ("app" also for platform events made by
// users, with Proc "api").
const (
	SourceApp      = "app"
	SourcePlatform = "heroku"
)

// MaxLogLine is the longest message; Heroku splits at the same size.
const MaxLogLine = 10_000

// LogTime is the layout of a log line's time: RFC 3339, microseconds, numeric
// zone, always UTC ("+00:00").
const LogTime = "2006-01-02T15:04:05.000000-07:00"

// String is the line as `logs` prints it:
// 2026-01-01T00:00:01.123456+00:00 app[web.1]: text
func (l LogLine) String() string {
	return fmt.Sprintf("%s %s[%s]: %s", l.Time.UTC().Format(LogTime), l.Source, l.Proc, l.Message)
}
