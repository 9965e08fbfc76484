// Package blob keeps immutable byte strings on disk under the name of their
// content.
//
// # Design
//
// A blob lives at <dir>/sha256/<hex>, the layout that OCI image layouts use. It
// appears there complete or not at all: bytes go to <dir>/tmp, are hashed on
// the way, fsynced and renamed, and the directory is fsynced. Putting what is
// there already keeps the old file and makes it young again, so a collector
// that spares young blobs never takes one from under a build that is about to
// name it.
//
// Nothing here trusts the disk for ever: readers that act on what they read
// use OpenVerified or ReadAll, which hash again.
package blob
