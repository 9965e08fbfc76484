package auth

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// tries counts how many tries pass before one is refused.
func tries(l *limiter, email func(int) string, addr func(int) netip.Addr, now time.Time) (passed int, wait time.Duration) {
	for ; passed < 10*maxTracked; passed++ {
		wait, ok := l.try(email(passed), addr(passed), now)
		if !ok {
			return passed, wait
		}
	}
	return passed, 0
}

func sameEmail(int) string    { return "me@example.com" }
func manyEmails(n int) string { return fmt.Sprintf("%d@example.com", n) }
func sameAddr(int) netip.Addr { return netip.MustParseAddr("192.0.2.1") }
func manyAddrs(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

func TestLimiterPerEmail(t *testing.T) {
	l := newLimiter()
	if n, wait := tries(l, sameEmail, manyAddrs, noon); n != perEmail.burst || wait != perEmail.refill {
		t.Errorf("%d tries, then wait %v", n, wait)
	}
	if _, ok := l.try("ME@Example.com", sameAddr(0), noon); ok {
		t.Error("another case is another e-mail")
	}
	if _, ok := l.try("you@example.com", sameAddr(0), noon); !ok {
		t.Error("somebody else is locked out")
	}
	if n, _ := tries(l, sameEmail, manyAddrs, noon.Add(3*perEmail.refill)); n != 3 {
		t.Errorf("%d tries after three refills", n)
	}
	if n, _ := tries(l, sameEmail, manyAddrs, noon.Add(1000*perEmail.refill)); n != perEmail.burst {
		t.Errorf("%d tries after a long time", n)
	}
}

func TestLimiterPerAddress(t *testing.T) {
	l := newLimiter()
	if n, wait := tries(l, manyEmails, sameAddr, noon); n != perAddress.burst || wait != perAddress.refill {
		t.Errorf("%d tries, then wait %v", n, wait)
	}
	if _, ok := l.try("you@example.com", netip.MustParseAddr("::ffff:192.0.2.1"), noon); ok {
		t.Error("the same address in IPv6 form is another one")
	}
	if _, ok := l.try("you@example.com", netip.MustParseAddr("192.0.2.2"), noon); !ok {
		t.Error("the neighbour is locked out")
	}
	if n, _ := tries(l, manyEmails, sameAddr, noon.Add(-time.Hour)); n != 0 {
		t.Errorf("%d tries after the clock was set back", n)
	}
}

func TestLimiterIPv6(t *testing.T) {
	l := newLimiter()
	n, _ := tries(l, manyEmails, func(n int) netip.Addr {
		return netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", n+1))
	}, noon)
	if n != perAddress.burst {
		t.Errorf("%d tries from one /64", n)
	}
	if _, ok := l.try("you@example.com", netip.MustParseAddr("2001:db8:0:1::1%eth0"), noon); !ok {
		t.Error("the next /64 is locked out")
	}
	if n, _ := tries(l, manyEmails, func(int) netip.Addr { return netip.Addr{} }, noon); n != perAddress.burst {
		t.Errorf("%d tries from no address", n)
	}
}

func TestLimiterGivesBack(t *testing.T) {
	l := newLimiter()
	for range 1000 {
		if _, ok := l.try(sameEmail(0), sameAddr(0), noon); !ok {
			t.Fatal("successes are limited")
		}
		l.giveBack(sameEmail(0), sameAddr(0), noon, true)
	}
	tries(l, sameEmail, sameAddr, noon)
	l.giveBack(sameEmail(0), sameAddr(0), noon, true)
	if n, _ := tries(l, sameEmail, manyAddrs, noon); n != perEmail.burst {
		t.Errorf("%d tries after a success", n)
	}
	l.giveBack(sameEmail(0), manyAddrs(0), noon, false)
	if n, _ := tries(l, sameEmail, manyAddrs, noon); n != 1 {
		t.Errorf("%d tries after one that was not looked at", n)
	}
}

func TestLimiterIsBounded(t *testing.T) {
	l := newLimiter()
	// A locked e-mail that is tried again and again stays locked ...
	tries(l, sameEmail, manyAddrs, noon)
	for n := range 3 * maxTracked {
		l.try(manyEmails(n), manyAddrs(n), noon)
		if n%1000 == 0 {
			if _, ok := l.try(sameEmail(0), manyAddrs(n), noon); ok {
				t.Fatal("others push a lock out")
			}
		}
	}
	// ... and the tables do not grow.
	if len(l.emails.byKey) != maxTracked || l.emails.recent.Len() != maxTracked ||
		len(l.addresses.byKey) != maxTracked || l.addresses.recent.Len() != maxTracked {
		t.Errorf("tables have %d and %d entries", len(l.emails.byKey), len(l.addresses.byKey))
	}
	if len(emailKey(string(make([]byte, 1<<20)))) > 256 {
		t.Error("an e-mail takes a megabyte")
	}
}
