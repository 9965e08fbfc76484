package sqlstore

import (
	"paas/api"
	"paas/api/store"
)

const slugColumns = `id, app_id, digest, build_key, size, stack, commit_sha, commit_description, description,
	processes, buildpacks, author_id, created_at`

// processColumn is how a process type is kept; api.ProcessType may change.
type processColumn struct {
	Name    string `json:"name"`
	Command string `json:"command"`
}

func scanSlug(r row) (s api.Slug, err error) {
	var processes []processColumn
	err = r.Scan(&s.ID, &s.AppID, &s.Digest, &s.Key, &s.Size, &s.Stack, &s.Commit, &s.CommitDescription, &s.Description,
		jsonColumn[processColumn]{&processes}, jsonColumn[string]{&s.Buildpacks}, &s.AuthorID, timeColumn{&s.CreatedAt})
	for _, p := range processes {
		s.Processes = append(s.Processes, api.ProcessType(p))
	}
	return s, err
}

func (t *tx) CreateSlug(s api.Slug) error {
	return t.write("create slug", `INSERT INTO slugs (`+slugColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		s.ID, s.AppID, s.Digest, s.Key, s.Size, s.Stack, s.Commit, text(s.CommitDescription), text(s.Description),
		jsonProcesses(s.Processes), jsonList(s.Buildpacks), s.AuthorID, millis(s.CreatedAt))
}

// jsonProcesses keeps the order. Like jsonList it lets exec refuse what is not
// text.
func jsonProcesses(processes []api.ProcessType) string {
	columns := make([]processColumn, len(processes))
	for i, p := range processes {
		for _, s := range []string{p.Name, p.Command} {
			if !wellFormed(s) {
				return s
			}
		}
		columns[i] = processColumn(p)
	}
	return jsonText(columns)
}

func (t *tx) Slug(id string) (api.Slug, error) {
	return get(t, "read slug", scanSlug, `SELECT `+slugColumns+` FROM slugs WHERE id = ?`, id)
}

// SlugByKey never finds a slug without a key.
func (t *tx) SlugByKey(appID, key string) (api.Slug, error) {
	return get(t, "read slug", scanSlug, `SELECT `+slugColumns+` FROM slugs
		WHERE app_id = ? AND build_key = ? AND build_key <> '' ORDER BY seq DESC LIMIT 1`, appID, key)
}

func (t *tx) Slugs(appID string, limit int) ([]api.Slug, error) {
	query, args := limited(`SELECT `+slugColumns+` FROM slugs WHERE app_id = ? ORDER BY seq DESC`, limit, appID)
	return list(t, "list slugs", scanSlug, query, args...)
}

func (t *tx) DeleteSlug(id string) error {
	used, err := t.exists("delete slug", `SELECT 1 FROM releases r JOIN apps a ON a.id = r.app_id
		WHERE r.slug_id = ? AND (r.version = a.current OR r.status = 'pending') LIMIT 1`, id)
	if err != nil {
		return err
	}
	if used {
		return &store.ConflictError{Rule: store.RuleSlugInUse}
	}
	return t.write("delete slug", `DELETE FROM slugs WHERE id = ?`, id)
}

// SlugDigests needs slug rows only: a release names a slug of its own app, and
// has none once that row is gone.
func (t *tx) SlugDigests() ([]string, error) {
	return list(t, "list slug digests", scanString, `SELECT DISTINCT digest FROM slugs ORDER BY digest`)
}
