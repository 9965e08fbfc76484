package auth

import "paas/api"

// Principal is a caller whose identity is proved. The zero value may do
// nothing.
type Principal struct {
	Account api.Account
	// Scopes limit what it may do; none = nothing.
	Scopes []api.Scope
	// AuthorizationID is that of the token that proved it, KeyID that of the
	// SSH key; at most one is set.
	AuthorizationID string
	KeyID           string
}
