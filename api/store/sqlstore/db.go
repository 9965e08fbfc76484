package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"

	"paas/api/store"
)

// errClosed is what a closed DB answers.
var errClosed = errors.New("database is closed")

// DB is a store.Store. It is made by Open.
type DB struct {
	dialect dialect
	writer  *sql.DB
	reader  *sql.DB
	pokes   pokes

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

var _ store.Store = (*DB)(nil)

// Open opens the database that dsn names, making or migrating it as needed:
// "sqlite:///var/lib/paas/paas.db" or the path of a SQLite file. Several
// processes may open it at once.
func Open(ctx context.Context, dsn string) (*DB, error) {
	d, err := dialectOf(dsn)
	if err != nil {
		return nil, err
	}
	writer, reader, err := d.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot open database: %w", err)
	}
	db := &DB{dialect: d, writer: writer, reader: reader}
	if err := migrate(ctx, writer, d.migrations()); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// dialectOf reads the DSN. A DSN may hold a password, so errors name its
// scheme only.
func dialectOf(dsn string) (dialect, error) {
	scheme, rest, ok := strings.Cut(dsn, "://")
	switch {
	case dsn == "":
		return nil, errors.New("cannot open database: no path given")
	case !ok:
		return sqliteDialect{path: dsn}, nil
	case scheme == "sqlite" && rest != "":
		return sqliteDialect{path: rest}, nil
	default:
		return nil, fmt.Errorf("cannot open database: %q databases are not supported, use sqlite:///path/to/paas.db", scheme)
	}
}

// View implements store.Store.
func (db *DB) View(ctx context.Context, fn func(store.Tx) error) error {
	return db.do(ctx, db.reader, &sql.TxOptions{ReadOnly: true}, fn)
}

// Update implements store.Store.
func (db *DB) Update(ctx context.Context, fn func(store.Tx) error) error {
	if err := db.do(ctx, db.writer, nil, fn); err != nil {
		return err
	}
	db.pokes.send()
	return nil
}

// do runs fn in a transaction of h. A panic in fn undoes it and goes on.
func (db *DB) do(ctx context.Context, h *sql.DB, o *sql.TxOptions, fn func(store.Tx) error) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.running.Done()

	q, err := h.BeginTx(ctx, o)
	if err != nil {
		return fmt.Errorf("cannot begin transaction: %w", err)
	}
	// Without effect after a commit. Its error says nothing new: whatever
	// stops a rollback also closes the connection, which undoes all.
	defer q.Rollback() //nolint:errcheck

	t := &tx{ctx: ctx, q: q, dialect: db.dialect, readOnly: o != nil && o.ReadOnly}
	if err := fn(t); err != nil {
		return err
	}
	switch {
	case t.readOnly:
		return nil
	case t.failed != nil:
		// fn ignored the failure of a step; half of what it did is not what it
		// meant to do.
		return fmt.Errorf("cannot commit: an earlier step failed: %w", t.failed)
	}
	if err := q.Commit(); err != nil {
		return fmt.Errorf("cannot commit: %w", err)
	}
	return nil
}

func (db *DB) enter() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return errClosed
	}
	db.running.Add(1)
	return nil
}

// Changes implements store.Store. Commits of other processes are not seen.
func (db *DB) Changes(ctx context.Context) <-chan struct{} { return db.pokes.subscribe(ctx) }

// Close implements store.Store. Closing again does nothing.
func (db *DB) Close() error {
	db.mu.Lock()
	closed := db.closed
	db.closed = true
	db.mu.Unlock()
	db.running.Wait()
	if closed {
		return nil
	}
	// The writer last: the last connection to a WAL folds it into the file.
	if err := errors.Join(db.reader.Close(), db.writer.Close()); err != nil {
		return fmt.Errorf("cannot close database: %w", err)
	}
	return nil
}
