package containerd

import (
	"fmt"
	"time"

	"golang.org/x/time/rate"
)

// A dyno may print this much for long, and burst more; beyond it lines are
// dropped for a second, counted, and told of in the stream.
const (
	floodRate  = 1 << 20
	floodBurst = 8 << 20
	lineCost   = 100 // of storing an empty line
	floodPause = time.Second
)

// flood limits the output of one dyno.
type flood struct {
	bucket  *rate.Limiter
	until   time.Time // dropping until then
	dropped int64     // lines
	skipped int64     // bytes that were not even read
	since   time.Time // of the first of either
}

func newFlood() flood { return flood{bucket: rate.NewLimiter(floodRate, floodBurst)} }

// admit says whether a line of that size may pass, and counts it if not.
func (f *flood) admit(now time.Time, size int) bool {
	if f.paused(now) {
		f.drop(1)
		return false
	}
	if !f.bucket.AllowN(now, size+lineCost) {
		f.until = now.Add(floodPause)
		f.drop(1)
		return false
	}
	return true
}

// paused says that everything is being dropped.
func (f *flood) paused(now time.Time) bool { return now.Before(f.until) }

// drop counts lines that do not pass.
func (f *flood) drop(n int64) {
	f.begin()
	f.dropped += n
}

// skip counts bytes that were not read.
func (f *flood) skip(n int64) {
	f.begin()
	f.skipped += n
}

func (f *flood) begin() {
	if !f.dropping() {
		f.since = time.Now()
	}
}

func (f *flood) dropping() bool { return f.dropped > 0 || f.skipped > 0 }

// pending says how long until the notice is due, if there is one to come.
func (f *flood) pending(now time.Time) (time.Duration, bool) {
	return max(f.until.Sub(now), 0), f.dropping()
}

// notice is what to tell once a pause is over, or now if the dyno ended.
func (f *flood) notice(now time.Time, last bool) (string, bool) {
	if !f.dropping() || (now.Before(f.until) && !last) {
		return "", false
	}
	unread := ""
	if f.skipped > 0 {
		unread = fmt.Sprintf(" and %d bytes", f.skipped)
	}
	text := fmt.Sprintf("Error L10 (output buffer overflow): %d lines%s dropped since %s.", f.dropped, unread, f.since.UTC().Format(time.RFC3339))
	f.dropped, f.skipped = 0, 0
	return text, true
}
