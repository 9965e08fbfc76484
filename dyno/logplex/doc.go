// Package logplex keeps one log stream per app and lets it be read, live and
// afterwards. It implements dyno.LogSink.
//
// # Design
//
// The disk is the buffer. An app's stream is a row of segment files in a
// directory of its own; when a segment is full the oldest is deleted, so a
// stream never takes more than its budget. A reader is a position in it: it
// reads old lines and new ones by the same code, so there is neither gap nor
// duplicate where "replay" ends and "live" begins, a slow reader costs no memory
// and delays nobody, and it loses lines only when the stream has left it behind
// by the whole budget, which it is told, with the exact number (L11).
//
// A write is one record with a checksum: the lines and, in the same record, how
// far the output of a dyno has been read. So after kill -9 a line and its offset
// are there together or not at all, and nothing is lost or doubled. A record
// that was cut short is dropped when the stream is opened again. Nothing is
// synced: what was written survives the end of paasd, though not a power cut.
// Each segment begins with a record of all offsets, so that older ones may go.
//
// Every line has an id, growing by one, by which a reader can resume.
//
// What an app prints is limited by a token bucket, and so is what the platform
// writes about it (router lines, mostly), by another. Lines over the limit are
// dropped, counted, and the count is a line of the stream (L12).
//
// An app that is neither written to nor read for a minute costs nothing: no
// goroutine, no file, no memory.
package logplex
