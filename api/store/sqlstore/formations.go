package sqlstore

import "paas/api"

const formationColumns = `id, app_id, type, quantity, size, updated_at`

func scanFormation(r row) (f api.Formation, err error) {
	err = r.Scan(&f.ID, &f.AppID, &f.Type, &f.Quantity, &f.Size, timeColumn{&f.UpdatedAt})
	return f, err
}

func (t *tx) PutFormation(f api.Formation) error {
	return t.write("put formation", `INSERT INTO formations (`+formationColumns+`) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (app_id, type) DO UPDATE SET
		id = excluded.id, quantity = excluded.quantity, size = excluded.size, updated_at = excluded.updated_at`,
		f.ID, f.AppID, f.Type, f.Quantity, f.Size, millis(f.UpdatedAt))
}

func (t *tx) Formation(appID string) ([]api.Formation, error) {
	return list(t, "read formation", scanFormation,
		`SELECT `+formationColumns+` FROM formations WHERE app_id = ? ORDER BY type`, appID)
}
