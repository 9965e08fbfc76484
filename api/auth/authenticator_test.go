package auth_test

import (
	"context"
	"encoding/base64"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"paas/api"
	"paas/api/auth"
	"paas/api/store"
	"paas/api/store/sqlstore"
)

const password = "correct horse"

var home = netip.MustParseAddr("192.0.2.7")

// house is a store with one account that has a token, a key and a password,
// and one that has nothing.
type house struct {
	*auth.Authenticator
	store   store.Store
	token   auth.Token
	expires auth.Token // at noon + 1 h
	account api.Account

	mu  sync.Mutex
	now time.Time
}

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

func newHouse(t *testing.T) *house {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), filepath.Join(t.TempDir(), "paas.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	passwords := auth.NewPasswords()
	hash, err := passwords.Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{
		store: db, token: auth.NewToken(), expires: auth.NewToken(), now: time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC),
		account: api.Account{ID: "me", Email: "Me@example.com", Admin: true},
	}
	h.Authenticator = auth.New(auth.Options{Store: db, Passwords: passwords, Now: h.clock})
	err = db.Update(t.Context(), func(tx store.Tx) error {
		for _, err := range []error{
			tx.CreateAccount(h.account),
			tx.SetPasswordHash("me", hash),
			tx.CreateAccount(api.Account{ID: "bare", Email: "bare@example.com"}),
			tx.CreateKey(api.Key{ID: "key", AccountID: "me", Fingerprint: "SHA256:mine"}),
			tx.CreateAuthorization(api.Authorization{ID: "token", AccountID: "me", Scopes: []api.Scope{"read"}}, h.token.Hash()),
			tx.CreateAuthorization(api.Authorization{ID: "expires", AccountID: "me", Scopes: []api.Scope{"global"},
				ExpiresAt: h.now.Add(time.Hour)}, h.expires.Hash()),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func basic(name, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+secret))
}

func wants(t *testing.T, what string, got error, id api.ErrorID) {
	t.Helper()
	if api.IDOf(got) != id {
		t.Errorf("%s: %v, want %q", what, got, id)
	}
}

func TestToken(t *testing.T) {
	h := newHouse(t)
	secret := h.token.Reveal()
	for _, header := range []string{"Bearer " + secret, basic("", secret), basic("heroku", secret), basic("nobody@example.com", secret)} {
		p, err := h.Token(t.Context(), header)
		wants(t, header, err, "")
		if p.Account != h.account || p.AuthorizationID != "token" || p.KeyID != "" || !slices.Equal(p.Scopes, []api.Scope{"read"}) {
			t.Errorf("%s: %+v", header, p)
		}
	}
	for _, header := range []string{
		"", secret, "Bearer", "Bearer x", "Bearer " + auth.NewToken().Reveal(), "Digest " + secret, basic(secret, ""), basic("Me@example.com", password),
		"Bearer " + string(h.token.Hash()),
	} {
		p, err := h.Token(t.Context(), header)
		wants(t, header, err, api.Unauthorized)
		if p.Account.ID != "" || p.Scopes != nil {
			t.Errorf("%s: refused, but left %+v", header, p)
		}
	}
}

func TestTokenEnds(t *testing.T) {
	h := newHouse(t)
	header := "Bearer " + h.expires.Reveal()
	h.pass(time.Hour - time.Millisecond)
	_, err := h.Token(t.Context(), header)
	wants(t, "just before", err, "")
	h.pass(time.Millisecond)
	_, err = h.Token(t.Context(), header)
	wants(t, "at its end", err, api.Unauthorized)

	err = h.store.Update(t.Context(), func(tx store.Tx) error { return tx.DeleteAuthorization("me", "token") })
	wants(t, "revoke", err, "")
	_, err = h.Token(t.Context(), "Bearer "+h.token.Reveal())
	wants(t, "revoked", err, api.Unauthorized)
}

func TestKey(t *testing.T) {
	h := newHouse(t)
	p, err := h.Key(t.Context(), "SHA256:mine")
	wants(t, "key", err, "")
	if p.Account != h.account || p.KeyID != "key" || !auth.Can(p, auth.Self, api.App{}, nil) {
		t.Errorf("principal is %+v", p)
	}
	for _, f := range []string{"", "SHA256:other", "sha256:mine", "key"} {
		_, err := h.Key(t.Context(), f)
		wants(t, f, err, api.Unauthorized)
	}
}

func TestLogin(t *testing.T) {
	h := newHouse(t)
	for _, email := range []string{"Me@example.com", "ME@EXAMPLE.COM"} {
		p, err := h.Login(t.Context(), basic(email, password), home)
		wants(t, email, err, "")
		if p.Account != h.account || p.AuthorizationID != "" || !auth.Can(p, auth.Self, api.App{}, nil) {
			t.Errorf("principal is %+v", p)
		}
	}
	p, err := h.Login(t.Context(), basic("whoever", h.token.Reveal()), home)
	wants(t, "token", err, "")
	if p.AuthorizationID != "token" {
		t.Errorf("principal is %+v", p)
	}
	for _, header := range []string{
		"", basic("me@example.com", "wrong"), basic("bare@example.com", password), basic("nobody@example.com", password),
		basic("", password), "Bearer " + password, basic("x", auth.NewToken().Reveal()),
	} {
		p, err := h.Login(t.Context(), header, home)
		wants(t, header, err, api.Unauthorized)
		if p.Account.ID != "" || p.Scopes != nil {
			t.Errorf("%s: refused, but left %+v", header, p)
		}
	}
}

func TestFailedLoginsAreLimited(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	failed := 0
	var err error
	for ; failed < 100; failed++ {
		if _, err = h.Password(ctx, "me@example.com", "wrong", home); api.IDOf(err) != api.Unauthorized {
			break
		}
	}
	wants(t, "after many", err, api.RateLimit)
	if failed < 3 || failed > 20 {
		t.Errorf("%d tries were looked at", failed)
	}
	_, err = h.Password(ctx, "Me@Example.com", password, netip.MustParseAddr("192.0.2.99"))
	wants(t, "right password from elsewhere", err, api.RateLimit)
	_, err = h.Token(ctx, basic("me@example.com", h.token.Reveal()))
	wants(t, "token meanwhile", err, "")
	_, err = h.Key(ctx, "SHA256:mine")
	wants(t, "key meanwhile", err, "")

	h.pass(time.Minute)
	_, err = h.Password(ctx, "me@example.com", password, home)
	wants(t, "a minute later", err, "")
}

// An outage is not a wrong password, and does not count as one.
func TestOutage(t *testing.T) {
	h := newHouse(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		_, err := h.Password(ended, "me@example.com", password, home)
		wants(t, "password", err, api.Internal)
	}
	_, err := h.Token(ended, "Bearer "+h.token.Reveal())
	wants(t, "token", err, api.Internal)
	_, err = h.Key(ended, "SHA256:mine")
	wants(t, "key", err, api.Internal)
	_, err = h.Password(t.Context(), "me@example.com", password, home)
	wants(t, "afterwards", err, "")
}
