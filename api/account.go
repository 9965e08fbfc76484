package api

import "time"

// Account is a person or robot that can authenticate.
type Account struct {
	ID        string // uuid
	Email     string // unique, compared without case
	Name      string
	Admin     bool // may see and change every app
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Key is an SSH public key that proves an account at the git endpoint.
type Key struct {
	ID          string
	AccountID   string
	Fingerprint string // "SHA256:..." as ssh-keygen -l prints it; unique over all accounts
	PublicKey   string // one authorized_keys line without options: "type base64 comment"
	Comment     string
	CreatedAt   time.Time
}

// Authorization is an API token's record. The token itself is shown once, at
// its creation; the store keeps only its hash.
type Authorization struct {
	ID          string
	AccountID   string
	Description string
	Scopes      []Scope
	CreatedAt   time.Time
	ExpiresAt   time.Time // zero = never
}

// Scope limits what a token may do. The names are Heroku's OAuth scopes.
type Scope string

const (
	ScopeGlobal         Scope = "global"
	ScopeIdentity       Scope = "identity"
	ScopeRead           Scope = "read"
	ScopeWrite          Scope = "write"
	ScopeReadProtected  Scope = "read-protected"  // read, and config vars
	ScopeWriteProtected Scope = "write-protected" // write, and config vars
)
