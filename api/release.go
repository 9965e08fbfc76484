package api

import "time"

// Status of a build or release.
type Status string

const (
	Pending   Status = "pending"
	Succeeded Status = "succeeded"
	Failed    Status = "failed"
)

// Release is an immutable, numbered pair of slug and config vars. Only its
// Status changes, and only once, from Pending.
type Release struct {
	ID          string
	AppID       string
	Version     int    // 1, 2, ... per app, without gaps
	SlugID      string // "" = no slug yet
	Description string // "Deploy 1a2b3c4d", "Set A, B config vars", "Rollback to v3"
	Status      Status
	AuthorID    string
	AuthorEmail string
	// OutputID names the log of its release phase in the output store; "" =
	// it has none.
	OutputID  string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Slug is the record of a slug: the immutable, content-addressed result of a
// build. Its bytes are in the blob store under Digest.
type Slug struct {
	ID     string
	AppID  string
	Digest string // of the OCI manifest, "sha256:..."
	// Key is a hash over everything the build depended on (tree, buildpacks,
	// stack, build settings); an equal key lets a build be skipped.
	Key               string
	Size              int64 // bytes of the app's own layers, compressed
	Stack             string
	Commit            string // full sha, "" for a tarball
	CommitDescription string
	// Description is what bin/detect of the last buildpack said ("Node.js").
	Description string
	// Processes are the process types in Procfile order.
	Processes  []ProcessType
	Buildpacks []string // as shown to users, in order
	AuthorID   string
	CreatedAt  time.Time
}

// ProcessType is a named command of a slug.
type ProcessType struct {
	Name    string
	Command string
}

// Release phase process type and the type that receives HTTP requests.
const (
	Web          = "web"
	ReleasePhase = "release"
)

// Build is one run of buildpacks over a source.
type Build struct {
	ID          string
	AppID       string
	Status      Status
	Commit      string
	Stack       string
	Buildpacks  []string
	SlugID      string // "" until succeeded
	ReleaseID   string // "" until released
	AuthorID    string
	AuthorEmail string
	// Reason says in one line why it failed.
	Reason    string
	CreatedAt time.Time
	UpdatedAt time.Time
}
