package auth

import (
	"container/list"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// allowance of failed password logins: burst at once, then one per refill.
type allowance struct {
	burst  int
	refill time.Duration
}

var (
	perEmail   = allowance{burst: 10, refill: time.Minute}
	perAddress = allowance{burst: 30, refill: 10 * time.Second}
)

// maxTracked bounds each of the limiter's tables. What was touched longest ago
// is dropped first: it has refilled most.
const maxTracked = 10_000

// limiter bounds failed password logins by e-mail and by address. A try takes
// from both before the password is looked at, so that many at once gain
// nothing; a success gives back.
type limiter struct {
	mu        sync.Mutex
	emails    buckets[string]
	addresses buckets[netip.Prefix]
}

func newLimiter() *limiter {
	return &limiter{
		emails:    newBuckets[string](perEmail, maxTracked),
		addresses: newBuckets[netip.Prefix](perAddress, maxTracked),
	}
}

// try takes one try, or says how long to wait for one.
func (l *limiter) try(email string, addr netip.Addr, now time.Time) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, a := l.emails.get(emailKey(email), now), l.addresses.get(network(addr), now)
	if wait := max(l.emails.wait(e), l.addresses.wait(a)); wait > 0 {
		return wait, false
	}
	e.left--
	a.left--
	return 0, true
}

// giveBack undoes a try, which succeeded or was not looked at. A success also
// forgives the earlier failures of that e-mail, not those of the address: an
// attacker may own an account.
func (l *limiter) giveBack(email string, addr netip.Addr, now time.Time, success bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, a := l.emails.get(emailKey(email), now), l.addresses.get(network(addr), now)
	e.left, a.left = min(e.left+1, float64(perEmail.burst)), min(a.left+1, float64(perAddress.burst))
	if success {
		e.left = float64(perEmail.burst)
	}
}

// emailKey is what counts as one e-mail; a long one cannot take much memory.
func emailKey(email string) string {
	email = strings.ToLower(strings.ToUpper(email))
	if len(email) > 256 {
		email = email[:256]
	}
	return email
}

// network is what counts as one address: of IPv6 everybody has a whole /64.
func network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address: all those count as one
	}
	return p
}

// bucket is the state of one key.
type bucket[K comparable] struct {
	key  K
	left float64
	at   time.Time // when left was right
}

// buckets is a table of token buckets of bounded size.
type buckets[K comparable] struct {
	allowance
	size   int
	byKey  map[K]*list.Element // of *bucket[K]
	recent *list.List          // most recently touched first
}

func newBuckets[K comparable](a allowance, size int) buckets[K] {
	return buckets[K]{allowance: a, size: size, byKey: map[K]*list.Element{}, recent: list.New()}
}

// get returns the bucket of key as of now. It is valid until the next get.
func (b *buckets[K]) get(key K, now time.Time) *bucket[K] {
	if e, ok := b.byKey[key]; ok {
		b.recent.MoveToFront(e)
		k := e.Value.(*bucket[K])
		if passed := now.Sub(k.at); passed > 0 { // clocks may be set back
			k.left = min(k.left+float64(passed)/float64(b.refill), float64(b.burst))
		}
		k.at = now
		return k
	}
	if len(b.byKey) >= b.size {
		oldest := b.recent.Back()
		b.recent.Remove(oldest)
		delete(b.byKey, oldest.Value.(*bucket[K]).key)
	}
	k := &bucket[K]{key: key, left: float64(b.burst), at: now}
	b.byKey[key] = b.recent.PushFront(k)
	return k
}

// wait is how long until a bucket has one try.
func (b *buckets[K]) wait(k *bucket[K]) time.Duration {
	if k.left >= 1 {
		return 0
	}
	return time.Duration((1 - k.left) * float64(b.refill))
}
