package storetest

import (
	"testing"

	"paas/api"
	"paas/api/store"
)

func accounts(t *testing.T, s store.Store) {
	b, a := account(2), account(1)
	a.Admin = true
	update(t, s, func(tx store.Tx) error {
		if err := tx.CreateAccount(b); err != nil {
			return err
		}
		return tx.CreateAccount(a)
	})
	equal(t, "Account", read(t, s, func(tx store.Tx) (api.Account, error) { return tx.Account(a.ID) }), a)
	equal(t, "Accounts by e-mail", read(t, s, store.Tx.Accounts), []api.Account{a, b})

	changed := b
	changed.Email, changed.Name, changed.Admin, changed.UpdatedAt = "aaa@example.com", "New Name", true, at(9)
	changed.CreatedAt = at(99) // never changes
	update(t, s, func(tx store.Tx) error { return tx.UpdateAccount(changed) })
	changed.CreatedAt = b.CreatedAt
	equal(t, "Accounts after update", read(t, s, store.Tx.Accounts), []api.Account{changed, a})
	equal(t, "AccountByEmail", read(t, s, func(tx store.Tx) (api.Account, error) { return tx.AccountByEmail("aaa@example.com") }), changed)
	missing(t, "old e-mail", s.View(t.Context(), func(tx store.Tx) error {
		_, err := tx.AccountByEmail(b.Email)
		return err
	}))
	conflicts(t, "same id", attempt(t, s, func(tx store.Tx) error {
		again := account(3)
		again.ID = a.ID
		return tx.CreateAccount(again)
	}), store.RuleOther)
}

func accountEmail(t *testing.T, s store.Store) {
	a := account(1)
	a.Email = "Zoë.Straße+tag@Example.com"
	update(t, s, func(tx store.Tx) error {
		if err := tx.CreateAccount(a); err != nil {
			return err
		}
		return tx.CreateAccount(account(2))
	})
	for _, email := range []string{a.Email, "zoë.straße+TAG@example.COM", "ZOË.STRAßE+TAG@EXAMPLE.COM"} {
		got := read(t, s, func(tx store.Tx) (api.Account, error) { return tx.AccountByEmail(email) })
		equal(t, "AccountByEmail "+email, got, a)
	}
	taken := account(3)
	taken.Email = "ZOË.straße+Tag@example.com"
	conflicts(t, "create", attempt(t, s, func(tx store.Tx) error { return tx.CreateAccount(taken) }), store.RuleAccountEmail)
	taken.ID = account(2).ID
	conflicts(t, "update", attempt(t, s, func(tx store.Tx) error { return tx.UpdateAccount(taken) }), store.RuleAccountEmail)
	recased := a
	recased.Email = taken.Email
	update(t, s, func(tx store.Tx) error { return tx.UpdateAccount(recased) })
}

func passwordHash(t *testing.T, s store.Store) {
	a := account(1)
	update(t, s, func(tx store.Tx) error { return tx.CreateAccount(a) })
	hash := func() string {
		t.Helper()
		return read(t, s, func(tx store.Tx) (string, error) { return tx.PasswordHash(a.ID) })
	}
	equal(t, "none", hash(), "")
	update(t, s, func(tx store.Tx) error { return tx.SetPasswordHash(a.ID, "$argon2id$x") })
	equal(t, "set", hash(), "$argon2id$x")
	a.Name = "Other"
	update(t, s, func(tx store.Tx) error { return tx.UpdateAccount(a) })
	equal(t, "kept by UpdateAccount", hash(), "$argon2id$x")
	update(t, s, func(tx store.Tx) error { return tx.SetPasswordHash(a.ID, "") })
	equal(t, "cleared", hash(), "")
}

func keys(t *testing.T, s store.Store) {
	update(t, s, func(tx store.Tx) error {
		if err := tx.CreateAccount(account(1)); err != nil {
			return err
		}
		return tx.CreateAccount(account(2))
	})
	one := api.Key{ID: "k9", AccountID: account(1).ID, Fingerprint: "SHA256:one", PublicKey: "ssh-ed25519 AAAA me", Comment: "me", CreatedAt: at(2)}
	// Made later, but by a clock that went back.
	two := api.Key{ID: "k1", AccountID: account(1).ID, Fingerprint: "SHA256:two", PublicKey: "ssh-ed25519 BBBB", CreatedAt: at(1)}
	other := api.Key{ID: "k5", AccountID: account(2).ID, Fingerprint: "SHA256:other", PublicKey: "ssh-ed25519 CCCC", CreatedAt: at(3)}
	for _, k := range []api.Key{one, other, two} {
		update(t, s, func(tx store.Tx) error { return tx.CreateKey(k) })
	}
	list := func(tx store.Tx) ([]api.Key, error) { return tx.Keys(account(1).ID) }
	equal(t, "Keys", read(t, s, list), []api.Key{one, two})
	equal(t, "KeyByFingerprint", read(t, s, func(tx store.Tx) (api.Key, error) { return tx.KeyByFingerprint("SHA256:other") }), other)

	stolen := api.Key{ID: "k7", AccountID: account(2).ID, Fingerprint: one.Fingerprint, PublicKey: "x"}
	conflicts(t, "fingerprint of another account", attempt(t, s, func(tx store.Tx) error { return tx.CreateKey(stolen) }), store.RuleKeyFingerprint)
	missing(t, "another account's key", attempt(t, s, func(tx store.Tx) error { return tx.DeleteKey(account(2).ID, one.ID) }))
	update(t, s, func(tx store.Tx) error { return tx.DeleteKey(account(1).ID, one.ID) })
	equal(t, "after delete", read(t, s, list), []api.Key{two})
	update(t, s, func(tx store.Tx) error { return tx.CreateKey(stolen) })
}

func authorizations(t *testing.T, s store.Store) {
	update(t, s, func(tx store.Tx) error {
		if err := tx.CreateAccount(account(1)); err != nil {
			return err
		}
		return tx.CreateAccount(account(2))
	})
	one := api.Authorization{ID: "z", AccountID: account(1).ID, Description: "CLI", Scopes: []api.Scope{api.ScopeGlobal}, CreatedAt: at(2)}
	two := api.Authorization{ID: "a", AccountID: account(1).ID, Scopes: []api.Scope{api.ScopeRead, api.ScopeWriteProtected}, CreatedAt: at(1), ExpiresAt: at(60)}
	// Any bytes, zero and invalid UTF-8 included.
	hash1, hash2 := []byte{0, 1, 0xff, 0xfe}, []byte{0, 1, 0xff}
	update(t, s, func(tx store.Tx) error {
		if err := tx.CreateAuthorization(one, hash1); err != nil {
			return err
		}
		return tx.CreateAuthorization(two, hash2)
	})
	list := func(tx store.Tx) ([]api.Authorization, error) { return tx.Authorizations(account(1).ID) }
	equal(t, "Authorizations", read(t, s, list), []api.Authorization{one, two})
	byHash := func(h []byte) func(store.Tx) (api.Authorization, error) {
		return func(tx store.Tx) (api.Authorization, error) { return tx.AuthorizationByHash(h) }
	}
	equal(t, "by hash 1", read(t, s, byHash(hash1)), one)
	equal(t, "by hash 2", read(t, s, byHash(hash2)), two)
	for _, h := range [][]byte{nil, {0}, {0, 1, 0xff, 0xfe, 0}} {
		missing(t, "other hash", s.View(t.Context(), func(tx store.Tx) error {
			_, err := tx.AuthorizationByHash(h)
			return err
		}))
	}
	conflicts(t, "same hash", attempt(t, s, func(tx store.Tx) error {
		return tx.CreateAuthorization(api.Authorization{ID: "b", AccountID: account(2).ID}, hash1)
	}), store.RuleOther)
	missing(t, "another account's", attempt(t, s, func(tx store.Tx) error { return tx.DeleteAuthorization(account(2).ID, one.ID) }))
	update(t, s, func(tx store.Tx) error { return tx.DeleteAuthorization(account(1).ID, one.ID) })
	equal(t, "after delete", read(t, s, list), []api.Authorization{two})
	missing(t, "deleted hash", s.View(t.Context(), func(tx store.Tx) error {
		_, err := tx.AuthorizationByHash(hash1)
		return err
	}))
}
