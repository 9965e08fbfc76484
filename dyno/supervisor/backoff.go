package supervisor

import "time"

// The delays of the package doc.
const (
	firstDelay   = 10 * time.Second
	longestDelay = 10 * time.Minute
	// steadyAfter is how long a dyno has to be up for its crashes to be
	// forgotten.
	steadyAfter = 10 * time.Minute
)

// backoff is how long to wait after the nth crash in a row.
func backoff(crashes int) time.Duration {
	if crashes <= 1 {
		return 0
	}
	d := firstDelay
	for range crashes - 2 {
		if d *= 2; d >= longestDelay {
			return longestDelay
		}
	}
	return d
}
