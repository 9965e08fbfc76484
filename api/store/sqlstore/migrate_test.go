package sqlstore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// Migrations are append-only: one that has been released never changes.
// testdata/migrations.sum gets a line with each new one.
func TestMigrationsAreFrozen(t *testing.T) {
	files := sqliteDialect{}.migrations()
	all, err := readMigrations(files)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, m := range all {
		text, err := fs.ReadFile(files, m.name+".sql")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "%x  sqlite/%s.sql\n", sha256.Sum256(text), m.name)
	}
	want, err := os.ReadFile("testdata/migrations.sum")
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("migrations differ from testdata/migrations.sum; they are\n%s", got.String())
	}
}

func TestReadMigrations(t *testing.T) {
	for _, names := range [][]string{{"0002_b.sql"}, {"0001_a.sql", "0003_c.sql"}, {"1_a.sql"}, {"0001_a.sql", "0001_b.sql"}, {"x.sql"}} {
		files := fstest.MapFS{}
		for _, n := range names {
			files[n] = &fstest.MapFile{}
		}
		if _, err := readMigrations(files); err == nil {
			t.Errorf("%v: no error", names)
		}
	}
}

func migratedTo(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	if err := db.QueryRow(`SELECT count(*) FROM schema_migrations`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestMigrate(t *testing.T) {
	db, err := openSQLite(filepath.Join(t.TempDir(), "x.db"), 1, "immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx := context.Background()
	files := fstest.MapFS{"0001_first.sql": {Data: []byte(`CREATE TABLE a (x TEXT); INSERT INTO a VALUES ('kept');`)}}
	for range 2 { // again: nothing to do
		if err := migrate(ctx, db, files); err != nil {
			t.Fatal(err)
		}
	}

	// One that fails half-way leaves nothing.
	files["0002_second.sql"] = &fstest.MapFile{Data: []byte(`ALTER TABLE a ADD COLUMN y TEXT; INSERT INTO nowhere VALUES (1);`)}
	if err := migrate(ctx, db, files); err == nil || !strings.Contains(err.Error(), "0002_second") {
		t.Errorf("bad migration: %v", err)
	}
	if n := migratedTo(t, db); n != 1 {
		t.Errorf("%d migrations are recorded", n)
	}
	if _, err := db.Exec(`SELECT y FROM a`); err == nil {
		t.Error("half of a migration was kept")
	}

	files["0002_second.sql"] = &fstest.MapFile{Data: []byte(`ALTER TABLE a ADD COLUMN y TEXT NOT NULL DEFAULT 'new';`)}
	files["0003_third.sql"] = &fstest.MapFile{Data: []byte(`CREATE INDEX a_y ON a (y);`)}
	if err := migrate(ctx, db, files); err != nil {
		t.Fatal(err)
	}
	var x, y string
	if err := db.QueryRow(`SELECT x, y FROM a`).Scan(&x, &y); err != nil || x != "kept" || y != "new" {
		t.Errorf("row is %q %q, %v", x, y, err)
	}

	// A program that knows less refuses to touch it.
	delete(files, "0003_third.sql")
	if err := migrate(ctx, db, files); err == nil || !strings.Contains(err.Error(), "newer than this program") {
		t.Errorf("newer schema: %v", err)
	}
}

func TestOpenRefusesNewerSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "paas.db")
	db := open(t, path)
	if _, err := db.writer.Exec(`INSERT INTO schema_migrations VALUES (?, 'of the future', 0)`, migratedTo(t, db.writer)+1); err != nil {
		t.Fatal(err)
	}
	if db, err := Open(t.Context(), path); err == nil {
		db.Close()
		t.Error("a newer schema was opened")
	}
}

func TestOpenRefusesOtherFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "paas.db")
	text := strings.Repeat("this is no database\n", 1000)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if db, err := Open(t.Context(), path); err == nil {
		db.Close()
		t.Error("a text file was opened")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != text {
		t.Error("the file was changed")
	}
}
