package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

//go:embed migrations/sqlite/*.sql
var sqliteMigrations embed.FS

// maxReaders bounds the connections that read. Each has a cache of its own; a
// query takes well under a millisecond, so more would only cost memory.
const maxReaders = 4

// busyTimeout is how long a writer waits for one of another process, in
// milliseconds.
const busyTimeout = 10_000

// sqliteDialect is SQLite in the file at path.
type sqliteDialect struct{ path string }

func (d sqliteDialect) migrations() fs.FS {
	sub, err := fs.Sub(sqliteMigrations, "migrations/sqlite")
	if err != nil {
		panic(err) // the path is a valid constant
	}
	return sub
}

func (d sqliteDialect) open(ctx context.Context) (writer, reader *sql.DB, err error) {
	path, err := filepath.Abs(d.path)
	if err != nil {
		return nil, nil, err
	}
	if err := private(path); err != nil {
		return nil, nil, err
	}
	writer, err = openSQLite(path, 1, "immediate",
		// An acknowledged commit survives a power cut.
		"synchronous(FULL)", "cache_size(-2048)",
		// Bounds the log after a burst of writes.
		"journal_size_limit(8388608)")
	if err != nil {
		return nil, nil, err
	}
	if err := useWAL(ctx, writer); err != nil {
		return nil, nil, errors.Join(err, writer.Close())
	}
	reader, err = openSQLite(path, maxReaders, "deferred", "query_only(1)", "cache_size(-1024)")
	if err != nil {
		return nil, nil, errors.Join(err, writer.Close())
	}
	// Idle readers give their memory back. The writer stays: when the last
	// connection goes, SQLite removes the log and its index.
	reader.SetConnMaxIdleTime(time.Minute)
	return writer, reader, nil
}

func openSQLite(path string, conns int, lock string, pragmas ...string) (*sql.DB, error) {
	q := url.Values{
		"_txlock":    {lock},
		"_dqs":       {"0"}, // "x" is a column or an error, never a string
		"_defensive": {"1"},
		"_error_rc":  {"1"},
		"_pragma": append([]string{
			fmt.Sprintf("busy_timeout(%d)", busyTimeout), "foreign_keys(1)", "trusted_schema(0)", "temp_store(MEMORY)",
		}, pragmas...),
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	c, err := sqlite.NewConnector(u.String())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// useWAL switches the file to a write-ahead log, which lasts. SQLite does not
// wait by busy_timeout for that when another process is doing the same.
func useWAL(ctx context.Context, db *sql.DB) error {
	deadline := time.Now().Add(busyTimeout * time.Millisecond)
	for {
		var mode string
		err := db.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode)
		switch {
		case err == nil && mode == "wal":
			return nil
		case err == nil:
			return fmt.Errorf("cannot use a write-ahead log (journal mode is %q): the directory must be on a local file system", mode)
		case sqliteCode(err)&0xff != sqlite3.SQLITE_BUSY, time.Now().After(deadline):
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// private makes the file if there is none, and readable by its owner only;
// SQLite gives its log the same mode. An existing file is not opened here:
// closing it again would drop the locks that SQLite holds on it elsewhere in
// this process.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case err == nil:
		return errors.Join(f.Close(), syncDir(filepath.Dir(path)))
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	for _, p := range []string{path, path + "-wal", path + "-shm"} {
		fi, err := os.Stat(p)
		switch {
		case errors.Is(err, fs.ErrNotExist) && p != path:
			continue
		case err != nil:
			return err
		case !fi.Mode().IsRegular():
			return fmt.Errorf("%s is not a regular file", p)
		case fi.Mode().Perm()&0o077 == 0:
			continue
		}
		if err := os.Chmod(p, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// syncDir makes a new file's name durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (d sqliteDialect) violation(err error) violation {
	switch sqliteCode(err) {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return uniqueViolation
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return foreignKeyViolation
	}
	return noViolation
}

// sqliteCode is the extended result code in err, 0 if there is none.
func sqliteCode(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}
