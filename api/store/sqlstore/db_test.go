package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"paas/api"
	"paas/api/store"
	"paas/api/store/storetest"
)

func open(t *testing.T, path string) *DB {
	t.Helper()
	db, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, filepath.Join(t.TempDir(), "paas.db")) })
}

func TestStoreDurable(t *testing.T) {
	storetest.RunDurable(t, func(t *testing.T, dir string) store.Store { return open(t, "sqlite://"+dir+"/paas.db") })
}

func TestDSN(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"plain.db", "with space.db", "q?mode=memory&_pragma=x.db", "100%41#frag.db", "ünïcode.db"} {
		for _, prefix := range []string{"sqlite://", ""} {
			path := filepath.Join(dir, name)
			db := open(t, prefix+path)
			if err := db.Update(t.Context(), func(store.Tx) error { return nil }); err != nil {
				t.Errorf("%s%s: %v", prefix, name, err)
			}
			if _, err := os.Stat(path); err != nil {
				t.Error(err)
			}
		}
	}
	for _, dsn := range []string{"", "sqlite://", "postgres://me:s3cret@127.0.0.1/paas", filepath.Join(dir, "no such", "paas.db"), dir} {
		db, err := Open(t.Context(), dsn)
		if err == nil {
			db.Close()
			t.Errorf("%q was opened", dsn)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
}

func TestFilesArePrivate(t *testing.T) {
	for _, before := range []os.FileMode{0, 0o644} {
		path := filepath.Join(t.TempDir(), "paas.db")
		if before != 0 {
			if err := os.WriteFile(path, nil, before); err != nil {
				t.Fatal(err)
			}
		}
		db := open(t, path)
		if err := db.Update(t.Context(), func(store.Tx) error { return nil }); err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{path, path + "-wal", path + "-shm"} {
			fi, err := os.Stat(p)
			if err != nil {
				t.Fatal(err)
			}
			if fi.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v", filepath.Base(p), fi.Mode())
			}
		}
	}
}

func TestPragmas(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "paas.db"))
	for _, c := range []struct {
		db           *sql.DB
		pragma, want string
	}{
		{db.writer, "journal_mode", "wal"},
		{db.writer, "synchronous", "2"}, // FULL: commits survive a power cut
		{db.writer, "foreign_keys", "1"},
		{db.writer, "busy_timeout", "10000"},
		{db.writer, "trusted_schema", "0"},
		{db.reader, "journal_mode", "wal"},
		{db.reader, "query_only", "1"},
	} {
		var got string
		if err := c.db.QueryRowContext(t.Context(), "PRAGMA "+c.pragma).Scan(&got); err != nil || got != c.want {
			t.Errorf("%s = %q, %v; want %q", c.pragma, got, err, c.want)
		}
	}
	if n := db.writer.Stats().MaxOpenConnections; n != 1 {
		t.Errorf("%d connections may write", n)
	}
}

// Processes that start together on a fresh disk must not trip over each other.
func TestOpenTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "paas.db")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			db, err := Open(context.Background(), path)
			if err != nil {
				t.Error(err)
				return
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestQueriesUseIndexes(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "paas.db"))
	for _, query := range []string{
		`SELECT 1 FROM builds WHERE app_id = 'a' ORDER BY seq DESC LIMIT 3`,
		`SELECT 1 FROM builds WHERE status = 'pending' ORDER BY seq`,
		`SELECT 1 FROM builds WHERE app_id = 'a' AND status = 'pending'`,
		`SELECT 1 FROM slugs WHERE app_id = 'a' ORDER BY seq DESC`,
		`SELECT 1 FROM slugs WHERE app_id = 'a' AND build_key = 'k' AND build_key <> '' ORDER BY seq DESC LIMIT 1`,
		`SELECT 1 FROM releases WHERE app_id = 'a' ORDER BY version DESC LIMIT 1`,
		`SELECT 1 FROM releases WHERE status = 'pending' ORDER BY seq`,
		`SELECT 1 FROM releases WHERE slug_id = 's'`,
		`SELECT 1 FROM authorizations WHERE token_hash = x'00'`,
		`SELECT 1 FROM keys WHERE fingerprint = 'f'`,
		`SELECT 1 FROM accounts WHERE email_key = 'e'`,
	} {
		rows, err := db.reader.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(detail, "INDEX") && !strings.Contains(detail, "TEMP B-TREE FOR ORDER BY") {
				t.Errorf("%s: %s", query, detail)
			}
		}
		if err := rows.Err(); err != nil {
			t.Error(err)
		}
		rows.Close()
	}
}

func BenchmarkCreateRelease(b *testing.B) {
	db, app := benchmarkDB(b)
	version := 0
	for b.Loop() {
		version++
		err := db.Update(b.Context(), func(tx store.Tx) error {
			return tx.CreateRelease(api.Release{ID: fmt.Sprint("r", version), AppID: app.ID, Version: version}, api.ConfigVars{"K": "v"})
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadApp(b *testing.B) {
	db, app := benchmarkDB(b)
	for b.Loop() {
		err := db.View(b.Context(), func(tx store.Tx) error {
			_, err := tx.AppByName(app.Name)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkDB(b *testing.B) (*DB, api.App) {
	db, err := Open(b.Context(), filepath.Join(b.TempDir(), "paas.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	app := api.App{ID: "a", Name: "name", OwnerID: "o"}
	err = db.Update(b.Context(), func(tx store.Tx) error {
		if err := tx.CreateAccount(api.Account{ID: "o", Email: "o@example.com"}); err != nil {
			return err
		}
		return tx.CreateApp(app)
	})
	if err != nil {
		b.Fatal(err)
	}
	return db, app
}
