package client

import (
	"context"
	"net/url"

	v3 "paas/api/v3"
)

// Account is who the token belongs to.
func (c *Client) Account(ctx context.Context) (v3.Account, error) {
	return call[v3.Account](ctx, c, request{method: "GET", path: "/account"})
}

// Login makes a token from e-mail and password.
func (c *Client) Login(ctx context.Context, email, password string, r v3.AuthorizationRequest) (v3.Authorization, error) {
	return call[v3.Authorization](ctx, c, request{method: "POST", path: "/oauth/authorizations", body: r, basic: [2]string{email, password}})
}

// Logout revokes the client's own token.
func (c *Client) Logout(ctx context.Context) error {
	_, err := call[v3.Authorization](ctx, c, request{method: "DELETE", path: "/oauth/sessions/~"})
	return err
}

// CreateAuthorization makes another token.
func (c *Client) CreateAuthorization(ctx context.Context, r v3.AuthorizationRequest) (v3.Authorization, error) {
	return call[v3.Authorization](ctx, c, request{method: "POST", path: "/oauth/authorizations", body: r})
}

// Authorizations lists all tokens' records.
func (c *Client) Authorizations(ctx context.Context) ([]v3.Authorization, error) {
	return pages[v3.Authorization](ctx, c, request{method: "GET", path: "/oauth/authorizations"})
}

// RevokeAuthorization ends a token.
func (c *Client) RevokeAuthorization(ctx context.Context, id string) (v3.Authorization, error) {
	return call[v3.Authorization](ctx, c, request{method: "DELETE", path: "/oauth/authorizations/" + url.PathEscape(id)})
}

// Keys lists the account's SSH keys.
func (c *Client) Keys(ctx context.Context) ([]v3.Key, error) {
	return pages[v3.Key](ctx, c, request{method: "GET", path: "/account/keys"})
}

// AddKey adds an SSH public key, one authorized_keys line.
func (c *Client) AddKey(ctx context.Context, line string) (v3.Key, error) {
	return call[v3.Key](ctx, c, request{method: "POST", path: "/account/keys", body: map[string]string{"public_key": line}})
}

// RemoveKey removes one by id, fingerprint or comment.
func (c *Client) RemoveKey(ctx context.Context, name string) (v3.Key, error) {
	return call[v3.Key](ctx, c, request{method: "DELETE", path: "/account/keys/" + url.PathEscape(name)})
}
