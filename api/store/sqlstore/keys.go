package sqlstore

import (
	"paas/api"
	"paas/api/store"
)

const keyColumns = `id, account_id, fingerprint, public_key, comment, created_at`

func scanKey(r row) (k api.Key, err error) {
	err = r.Scan(&k.ID, &k.AccountID, &k.Fingerprint, &k.PublicKey, &k.Comment, timeColumn{&k.CreatedAt})
	return k, err
}

func (t *tx) CreateKey(k api.Key) error {
	err := t.write("create key", `INSERT INTO keys (`+keyColumns+`) VALUES (?, ?, ?, ?, ?, ?)`,
		k.ID, k.AccountID, k.Fingerprint, k.PublicKey, text(k.Comment), millis(k.CreatedAt))
	return t.which(err, probe{store.RuleKeyFingerprint,
		`SELECT 1 FROM keys WHERE fingerprint = ?`, []any{k.Fingerprint}})
}

func (t *tx) DeleteKey(accountID, keyID string) error {
	return t.write("delete key", `DELETE FROM keys WHERE account_id = ? AND id = ?`, accountID, keyID)
}

func (t *tx) KeyByFingerprint(fingerprint string) (api.Key, error) {
	return get(t, "read key", scanKey, `SELECT `+keyColumns+` FROM keys WHERE fingerprint = ?`, fingerprint)
}

func (t *tx) Keys(accountID string) ([]api.Key, error) {
	return list(t, "list keys", scanKey, `SELECT `+keyColumns+` FROM keys WHERE account_id = ? ORDER BY seq`, accountID)
}
