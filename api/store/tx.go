package store

import "paas/api"

// Accounts holds accounts, their keys and their tokens.
type Accounts interface {
	CreateAccount(api.Account) error
	UpdateAccount(api.Account) error
	Account(id string) (api.Account, error)
	AccountByEmail(email string) (api.Account, error) // without case
	Accounts() ([]api.Account, error)                 // by e-mail
	// PasswordHash returns "" when the account has no password.
	PasswordHash(accountID string) (string, error)
	SetPasswordHash(accountID, hash string) error

	CreateKey(api.Key) error
	DeleteKey(accountID, keyID string) error
	KeyByFingerprint(fingerprint string) (api.Key, error)
	Keys(accountID string) ([]api.Key, error) // oldest first

	// CreateAuthorization stores the record and the hash of its token.
	CreateAuthorization(a api.Authorization, tokenHash []byte) error
	DeleteAuthorization(accountID, id string) error
	AuthorizationByHash(tokenHash []byte) (api.Authorization, error)
	Authorizations(accountID string) ([]api.Authorization, error) // oldest first
}

// Apps holds apps and who may use them.
type Apps interface {
	CreateApp(api.App) error
	UpdateApp(api.App) error
	// DeleteApp takes along the app's formation, builds, slugs, releases,
	// config vars and collaborators.
	DeleteApp(id string) error
	App(id string) (api.App, error)
	AppByName(name string) (api.App, error)
	Apps() ([]api.App, error) // by name

	AddCollaborator(api.Collaborator) error // adding twice is no error
	RemoveCollaborator(appID, accountID string) error
	Collaborators(appID string) ([]api.Collaborator, error) // oldest first
}

// Formations holds the wanted quantities and sizes.
type Formations interface {
	// PutFormation inserts or replaces the entry of (AppID, Type).
	PutFormation(api.Formation) error
	Formation(appID string) ([]api.Formation, error) // by type
}

// Builds holds builds.
type Builds interface {
	// CreateBuild fails with RulePendingBuild when b is pending and the app
	// has a pending build already: this is the lock of an app's deploys.
	CreateBuild(b api.Build) error
	UpdateBuild(b api.Build) error
	Build(id string) (api.Build, error)
	Builds(appID string, limit int) ([]api.Build, error) // newest first; limit 0 = all
	PendingBuilds() ([]api.Build, error)                 // over all apps, oldest first
}

// Slugs holds the records of slugs.
type Slugs interface {
	CreateSlug(api.Slug) error
	Slug(id string) (api.Slug, error)
	SlugByKey(appID, key string) (api.Slug, error)     // the newest with that key; "" finds none
	Slugs(appID string, limit int) ([]api.Slug, error) // newest first; limit 0 = all
	// DeleteSlug fails with RuleSlugInUse when the current or a pending release
	// of its app names the slug. Older releases keep naming it in vain.
	DeleteSlug(id string) error
	// SlugDigests lists the digests that a kept release or slug row names, over
	// all apps: the roots of garbage collection.
	SlugDigests() ([]string, error)
}

// Releases holds releases and the config vars each of them froze.
type Releases interface {
	// CreateRelease stores r with its config vars. The first free version is
	// r.Version = latest + 1; another one fails with RuleReleaseVersion. A slug
	// it names has to be one of the same app (ErrNotFound).
	CreateRelease(r api.Release, config api.ConfigVars) error
	// UpdateRelease changes Status, OutputID and UpdatedAt, nothing else.
	UpdateRelease(r api.Release) error
	Release(id string) (api.Release, error)
	ReleaseByVersion(appID string, version int) (api.Release, error)
	LatestRelease(appID string) (api.Release, error)
	Releases(appID string, limit int) ([]api.Release, error) // newest first; limit 0 = all
	PendingReleases() ([]api.Release, error)                 // over all apps, oldest first
	ReleaseConfig(releaseID string) (api.ConfigVars, error)
}
