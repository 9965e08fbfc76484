package sqlstore

import "paas/api"

func scanCollaborator(r row) (c api.Collaborator, err error) {
	err = r.Scan(&c.AppID, &c.AccountID, timeColumn{&c.CreatedAt})
	return c, err
}

// AddCollaborator keeps the first CreatedAt when it is repeated.
func (t *tx) AddCollaborator(c api.Collaborator) error {
	_, err := t.exec("add collaborator", `INSERT INTO collaborators (app_id, account_id, created_at) VALUES (?, ?, ?)
		ON CONFLICT (app_id, account_id) DO NOTHING`, c.AppID, c.AccountID, millis(c.CreatedAt))
	return err
}

func (t *tx) RemoveCollaborator(appID, accountID string) error {
	return t.write("remove collaborator", `DELETE FROM collaborators WHERE app_id = ? AND account_id = ?`, appID, accountID)
}

func (t *tx) Collaborators(appID string) ([]api.Collaborator, error) {
	return list(t, "list collaborators", scanCollaborator,
		`SELECT app_id, account_id, created_at FROM collaborators WHERE app_id = ? ORDER BY seq`, appID)
}
