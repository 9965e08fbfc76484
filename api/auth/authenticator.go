package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"paas/api"
	"paas/api/store"
)

// Options are what an Authenticator needs; all are required.
type Options struct {
	Store     store.Store
	Passwords *Passwords
	Now       func() time.Time
}

// Authenticator finds out who is calling. All methods may be called
// concurrently. Their errors are *api.Error of Unauthorized or RateLimit, or
// internal failures.
type Authenticator struct {
	store     store.Store
	passwords *Passwords
	now       func() time.Time
	limiter   *limiter
}

// New makes an Authenticator.
func New(o Options) *Authenticator {
	return &Authenticator{store: o.Store, passwords: o.Passwords, now: o.Now, limiter: newLimiter()}
}

func invalidCredentials() error {
	return api.Errorf(api.Unauthorized, "Invalid credentials provided.")
}

// Token authenticates a request by its Authorization header: a Bearer token,
// or Basic with any name and the token as password.
func (a *Authenticator) Token(ctx context.Context, header string) (Principal, error) {
	c, ok := parseHeader(header)
	if !ok {
		return Principal{}, invalidCredentials()
	}
	return a.token(ctx, c.secret)
}

func (a *Authenticator) token(ctx context.Context, secret string) (Principal, error) {
	token, ok := tokenOf(secret)
	if !ok {
		return Principal{}, invalidCredentials()
	}
	var p Principal
	err := a.store.View(ctx, func(tx store.Tx) error {
		found, err := tx.AuthorizationByHash(token.Hash())
		if err != nil {
			return err
		}
		if !found.ExpiresAt.IsZero() && !a.now().Before(found.ExpiresAt) {
			return store.ErrNotFound
		}
		p.Scopes, p.AuthorizationID = found.Scopes, found.ID
		p.Account, err = tx.Account(found.AccountID)
		return err
	})
	return known(p, "token", err)
}

// Key authenticates the owner of an SSH key by its fingerprint as ParseKey
// gives it. The caller MUST have seen proof that the client holds the private
// half, except to find out whether a key is worth a proof.
func (a *Authenticator) Key(ctx context.Context, fingerprint string) (Principal, error) {
	p := Principal{Scopes: []api.Scope{api.ScopeGlobal}}
	err := a.store.View(ctx, func(tx store.Tx) error {
		key, err := tx.KeyByFingerprint(fingerprint)
		if err != nil {
			return err
		}
		p.KeyID = key.ID
		p.Account, err = tx.Account(key.AccountID)
		return err
	})
	return known(p, "key", err)
}

// known folds what the store said of a principal.
func known(p Principal, by string, err error) (Principal, error) {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Principal{}, invalidCredentials()
	case err != nil:
		return Principal{}, fmt.Errorf("cannot authenticate by %s: %w", by, err)
	}
	return p, nil
}

// Login authenticates a request for a new token: like Token, or by Basic with
// e-mail and password. addr is where the request comes from.
func (a *Authenticator) Login(ctx context.Context, header string, addr netip.Addr) (Principal, error) {
	c, ok := parseHeader(header)
	if !ok {
		return Principal{}, invalidCredentials()
	}
	if _, ok := tokenOf(c.secret); ok || c.name == "" {
		return a.token(ctx, c.secret)
	}
	return a.Password(ctx, c.name, c.secret, addr)
}

// Password authenticates by e-mail and password. Failures count against both
// the e-mail and addr.
func (a *Authenticator) Password(ctx context.Context, email, password string, addr netip.Addr) (Principal, error) {
	if wait, ok := a.limiter.try(email, addr, a.now()); !ok {
		return Principal{}, api.Errorf(api.RateLimit, "Too many failed logins. Try again in %v.", roundUp(wait))
	}
	p, ok, err := a.password(ctx, email, password)
	if err != nil || ok {
		a.limiter.giveBack(email, addr, a.now(), ok)
	}
	switch {
	case err != nil:
		return Principal{}, fmt.Errorf("cannot authenticate by password: %w", err)
	case !ok:
		return Principal{}, invalidCredentials()
	}
	return p, nil
}

// password verifies. The hash is read first and argon2 runs outside the
// transaction; with no account it runs all the same.
func (a *Authenticator) password(ctx context.Context, email, password string) (Principal, bool, error) {
	p := Principal{Scopes: []api.Scope{api.ScopeGlobal}}
	var hash string
	err := a.store.View(ctx, func(tx store.Tx) (err error) {
		if p.Account, err = tx.AccountByEmail(email); err != nil {
			return err
		}
		hash, err = tx.PasswordHash(p.Account.ID)
		return err
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return Principal{}, false, err
	}
	ok, err := a.passwords.Verify(ctx, hash, password)
	return p, ok, err
}

// roundUp makes a wait readable.
func roundUp(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}
