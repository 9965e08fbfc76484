package sqlstore

import (
	"paas/api"
	"paas/api/store"
)

const accountColumns = `id, email, name, admin, created_at, updated_at`

func scanAccount(r row) (a api.Account, err error) {
	err = r.Scan(&a.ID, &a.Email, &a.Name, &a.Admin, timeColumn{&a.CreatedAt}, timeColumn{&a.UpdatedAt})
	return a, err
}

func (t *tx) CreateAccount(a api.Account) error {
	err := t.write("create account",
		`INSERT INTO accounts (id, email, email_key, name, admin, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		a.ID, a.Email, fold(a.Email), text(a.Name), a.Admin, millis(a.CreatedAt), millis(a.UpdatedAt))
	return t.which(err, emailProbe(a))
}

func (t *tx) UpdateAccount(a api.Account) error {
	err := t.write("update account",
		`UPDATE accounts SET email = ?, email_key = ?, name = ?, admin = ?, updated_at = ? WHERE id = ?`,
		a.Email, fold(a.Email), text(a.Name), a.Admin, millis(a.UpdatedAt), a.ID)
	return t.which(err, emailProbe(a))
}

func emailProbe(a api.Account) probe {
	return probe{store.RuleAccountEmail, `SELECT 1 FROM accounts WHERE email_key = ? AND id <> ?`, []any{fold(a.Email), a.ID}}
}

func (t *tx) Account(id string) (api.Account, error) {
	return get(t, "read account", scanAccount, `SELECT `+accountColumns+` FROM accounts WHERE id = ?`, id)
}

func (t *tx) AccountByEmail(email string) (api.Account, error) {
	return get(t, "read account", scanAccount, `SELECT `+accountColumns+` FROM accounts WHERE email_key = ?`, fold(email))
}

func (t *tx) Accounts() ([]api.Account, error) {
	return list(t, "list accounts", scanAccount, `SELECT `+accountColumns+` FROM accounts ORDER BY email_key`)
}

func (t *tx) PasswordHash(accountID string) (string, error) {
	return get(t, "read password hash", scanString, `SELECT password_hash FROM accounts WHERE id = ?`, accountID)
}

func (t *tx) SetPasswordHash(accountID, hash string) error {
	return t.write("set password hash", `UPDATE accounts SET password_hash = ? WHERE id = ?`, hash, accountID)
}
