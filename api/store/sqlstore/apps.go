package sqlstore

import (
	"paas/api"
	"paas/api/store"
)

const appColumns = `id, name, owner_id, stack, maintenance, current, buildpacks, created_at, updated_at, released_at`

func scanApp(r row) (a api.App, err error) {
	err = r.Scan(&a.ID, &a.Name, &a.OwnerID, &a.Stack, &a.Maintenance, &a.Current, jsonColumn[string]{&a.Buildpacks},
		timeColumn{&a.CreatedAt}, timeColumn{&a.UpdatedAt}, timeColumn{&a.ReleasedAt})
	return a, err
}

func (t *tx) CreateApp(a api.App) error {
	err := t.write("create app", `INSERT INTO apps (`+appColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		a.ID, a.Name, a.OwnerID, a.Stack, a.Maintenance, a.Current, jsonList(a.Buildpacks),
		millis(a.CreatedAt), millis(a.UpdatedAt), millis(a.ReleasedAt))
	return t.which(err, nameProbe(a))
}

func (t *tx) UpdateApp(a api.App) error {
	err := t.write("update app", `UPDATE apps SET name = ?, owner_id = ?, stack = ?, maintenance = ?, current = ?,
		buildpacks = ?, updated_at = ?, released_at = ? WHERE id = ?`,
		a.Name, a.OwnerID, a.Stack, a.Maintenance, a.Current,
		jsonList(a.Buildpacks), millis(a.UpdatedAt), millis(a.ReleasedAt), a.ID)
	return t.which(err, nameProbe(a))
}

func nameProbe(a api.App) probe {
	return probe{store.RuleAppName, `SELECT 1 FROM apps WHERE name = ? AND id <> ?`, []any{a.Name, a.ID}}
}

// DeleteApp relies on ON DELETE CASCADE for what belongs to the app.
func (t *tx) DeleteApp(id string) error {
	return t.write("delete app", `DELETE FROM apps WHERE id = ?`, id)
}

func (t *tx) App(id string) (api.App, error) {
	return get(t, "read app", scanApp, `SELECT `+appColumns+` FROM apps WHERE id = ?`, id)
}

func (t *tx) AppByName(name string) (api.App, error) {
	return get(t, "read app", scanApp, `SELECT `+appColumns+` FROM apps WHERE name = ?`, name)
}

func (t *tx) Apps() ([]api.App, error) {
	return list(t, "list apps", scanApp, `SELECT `+appColumns+` FROM apps ORDER BY name`)
}
