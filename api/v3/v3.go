// Package v3 holds the JSON shapes of the HTTP API. They are those of Heroku's
// Platform API, version 3 (Dev Center: "Platform API Reference"; schema.json
// of github.com/heroku/heroku-go/v6), so that clients written for it work.
//
// # Design
//
// The shapes are apart from the nouns of package api, because they nest and
// repeat what the nouns reference by id, and because they may never change,
// while the nouns may. Fields that Heroku does not have are marked "ours".
//
// The package imports the standard library only: the CLI links it.
package v3

import "time"

// MediaType is the Content-Type of every answer.
const MediaType = "application/vnd.heroku+json; version=3"

// Ref names another resource.
type Ref struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// Person is an account as other resources show it.
type Person struct {
	ID    string `json:"id"`
	Email string `json:"email"`
}

// Error is the body of every answer whose status is 400 or more.
type Error struct {
	ID       string `json:"id"`
	Message  string `json:"message"`
	Resource string `json:"resource,omitempty"`
	URL      string `json:"url,omitempty"`
}

// Account is GET /account.
type Account struct {
	ID                      string     `json:"id"`
	Email                   string     `json:"email"`
	Name                    *string    `json:"name"`
	AllowTracking           bool       `json:"allow_tracking"`
	Beta                    bool       `json:"beta"`
	Federated               bool       `json:"federated"`
	IdentityProvider        *Ref       `json:"identity_provider"`
	Verified                bool       `json:"verified"`
	TwoFactorAuthentication bool       `json:"two_factor_authentication"`
	LastLogin               *time.Time `json:"last_login"`
	SMSNumber               *string    `json:"sms_number"`
	SuspendedAt             *time.Time `json:"suspended_at"`
	DelinquentAt            *time.Time `json:"delinquent_at"`
	CountryOfResidence      *string    `json:"country_of_residence"`
	DefaultOrganization     *Ref       `json:"default_organization"`
	DefaultTeam             *Ref       `json:"default_team"`
	CreatedAt               time.Time  `json:"created_at"`
	UpdatedAt               time.Time  `json:"updated_at"`
}

// App is /apps/:app.
type App struct {
	ID                           string     `json:"id"`
	Name                         string     `json:"name"`
	ACM                          bool       `json:"acm"`
	ArchivedAt                   *time.Time `json:"archived_at"`
	BuildpackProvidedDescription *string    `json:"buildpack_provided_description"`
	BuildStack                   Ref        `json:"build_stack"`
	Stack                        Ref        `json:"stack"`
	Generation                   Ref        `json:"generation"`
	GitURL                       string     `json:"git_url"`
	WebURL                       *string    `json:"web_url"`
	InternalRouting              *bool      `json:"internal_routing"`
	Maintenance                  bool       `json:"maintenance"`
	Owner                        Person     `json:"owner"`
	Organization                 *Ref       `json:"organization"`
	Team                         *Ref       `json:"team"`
	Region                       Ref        `json:"region"`
	Space                        *Ref       `json:"space"`
	RepoSize                     *int64     `json:"repo_size"`
	SlugSize                     *int64     `json:"slug_size"`
	ReleasedAt                   *time.Time `json:"released_at"`
	CreatedAt                    time.Time  `json:"created_at"`
	UpdatedAt                    time.Time  `json:"updated_at"`
}

// Key is /account/keys.
type Key struct {
	ID          string    `json:"id"`
	Comment     string    `json:"comment"`
	Email       string    `json:"email"`
	Fingerprint string    `json:"fingerprint"`
	PublicKey   string    `json:"public_key"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// Buildpack is one entry of a build's list.
type Buildpack struct {
	URL  string `json:"url"`
	Name string `json:"name"`
}

// BuildpackInstallation is /apps/:app/buildpack-installations.
type BuildpackInstallation struct {
	Ordinal   int       `json:"ordinal"`
	Buildpack Buildpack `json:"buildpack"`
}

// SourceBlob is what a build was made from.
type SourceBlob struct {
	URL                string  `json:"url"`
	Checksum           *string `json:"checksum"`
	Version            *string `json:"version"`
	VersionDescription *string `json:"version_description"`
}

// Build is /apps/:app/builds/:build.
type Build struct {
	ID              string      `json:"id"`
	App             Ref         `json:"app"`
	Buildpacks      []Buildpack `json:"buildpacks"`
	OutputStreamURL string      `json:"output_stream_url"`
	SourceBlob      SourceBlob  `json:"source_blob"`
	Release         *Ref        `json:"release"`
	Slug            *Ref        `json:"slug"`
	Stack           string      `json:"stack"`
	Status          string      `json:"status"`
	User            Person      `json:"user"`
	Reason          string      `json:"failure_reason,omitempty"` // ours
	CreatedAt       time.Time   `json:"created_at"`
	UpdatedAt       time.Time   `json:"updated_at"`
}

// Blob says where a slug's bytes are fetched.
type Blob struct {
	Method string `json:"method"`
	URL    string `json:"url"`
}

// Slug is /apps/:app/slugs/:slug.
type Slug struct {
	ID                           string            `json:"id"`
	Blob                         Blob              `json:"blob"` // a tar of an OCI image layout
	BuildpackProvidedDescription *string           `json:"buildpack_provided_description"`
	Checksum                     *string           `json:"checksum"`
	Commit                       *string           `json:"commit"`
	CommitDescription            *string           `json:"commit_description"`
	ProcessTypes                 map[string]string `json:"process_types"`
	Size                         *int64            `json:"size"`
	Stack                        Ref               `json:"stack"`
	Buildpacks                   []string          `json:"buildpacks"`       // ours
	Layers                       []Layer           `json:"layers,omitempty"` // ours, of one slug only
	Author                       *Person           `json:"author,omitempty"` // ours
	CreatedAt                    time.Time         `json:"created_at"`
	UpdatedAt                    time.Time         `json:"updated_at"`
}

// Layer is one layer of a slug's image.
type Layer struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
}

// Release is /apps/:app/releases/:release.
type Release struct {
	ID                  string    `json:"id"`
	App                 Ref       `json:"app"`
	AddonPlanNames      []string  `json:"addon_plan_names"`
	Current             bool      `json:"current"`
	Description         string    `json:"description"`
	EligibleForRollback bool      `json:"eligible_for_rollback"`
	OutputStreamURL     *string   `json:"output_stream_url"`
	Slug                *Ref      `json:"slug"`
	Status              string    `json:"status"`
	User                Person    `json:"user"`
	Version             int       `json:"version"`
	CreatedAt           time.Time `json:"created_at"`
	UpdatedAt           time.Time `json:"updated_at"`
}

// Formation is /apps/:app/formation/:type.
type Formation struct {
	ID        string    `json:"id"`
	App       Ref       `json:"app"`
	Command   string    `json:"command"`
	Quantity  int       `json:"quantity"`
	Size      string    `json:"size"`
	DynoSize  Ref       `json:"dyno_size"`
	Type      string    `json:"type"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// FormationUpdate is one entry of PATCH /apps/:app/formation. Quantity is a
// number, or a string that may have a sign: "+1" adds.
type FormationUpdate struct {
	Type     string `json:"type"`
	Quantity any    `json:"quantity,omitempty"`
	Size     string `json:"size,omitempty"`
}

// DynoRelease is a dyno's release.
type DynoRelease struct {
	ID      string `json:"id"`
	Version int    `json:"version"`
}

// Dyno is /apps/:app/dynos/:dyno.
type Dyno struct {
	ID        string      `json:"id"`
	App       Ref         `json:"app"`
	AttachURL *string     `json:"attach_url"`
	Command   string      `json:"command"`
	Name      string      `json:"name"`
	Release   DynoRelease `json:"release"`
	Size      string      `json:"size"`
	State     string      `json:"state"`
	Type      string      `json:"type"`
	CreatedAt time.Time   `json:"created_at"`
	UpdatedAt time.Time   `json:"updated_at"`
}

// RunRequest is POST /apps/:app/dynos.
type RunRequest struct {
	Attach     bool              `json:"attach,omitempty"`
	Command    string            `json:"command"`
	Env        map[string]string `json:"env,omitempty"`
	ForceNoTTY bool              `json:"force_no_tty,omitempty"`
	Size       string            `json:"size,omitempty"`
	Type       string            `json:"type,omitempty"`
	TimeToLive int               `json:"time_to_live,omitempty"` // seconds
}

// LogSessionRequest is POST /apps/:app/log-sessions.
type LogSessionRequest struct {
	Dyno     string `json:"dyno,omitempty"`
	DynoName string `json:"dyno_name,omitempty"` // the schema's name for it
	Type     string `json:"type,omitempty"`
	Lines    *int   `json:"lines,omitempty"`
	Source   string `json:"source,omitempty"`
	Tail     bool   `json:"tail,omitempty"`
}

// LogSession is its answer.
type LogSession struct {
	ID         string    `json:"id"`
	LogplexURL string    `json:"logplex_url"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
}

// Authorization is /oauth/authorizations/:authorization.
type Authorization struct {
	ID          string      `json:"id"`
	AccessToken AccessToken `json:"access_token"`
	Client      *Ref        `json:"client"`
	Grant       *Ref        `json:"grant"`
	Description string      `json:"description"`
	Scope       []string    `json:"scope"`
	User        Person      `json:"user"`
	CreatedAt   time.Time   `json:"created_at"`
	UpdatedAt   time.Time   `json:"updated_at"`
}

// AccessToken holds the token itself in the answer that creates it, and never
// again.
type AccessToken struct {
	ID        string `json:"id"`
	Token     string `json:"token"`
	ExpiresIn *int   `json:"expires_in"` // seconds
}

// AuthorizationRequest is POST /oauth/authorizations.
type AuthorizationRequest struct {
	Description string   `json:"description,omitempty"`
	Scope       []string `json:"scope,omitempty"`
	ExpiresIn   int      `json:"expires_in,omitempty"` // seconds, 0 = never
}

// DynoSize is /dyno-sizes/:size.
type DynoSize struct {
	ID     string  `json:"id"`
	Name   string  `json:"name"`
	Memory float64 `json:"memory"` // GB
	Pids   int64   `json:"pids"`   // ours
}

// Control is a text message beside the bytes of an attached one-off dyno (the
// WebSocket at attach_url). Binary messages are data: from the client stdin,
// to the client output. Exactly one field is set.
type Control struct {
	Resize *Resize `json:"resize,omitempty"` // from the client
	EOF    bool    `json:"eof,omitempty"`    // from the client: no more stdin
	Exit   *Exit   `json:"exit,omitempty"`   // to the client, as the last message
}

// Resize is a new size of the client's terminal.
type Resize struct {
	Rows uint16 `json:"rows"`
	Cols uint16 `json:"cols"`
}

// Exit is how the command ended.
type Exit struct {
	Status int    `json:"status"`
	Error  string `json:"error,omitempty"` // the platform's, for the user
}
