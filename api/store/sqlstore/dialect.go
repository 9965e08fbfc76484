package sqlstore

import (
	"context"
	"database/sql"
	"io/fs"
)

// dialect is what differs between databases. Queries are written once, with ?
// for parameters.
type dialect interface {
	// open returns the handle for writers, whose transactions exclude each
	// other, and that for readers, whose transactions are snapshots.
	open(ctx context.Context) (writer, reader *sql.DB, err error)
	// migrations holds files NNNN_name.sql.
	migrations() fs.FS
	// violation says which kind of rule err reports as broken.
	violation(err error) violation
}

type violation int

const (
	noViolation violation = iota
	uniqueViolation
	// foreignKeyViolation: the row that a new row belongs to is not there.
	foreignKeyViolation
)
