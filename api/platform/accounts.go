package platform

import (
	"context"
	"errors"
	"net/mail"
	"strings"
	"time"

	"paas/api"
	"paas/api/auth"
	"paas/api/store"
)

// CreateAccount makes an account without password or key. The e-mail address
// must be free.
func (p *Platform) CreateAccount(ctx context.Context, email, name string, admin bool) (api.Account, error) {
	return CreateAccount(ctx, p.Store, p.Now(), email, name, admin)
}

// CreateAccount is the use case alone, for `paasd account:create`, which works
// on the database beside a running paasd.
func CreateAccount(ctx context.Context, s store.Store, now time.Time, email, name string, admin bool) (api.Account, error) {
	addr, err := mail.ParseAddress(email)
	if err != nil || addr.Address != email || len(email) > 254 {
		return api.Account{}, api.Errorf(api.InvalidParams, "%q is not an e-mail address.", email)
	}
	a := api.Account{ID: newID(), Email: email, Name: name, Admin: admin, CreatedAt: now, UpdatedAt: now}
	err = s.Update(ctx, func(tx store.Tx) error { return tx.CreateAccount(a) })
	if conflicts(err, store.RuleAccountEmail) {
		return api.Account{}, api.Errorf(api.InvalidParams, "E-mail %s is already taken.", email)
	}
	return a, err
}

// Account finds one by id or e-mail. Only the account itself and admins see
// it.
func (p *Platform) Account(ctx context.Context, who auth.Principal, idOrEmail string) (api.Account, error) {
	var a api.Account
	err := p.Store.View(ctx, func(tx store.Tx) (err error) {
		if strings.Contains(idOrEmail, "@") {
			a, err = tx.AccountByEmail(idOrEmail)
		} else {
			a, err = tx.Account(idOrEmail)
		}
		return err
	})
	if err == nil && a.ID != who.Account.ID && !who.Account.Admin {
		return api.Account{}, api.Missing("account")
	}
	return a, fold(err, "account")
}

// Owner names the account that owns app.
func (p *Platform) Owner(ctx context.Context, app api.App) (api.Account, error) {
	var a api.Account
	err := p.Store.View(ctx, func(tx store.Tx) (err error) {
		a, err = tx.Account(app.OwnerID)
		return err
	})
	return a, fold(err, "account")
}

// Keys lists who's SSH keys, oldest first.
func (p *Platform) Keys(ctx context.Context, who auth.Principal) (keys []api.Key, err error) {
	err = p.Store.View(ctx, func(tx store.Tx) error {
		keys, err = tx.Keys(who.Account.ID)
		return err
	})
	return keys, err
}

// AddKey adds an SSH public key, one line as in an authorized_keys file.
func (p *Platform) AddKey(ctx context.Context, who auth.Principal, line string) (api.Key, error) {
	k, err := auth.ParseKey(line)
	if err != nil {
		return api.Key{}, err
	}
	k.ID, k.AccountID, k.CreatedAt = newID(), who.Account.ID, p.Now()
	err = p.Store.Update(ctx, func(tx store.Tx) error { return tx.CreateKey(k) })
	if conflicts(err, store.RuleKeyFingerprint) {
		return api.Key{}, api.Errorf(api.InvalidParams, "Fingerprint already exists. Each SSH key can belong to one account, once.")
	}
	return k, err
}

// RemoveKey removes one of who's keys by id, fingerprint or comment.
func (p *Platform) RemoveKey(ctx context.Context, who auth.Principal, name string) (api.Key, error) {
	var removed api.Key
	err := p.Store.Update(ctx, func(tx store.Tx) error {
		keys, err := tx.Keys(who.Account.ID)
		if err != nil {
			return err
		}
		for _, k := range keys {
			if k.ID == name || k.Fingerprint == name || k.Comment == name {
				removed = k
				return tx.DeleteKey(who.Account.ID, k.ID)
			}
		}
		return store.ErrNotFound
	})
	return removed, fold(err, "key")
}

// CreateAuthorization makes a token for who, limited to scopes (none = global)
// and, unless it is 0, to a life of ttl. This is the only time that the token
// is shown.
func (p *Platform) CreateAuthorization(ctx context.Context, who auth.Principal, description string, scopes []api.Scope, ttl time.Duration) (api.Authorization, auth.Token, error) {
	if err := auth.Check(who, auth.Self, api.App{}, nil); err != nil {
		return api.Authorization{}, auth.Token{}, err
	}
	if len(scopes) == 0 {
		scopes = []api.Scope{api.ScopeGlobal}
	}
	if err := auth.CheckScopes(who, scopes); err != nil {
		return api.Authorization{}, auth.Token{}, err
	}
	return CreateAuthorization(ctx, p.Store, p.Now(), who.Account, description, scopes, ttl)
}

// CreateAuthorization is the use case alone, for `paasd account:create`.
func CreateAuthorization(ctx context.Context, s store.Store, now time.Time, account api.Account, description string, scopes []api.Scope, ttl time.Duration) (api.Authorization, auth.Token, error) {
	a := api.Authorization{ID: newID(), AccountID: account.ID, Description: description, Scopes: scopes, CreatedAt: now}
	if ttl > 0 {
		a.ExpiresAt = now.Add(ttl)
	}
	token := auth.NewToken()
	err := s.Update(ctx, func(tx store.Tx) error { return tx.CreateAuthorization(a, token.Hash()) })
	return a, token, err
}

// Authorizations lists who's tokens, without the tokens.
func (p *Platform) Authorizations(ctx context.Context, who auth.Principal) (list []api.Authorization, err error) {
	err = p.Store.View(ctx, func(tx store.Tx) error {
		list, err = tx.Authorizations(who.Account.ID)
		return err
	})
	return list, err
}

// RevokeAuthorization ends one of who's tokens; it stops working at once.
func (p *Platform) RevokeAuthorization(ctx context.Context, who auth.Principal, id string) (api.Authorization, error) {
	var revoked api.Authorization
	err := p.Store.Update(ctx, func(tx store.Tx) error {
		all, err := tx.Authorizations(who.Account.ID)
		if err != nil {
			return err
		}
		for _, a := range all {
			if a.ID == id {
				revoked = a
				return tx.DeleteAuthorization(who.Account.ID, id)
			}
		}
		return store.ErrNotFound
	})
	return revoked, fold(err, "authorization")
}

// Collaborators lists the accounts allowed on app beside its owner.
func (p *Platform) Collaborators(ctx context.Context, app api.App) ([]api.Account, error) {
	var out []api.Account
	err := p.Store.View(ctx, func(tx store.Tx) error {
		all, err := tx.Collaborators(app.ID)
		for _, c := range all {
			a, err := tx.Account(c.AccountID)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			out = append(out, a)
		}
		return err
	})
	return out, err
}
