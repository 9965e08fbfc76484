// Package sqlstore keeps the platform's data in a SQL database.
//
// # Design
//
// Nouns have one file each, with the SQL they need and nothing else. What
// differs between databases is behind dialect; so far there is SQLite, which
// needs no server and no care.
//
// SQLite runs in WAL mode: readers see snapshots and never wait. One handle
// with one connection writes, every transaction of it begins IMMEDIATE, so
// writers of this process queue in Go (and give up with their context) and
// those of other processes wait by busy_timeout: a transaction never fails
// half-way because it could not upgrade its lock. synchronous=FULL makes every
// commit reach the disk before Update returns: a release that was acknowledged
// survives a power cut. Caches are small, the data are small too.
//
// Which kind of rule a statement broke is told by the driver's error code,
// never by its text. Which rule it was is then asked of the database
// (tx.which), inside the same transaction.
//
// Strings that decide something (ids, names, config vars, commands) MUST be
// UTF-8 without NUL and are refused otherwise; strings for people to read
// (descriptions, comments, reasons) are repaired, so that a commit subject in
// Latin-1 cannot fail a deploy. Nil and empty lists are the same and read back
// as nil.
//
// Migrations are append-only files, one transaction each. A database whose
// schema is newer than the program is refused.
//
// # Libraries
//
// modernc.org/sqlite is SQLite translated to Go: no cgo, so paasd stays one
// static binary. It is the driver of the widest use among the cgo-free ones
// and gives extended result codes.
package sqlstore
