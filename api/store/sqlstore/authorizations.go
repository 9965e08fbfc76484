package sqlstore

import "paas/api"

const authorizationColumns = `id, account_id, description, scopes, created_at, expires_at`

func scanAuthorization(r row) (a api.Authorization, err error) {
	err = r.Scan(&a.ID, &a.AccountID, &a.Description, jsonColumn[api.Scope]{&a.Scopes},
		timeColumn{&a.CreatedAt}, timeColumn{&a.ExpiresAt})
	return a, err
}

func (t *tx) CreateAuthorization(a api.Authorization, tokenHash []byte) error {
	return t.write("create authorization",
		`INSERT INTO authorizations (`+authorizationColumns+`, token_hash) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		a.ID, a.AccountID, text(a.Description), jsonList(a.Scopes), millis(a.CreatedAt), millis(a.ExpiresAt), tokenHash)
}

func (t *tx) DeleteAuthorization(accountID, id string) error {
	return t.write("delete authorization", `DELETE FROM authorizations WHERE account_id = ? AND id = ?`, accountID, id)
}

func (t *tx) AuthorizationByHash(tokenHash []byte) (api.Authorization, error) {
	return get(t, "read authorization", scanAuthorization,
		`SELECT `+authorizationColumns+` FROM authorizations WHERE token_hash = ?`, tokenHash)
}

func (t *tx) Authorizations(accountID string) ([]api.Authorization, error) {
	return list(t, "list authorizations", scanAuthorization,
		`SELECT `+authorizationColumns+` FROM authorizations WHERE account_id = ? ORDER BY seq`, accountID)
}
