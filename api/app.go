package api

import "time"

// App is the unit of deployment.
type App struct {
	ID          string // uuid, never reused
	Name        string // unique, see CheckAppName
	OwnerID     string // account
	Stack       string // name of the stack its next build uses, e.g. "heroku-22"
	Maintenance bool
	// Current is the version of the current release: the one its formation
	// runs. It is never 0: v1 ("Initial release", no slug) exists from creation.
	Current    int
	Buildpacks []string // explicit list; empty = detect
	CreatedAt  time.Time
	UpdatedAt  time.Time
	ReleasedAt time.Time
}

// Collaborator is an account allowed on an app that it does not own.
type Collaborator struct {
	AppID     string
	AccountID string
	CreatedAt time.Time
}

// Formation is the wanted quantity and size of the dynos of one process type.
// An entry outlives releases; a type that a release does not have runs no
// dynos.
type Formation struct {
	ID        string
	AppID     string
	Type      string
	Quantity  int // 0 to MaxQuantity
	Size      string
	UpdatedAt time.Time
}

// MaxQuantity is the most dynos one process type may have.
const MaxQuantity = 100
