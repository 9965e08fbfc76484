package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// migration is one file of a dialect's migrations.
type migration struct {
	version int
	name    string
	sql     string
}

// readMigrations reads NNNN_name.sql files; versions count from 1 without
// gaps.
func readMigrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	all := make([]migration, 0, len(names))
	for i, name := range names { // Glob sorts
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.Atoi(number)
		if err != nil || len(number) != 4 || version != i+1 {
			return nil, fmt.Errorf("migration %q must begin with %04d_", name, i+1)
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		all = append(all, migration{version, strings.TrimSuffix(name, ".sql"), string(text)})
	}
	return all, nil
}

// migrate brings the schema up to date, one transaction per migration. Another
// process may be doing the same: each looks again once it may write.
func migrate(ctx context.Context, db *sql.DB, files fs.FS) error {
	all, err := readMigrations(files)
	if err != nil {
		return err
	}
	const table = `CREATE TABLE IF NOT EXISTS schema_migrations (
		version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL)`
	if _, err := db.ExecContext(ctx, table); err != nil {
		return fmt.Errorf("cannot migrate database: %w", err)
	}
	for {
		done, err := migrateOne(ctx, db, all)
		if err != nil {
			return fmt.Errorf("cannot migrate database: %w", err)
		}
		if done {
			return nil
		}
	}
}

func migrateOne(ctx context.Context, db *sql.DB, all []migration) (done bool, err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer tx.Rollback() //nolint:errcheck // without effect after the commit
	var have int
	if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(version), 0) FROM schema_migrations`).Scan(&have); err != nil {
		return false, err
	}
	switch {
	case have > len(all):
		return false, fmt.Errorf("its schema (%d) is newer than this program (%d): install the paasd that wrote it, or a newer one", have, len(all))
	case have == len(all):
		return true, nil
	}
	m := all[have]
	if _, err := tx.ExecContext(ctx, m.sql); err != nil {
		return false, fmt.Errorf("%s: %w", m.name, err)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO schema_migrations (version, name, applied_at) VALUES (?, ?, ?)`,
		m.version, m.name, time.Now().UnixMilli()); err != nil {
		return false, err
	}
	return false, tx.Commit()
}
