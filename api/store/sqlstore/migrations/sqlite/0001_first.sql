-- Conventions: ids are text (uuid); times are integer milliseconds since 1970,
-- UTC, NULL = zero time; lists are JSON text; seq gives the order of creation,
-- which clocks do not (they are stepped, and two rows fit in a millisecond).

CREATE TABLE accounts (
  id            TEXT    NOT NULL PRIMARY KEY,
  email         TEXT    NOT NULL,
  email_key     TEXT    NOT NULL UNIQUE, -- email without case, folded in Go: SQL folds ASCII only
  name          TEXT    NOT NULL,
  admin         INTEGER NOT NULL,
  password_hash TEXT    NOT NULL DEFAULT '',
  created_at    INTEGER,
  updated_at    INTEGER
) STRICT;

CREATE TABLE keys (
  seq         INTEGER NOT NULL PRIMARY KEY,
  id          TEXT    NOT NULL UNIQUE,
  account_id  TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  fingerprint TEXT    NOT NULL UNIQUE,
  public_key  TEXT    NOT NULL,
  comment     TEXT    NOT NULL,
  created_at  INTEGER
) STRICT;
CREATE INDEX keys_account ON keys (account_id);

CREATE TABLE authorizations (
  seq         INTEGER NOT NULL PRIMARY KEY,
  id          TEXT    NOT NULL UNIQUE,
  account_id  TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  description TEXT    NOT NULL,
  scopes      TEXT    NOT NULL,
  token_hash  BLOB    NOT NULL UNIQUE,
  created_at  INTEGER,
  expires_at  INTEGER
) STRICT;
CREATE INDEX authorizations_account ON authorizations (account_id);

CREATE TABLE apps (
  id          TEXT    NOT NULL PRIMARY KEY,
  name        TEXT    NOT NULL UNIQUE,
  owner_id    TEXT    NOT NULL REFERENCES accounts (id),
  stack       TEXT    NOT NULL,
  maintenance INTEGER NOT NULL,
  current     INTEGER NOT NULL,
  buildpacks  TEXT    NOT NULL,
  created_at  INTEGER,
  updated_at  INTEGER,
  released_at INTEGER
) STRICT;
CREATE INDEX apps_owner ON apps (owner_id);

CREATE TABLE collaborators (
  seq        INTEGER NOT NULL PRIMARY KEY,
  app_id     TEXT    NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
  account_id TEXT    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  created_at INTEGER,
  UNIQUE (app_id, account_id)
) STRICT;
CREATE INDEX collaborators_account ON collaborators (account_id);

CREATE TABLE formations (
  app_id     TEXT    NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
  type       TEXT    NOT NULL,
  id         TEXT    NOT NULL UNIQUE,
  quantity   INTEGER NOT NULL,
  size       TEXT    NOT NULL,
  updated_at INTEGER,
  PRIMARY KEY (app_id, type)
) STRICT;

CREATE TABLE builds (
  seq          INTEGER NOT NULL PRIMARY KEY,
  id           TEXT    NOT NULL UNIQUE,
  app_id       TEXT    NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
  status       TEXT    NOT NULL,
  commit_sha   TEXT    NOT NULL,
  stack        TEXT    NOT NULL,
  buildpacks   TEXT    NOT NULL,
  slug_id      TEXT    NOT NULL,
  release_id   TEXT    NOT NULL,
  author_id    TEXT    NOT NULL,
  author_email TEXT    NOT NULL,
  reason       TEXT    NOT NULL,
  created_at   INTEGER,
  updated_at   INTEGER
) STRICT;
CREATE INDEX builds_app ON builds (app_id, seq);
-- The lock of an app's deploys.
CREATE UNIQUE INDEX builds_lock ON builds (app_id) WHERE status = 'pending';
CREATE INDEX builds_pending ON builds (seq) WHERE status = 'pending';

CREATE TABLE slugs (
  seq                INTEGER NOT NULL PRIMARY KEY,
  id                 TEXT    NOT NULL UNIQUE,
  app_id             TEXT    NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
  digest             TEXT    NOT NULL,
  build_key          TEXT    NOT NULL,
  size               INTEGER NOT NULL,
  stack              TEXT    NOT NULL,
  commit_sha         TEXT    NOT NULL,
  commit_description TEXT    NOT NULL,
  description        TEXT    NOT NULL,
  processes          TEXT    NOT NULL,
  buildpacks         TEXT    NOT NULL,
  author_id          TEXT    NOT NULL,
  created_at         INTEGER
) STRICT;
CREATE INDEX slugs_app ON slugs (app_id, seq);
CREATE INDEX slugs_build_key ON slugs (app_id, build_key, seq);

CREATE TABLE releases (
  seq          INTEGER NOT NULL PRIMARY KEY,
  id           TEXT    NOT NULL UNIQUE,
  app_id       TEXT    NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
  version      INTEGER NOT NULL,
  slug_id      TEXT    NOT NULL, -- outlives the slug: an old release stays in the history when its slug is gone
  description  TEXT    NOT NULL,
  status       TEXT    NOT NULL,
  author_id    TEXT    NOT NULL,
  author_email TEXT    NOT NULL,
  output_id    TEXT    NOT NULL,
  created_at   INTEGER,
  updated_at   INTEGER,
  UNIQUE (app_id, version)
) STRICT;
CREATE INDEX releases_slug ON releases (slug_id);
CREATE INDEX releases_pending ON releases (seq) WHERE status = 'pending';

-- One row per release, apart from releases: whoever reads or copies releases
-- does not get secrets along.
CREATE TABLE config_vars (
  release_id TEXT NOT NULL PRIMARY KEY REFERENCES releases (id) ON DELETE CASCADE,
  vars       TEXT NOT NULL
) STRICT;
