// Package store says what durable storage promises to the platform.
//
// # Design
//
// The database is the truth; everything that runs is reconciled from it.
// Readers get a consistent snapshot (View), writers run one at a time
// (Update), and whoever must react to a change is poked (Changes) and then
// reads again: a poke carries nothing.
//
// Every method of Tx folds driver errors: a row that is not there is
// ErrNotFound (also one that a new row has to belong to), a broken unique rule
// is a *ConflictError; anything else is an internal failure, after which the
// transaction can only be undone. Lists of nothing are no error. Deleting or
// updating what is not there is ErrNotFound.
//
// Times are kept to the millisecond, in UTC. "Newest" and "oldest" go by the
// order of creation in the store, not by clocks. Nil and empty lists are the
// same. Strings that decide something (ids, names, config vars, commands) are
// refused when they are not UTF-8 without NUL; strings for people to read are
// repaired.
//
// Any implementation MUST pass store/storetest.
package store

import (
	"context"
	"errors"
)

// ErrNotFound says that the wanted row does not exist.
var ErrNotFound = errors.New("not found")

// ConflictError says that a unique rule would be broken. Rule is the name of
// one of the Rule constants.
type ConflictError struct{ Rule string }

func (e *ConflictError) Error() string { return "conflict: " + e.Rule }

// The unique rules that callers may need to tell apart.
const (
	RuleAppName        = "app name"          // App.Name
	RuleAccountEmail   = "account email"     // Account.Email without case
	RuleKeyFingerprint = "key fingerprint"   // Key.Fingerprint
	RulePendingBuild   = "pending build"     // one pending Build per app
	RuleReleaseVersion = "release version"   // Release.Version per app
	RuleSlugInUse      = "slug in use"       // see Slugs.DeleteSlug
	RuleOther          = "other unique rule" // anything else
)

// Store is durable storage. All methods may be called concurrently.
type Store interface {
	// View runs fn on a consistent snapshot. fn MUST NOT write.
	View(ctx context.Context, fn func(Tx) error) error
	// Update runs fn in a transaction that sees no other writer; it is
	// committed durably before Update returns nil, and undone when fn returns
	// an error, which Update then returns. fn MUST NOT call the Store.
	Update(ctx context.Context, fn func(Tx) error) error
	// Changes returns a channel of capacity 1 that gets a value after every
	// committed Update, until ctx ends. Several changes may fold into one.
	Changes(ctx context.Context) <-chan struct{}
	// Close waits for running transactions and releases everything.
	Close() error
}

// Tx is one transaction. It MUST NOT be used after its function returned, nor
// concurrently.
type Tx interface {
	Accounts
	Apps
	Formations
	Builds
	Slugs
	Releases
}
