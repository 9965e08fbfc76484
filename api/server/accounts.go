package server

import (
	"net/http"
	"time"

	"paas/api"
	v3 "paas/api/v3"
)

func health(c *call) error { return c.reply(http.StatusOK, map[string]string{"status": "ok"}) }

func showAccount(c *call) error {
	who := c.Param("account")
	if who == "" || who == "~" {
		return c.reply(http.StatusOK, renderAccount(c.who.Account))
	}
	a, err := c.server.platform.Account(c.Request().Context(), c.who, who)
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, renderAccount(a))
}

func listKeys(c *call) error {
	keys, err := c.keys()
	if err != nil {
		return err
	}
	return list(c, keys, []string{"id"}, func(k v3.Key, _ string) string { return k.ID })
}

func showKey(c *call) error {
	keys, err := c.keys()
	if err != nil {
		return err
	}
	for _, k := range keys {
		if k.ID == c.Param("key") || k.Fingerprint == c.Param("key") {
			return c.reply(http.StatusOK, k)
		}
	}
	return api.Missing("key")
}

func (c *call) keys() ([]v3.Key, error) {
	keys, err := c.server.platform.Keys(c.Request().Context(), c.who)
	out := make([]v3.Key, len(keys))
	for i, k := range keys {
		out[i] = renderKey(k, c.who.Account.Email)
	}
	return out, err
}

func addKey(c *call) error {
	var body struct {
		PublicKey string `json:"public_key"`
	}
	if err := c.decode(&body); err != nil {
		return err
	}
	k, err := c.server.platform.AddKey(c.Request().Context(), c.who, body.PublicKey)
	if err != nil {
		return err
	}
	return c.reply(http.StatusCreated, renderKey(k, c.who.Account.Email))
}

func removeKey(c *call) error {
	k, err := c.server.platform.RemoveKey(c.Request().Context(), c.who, c.Param("key"))
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, renderKey(k, c.who.Account.Email))
}

// maxExpiresIn is a hundred years in seconds.
const maxExpiresIn = 100 * 365 * 24 * 60 * 60

// createAuthorization takes a token or, for `login`, e-mail and password as
// Basic credentials.
func createAuthorization(c *call) error {
	var body v3.AuthorizationRequest
	if err := c.decode(&body); err != nil {
		return err
	}
	if body.ExpiresIn < 0 || body.ExpiresIn > maxExpiresIn {
		return api.Errorf(api.InvalidParams, "expires_in must be from 1 to %d seconds; leave it out for a token that does not expire.", maxExpiresIn)
	}
	ctx := c.Request().Context()
	who, err := c.server.platform.Auth.Login(ctx, c.Request().Header.Get("Authorization"), c.clientAddr())
	if err != nil {
		return err
	}
	var scopes []api.Scope
	for _, s := range body.Scope {
		scopes = append(scopes, api.Scope(s))
	}
	a, token, err := c.server.platform.CreateAuthorization(ctx, who, body.Description, scopes, time.Duration(body.ExpiresIn)*time.Second)
	if err != nil {
		return err
	}
	return c.reply(http.StatusCreated, renderAuthorization(a, who.Account, token.Reveal(), c.now()))
}

func listAuthorizations(c *call) error {
	all, err := c.server.platform.Authorizations(c.Request().Context(), c.who)
	if err != nil {
		return err
	}
	out := make([]v3.Authorization, len(all))
	for i, a := range all {
		out[i] = renderAuthorization(a, c.who.Account, "", c.now())
	}
	return list(c, out, []string{"id", "description"}, func(a v3.Authorization, prop string) string {
		if prop == "description" {
			return a.Description
		}
		return a.ID
	})
}

func revokeAuthorization(c *call) error {
	a, err := c.server.platform.RevokeAuthorization(c.Request().Context(), c.who, c.Param("authorization"))
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, renderAuthorization(a, c.who.Account, "", c.now()))
}

// endSession revokes the token that the request itself was made with
// (DELETE /oauth/sessions/~).
func endSession(c *call) error {
	if c.Param("authorization") != "~" || c.who.AuthorizationID == "" {
		return api.Missing("session")
	}
	a, err := c.server.platform.RevokeAuthorization(c.Request().Context(), c.who, c.who.AuthorizationID)
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, renderAuthorization(a, c.who.Account, "", c.now()))
}
