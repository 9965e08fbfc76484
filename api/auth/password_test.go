package auth

import (
	"context"
	"errors"
	"strings"
	"testing"

	"paas/api"
)

func TestPassword(t *testing.T) {
	p := NewPasswords()
	const password = "correct hörse ☃ staple"
	one, err := p.Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	two, err := p.Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	if one == two {
		t.Error("two hashes have the same salt")
	}
	if !strings.HasPrefix(one, "$argon2id$v=19$m=19456,t=2,p=1$") || strings.Contains(one, "hörse") {
		t.Errorf("hash is %q", one)
	}
	for _, c := range []struct {
		hash, password string
		want           bool
	}{
		{one, password, true},
		{two, password, true},
		{one, password + " ", false},
		{one, "", false},
		{one, strings.Repeat("x", maxPassword+1), false},
		{"", "", false}, // no password is not an empty one
		{"", password, false},
		{password, password, false},
		{one[:len(one)-1], password, false},
		{strings.Replace(one, "argon2id", "argon2i", 1), password, false},
		// Made by the reference implementation: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1
		{"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password", true},
		{"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "passwore", false},
	} {
		if got, err := p.Verify(t.Context(), c.hash, c.password); err != nil || got != c.want {
			t.Errorf("Verify(%q, %.40q) = %v, %v", c.hash, c.password, got, err)
		}
	}
}

func TestCheckPassword(t *testing.T) {
	for password, ok := range map[string]bool{
		"": false, "1234567": false, "12345678": true, "ééééééé": false, "éééééééé": true,
		strings.Repeat("x", maxPassword): true, strings.Repeat("x", maxPassword+1): false, "\xff\xff\xff\xff\xff\xff\xff\xff": false,
	} {
		err := CheckPassword(password)
		if (err == nil) != ok {
			t.Errorf("%.20q: %v", password, err)
		}
		if _, herr := NewPasswords().Hash(t.Context(), password); (herr == nil) != ok {
			t.Errorf("Hash(%.20q): %v", password, herr)
		}
	}
}

// All slots taken: the next waits for its turn as long as its context lives,
// and too many waiting are sent away.
func TestHashingIsBounded(t *testing.T) {
	p := NewPasswords()
	for range maxHashing {
		p.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan error)
	for range maxWaiting {
		go func() {
			_, err := p.Verify(ctx, "", "password")
			results <- err
		}()
	}
	for len(p.waiting) < maxWaiting {
		select {
		case err := <-results:
			t.Fatalf("one did not wait: %v", err)
		default:
		}
	}
	if _, err := p.Verify(t.Context(), "", "password"); api.IDOf(err) != api.Unavailable {
		t.Errorf("one too many: %v", err)
	}
	cancel()
	for range maxWaiting {
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("a waiting one: %v", err)
		}
	}
	for range maxHashing {
		<-p.slots
	}
	if _, err := p.Verify(t.Context(), "", "password"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if _, err := p.Hash(ctx, "password"); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
}

func FuzzParseArgonHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$argon2id$v=19$m=4294967295,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$argon2id$v=19$m=+8,t=01,p=1 $$")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := parseArgonHash(s)
		if err != nil {
			return
		}
		if h.String() != s {
			t.Errorf("%q reads as %q", s, h)
		}
		if h.memory > 256<<10 || h.time > 16 || h.threads == 0 {
			t.Errorf("%q asks for too much", s)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	p := NewPasswords()
	hash, err := p.Hash(b.Context(), "password")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if ok, err := p.Verify(b.Context(), hash, "password"); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
