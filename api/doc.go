// Package api is the vocabulary that every part of the platform shares: its
// nouns (App, Release, Slug, Dyno ...), the rules for their names, and the one
// error type that reaches users.
//
// # Design
//
// The package is a leaf: it imports the standard library only, holds no state
// and does no I/O, so any package may import it. Resource types are plain
// values and safe to copy; their maps and slices MUST be treated as read-only
// once a value has been handed to another package.
//
// Config vars and tokens are never fields of a resource type: they have types
// of their own that refuse to print themselves.
//
// The shapes that travel over HTTP are in api/v3; they follow Heroku's
// Platform API v3, these follow our own needs.
package api
