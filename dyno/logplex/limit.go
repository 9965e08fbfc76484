package logplex

import (
	"fmt"
	"time"

	"paas/api"
)

// bucket limits lines. A line takes a token, a long one several, so that it
// limits bytes as well.
type bucket struct {
	tokens float64
	at     time.Time // when tokens was right
}

// bytesPerToken is what a line may have for one token.
const bytesPerToken = 512

// take reports whether a line may pass.
func (b *bucket) take(l api.LogLine, now time.Time, rate, burst float64) bool {
	if b.at.IsZero() {
		b.tokens = burst
	} else if d := now.Sub(b.at); d > 0 {
		b.tokens = min(burst, b.tokens+d.Seconds()*rate)
	}
	b.at = now
	cost := 1 + float64(len(l.Message)/bytesPerToken)
	if b.tokens < cost {
		return false
	}
	b.tokens -= cost
	return true
}

// drops counts lines that were not stored, to be told in the stream.
type drops struct {
	n     int64
	since time.Time
}

func (d *drops) add(n int, now time.Time) {
	if n > 0 && d.n == 0 {
		d.since = now
	}
	d.n += int64(n)
}

// tellAfter is how long drops are counted before they are told: once a second
// is often enough, and a flood of such lines would be one more flood.
const tellAfter = time.Second

func (d *drops) due(now time.Time) bool { return d.n > 0 && now.Sub(d.since) >= tellAfter }

func overflow(code, what string, n int64, since, now time.Time) api.LogLine {
	return api.LogLine{
		Time: now.UTC(), Source: api.SourcePlatform, Proc: "logplex",
		Message: fmt.Sprintf("Error %s (%s): %d messages dropped since %s", code, what, n, since.UTC().Format(api.LogTime)),
	}
}
