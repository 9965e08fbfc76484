package sqlstore

import (
	"paas/api"
	"paas/api/store"
)

const buildColumns = `id, app_id, status, commit_sha, stack, buildpacks, slug_id, release_id,
	author_id, author_email, reason, created_at, updated_at`

func scanBuild(r row) (b api.Build, err error) {
	err = r.Scan(&b.ID, &b.AppID, &b.Status, &b.Commit, &b.Stack, jsonColumn[string]{&b.Buildpacks}, &b.SlugID, &b.ReleaseID,
		&b.AuthorID, &b.AuthorEmail, &b.Reason, timeColumn{&b.CreatedAt}, timeColumn{&b.UpdatedAt})
	return b, err
}

func (t *tx) CreateBuild(b api.Build) error {
	err := t.write("create build", `INSERT INTO builds (`+buildColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		b.ID, b.AppID, string(b.Status), b.Commit, b.Stack, jsonList(b.Buildpacks), b.SlugID, b.ReleaseID,
		b.AuthorID, b.AuthorEmail, text(b.Reason), millis(b.CreatedAt), millis(b.UpdatedAt))
	return t.which(err, pendingProbes(b)...)
}

// UpdateBuild leaves the app and the time of creation as they are.
func (t *tx) UpdateBuild(b api.Build) error {
	err := t.write("update build", `UPDATE builds SET status = ?, commit_sha = ?, stack = ?, buildpacks = ?, slug_id = ?,
		release_id = ?, author_id = ?, author_email = ?, reason = ?, updated_at = ? WHERE id = ?`,
		string(b.Status), b.Commit, b.Stack, jsonList(b.Buildpacks), b.SlugID,
		b.ReleaseID, b.AuthorID, b.AuthorEmail, text(b.Reason), millis(b.UpdatedAt), b.ID)
	return t.which(err, pendingProbes(b)...)
}

func pendingProbes(b api.Build) []probe {
	if b.Status != api.Pending {
		return nil
	}
	return []probe{{store.RulePendingBuild,
		`SELECT 1 FROM builds WHERE app_id = ? AND status = 'pending' AND id <> ?`, []any{b.AppID, b.ID}}}
}

func (t *tx) Build(id string) (api.Build, error) {
	return get(t, "read build", scanBuild, `SELECT `+buildColumns+` FROM builds WHERE id = ?`, id)
}

func (t *tx) Builds(appID string, limit int) ([]api.Build, error) {
	query, args := limited(`SELECT `+buildColumns+` FROM builds WHERE app_id = ? ORDER BY seq DESC`, limit, appID)
	return list(t, "list builds", scanBuild, query, args...)
}

func (t *tx) PendingBuilds() ([]api.Build, error) {
	return list(t, "list builds", scanBuild, `SELECT `+buildColumns+` FROM builds WHERE status = 'pending' ORDER BY seq`)
}
