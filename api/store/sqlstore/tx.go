package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"paas/api/store"
)

// tx is one transaction. Its methods are in the files of their nouns.
type tx struct {
	ctx      context.Context // of View or Update
	q        *sql.Tx
	dialect  dialect
	readOnly bool
	// failed is the first error other than ErrNotFound and ConflictError: one
	// of several statements of a method may have been done, so the
	// transaction can only be undone.
	failed error
}

// write runs a statement. One that touches no row fails with ErrNotFound, one
// that breaks a unique rule with RuleOther (see which). What is "create app"
// and the like.
func (t *tx) write(what, query string, args ...any) error {
	n, err := t.exec(what, query, args...)
	if err == nil && n == 0 {
		return store.ErrNotFound
	}
	return err
}

// exec is write for statements that may touch no row; it returns how many.
func (t *tx) exec(what, query string, args ...any) (int64, error) {
	if t.readOnly {
		return 0, t.fail(what, errors.New("the transaction is read-only"))
	}
	for i, a := range args {
		if s, ok := a.(string); ok && !wellFormed(s) {
			return 0, t.fail(what, fmt.Errorf("value %d is not UTF-8 text without NUL", i+1))
		}
	}
	r, err := t.q.ExecContext(t.ctx, query, args...)
	if err != nil {
		switch t.dialect.violation(err) {
		case uniqueViolation:
			return 0, &store.ConflictError{Rule: store.RuleOther}
		case foreignKeyViolation:
			return 0, fmt.Errorf("cannot %s: what it belongs to: %w", what, store.ErrNotFound)
		}
		return 0, t.fail(what, err)
	}
	n, err := r.RowsAffected()
	if err != nil {
		return 0, t.fail(what, err)
	}
	return n, nil
}

func (t *tx) fail(what string, err error) error {
	err = fmt.Errorf("cannot %s: %w", what, err)
	if t.failed == nil {
		t.failed = err
	}
	return err
}

// probe finds a row that stands against a write under a unique rule.
type probe struct {
	rule  string
	query string
	args  []any
}

// which names the rule behind a conflict that write reported: that of the
// first probe with a row. Any other err is returned as it is.
func (t *tx) which(err error, probes ...probe) error {
	var conflict *store.ConflictError
	if !errors.As(err, &conflict) {
		return err
	}
	for _, p := range probes {
		found, perr := t.exists("find the broken rule", p.query, p.args...)
		if perr != nil {
			return perr
		}
		if found {
			return &store.ConflictError{Rule: p.rule}
		}
	}
	return err
}

// exists says whether a query has a row.
func (t *tx) exists(what, query string, args ...any) (bool, error) {
	var one int
	err := t.q.QueryRowContext(t.ctx, query, args...).Scan(&one)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, t.fail(what, err)
	}
	return true, nil
}

// row is what a scan function reads from: *sql.Row or *sql.Rows.
type row interface{ Scan(dest ...any) error }

// get reads the one row of a query, or ErrNotFound.
func get[T any](t *tx, what string, scan func(row) (T, error), query string, args ...any) (T, error) {
	v, err := scan(t.q.QueryRowContext(t.ctx, query, args...))
	if err == nil {
		return v, nil
	}
	var none T
	if errors.Is(err, sql.ErrNoRows) {
		return none, store.ErrNotFound
	}
	return none, t.fail(what, err)
}

// list reads all rows of a query.
func list[T any](t *tx, what string, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := t.q.QueryContext(t.ctx, query, args...)
	if err != nil {
		return nil, t.fail(what, err)
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, t.fail(what, err)
		}
		all = append(all, v)
	}
	if err := rows.Err(); err != nil {
		return nil, t.fail(what, err)
	}
	return all, nil
}

// limited appends a limit to a query and its arguments; 0 = none.
func limited(query string, limit int, args ...any) (string, []any) {
	if limit <= 0 {
		return query, args
	}
	return query + " LIMIT ?", append(args, limit)
}

func scanString(r row) (s string, err error) {
	err = r.Scan(&s)
	return s, err
}

func wellFormed(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }
