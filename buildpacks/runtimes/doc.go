// Package runtimes finds, fetches and verifies language runtimes: Node.js and
// its package managers from an npm registry, Go toolchains from a Go module
// proxy.
//
// # Design
//
// A Registry or a GoProxy answers two questions: which versions are there,
// and give me this one. What arrives is checked against a digest that does
// not come from the same place as the bytes alone: npm's sha512 integrity,
// and for Go the checksum database's signed tree. A runtime that cannot be
// verified is not used.
//
// A Cache keeps unpacked runtimes in a directory: one writer at a time (a
// file lock), a runtime appears by rename and is whole or absent. The
// built-in buildpacks keep one in each app's build cache; so no app can reach
// another's. A host can keep one too (Cache.Ensure), which only works for
// exact versions, because only a build knows what its app asks for.
//
// No version is ever replaced by another: what cannot be had is an
// *UnavailableError that says what was wanted, who was asked and what there
// is.
//
// The defaults are the public registries; the environment variables that npm
// and go themselves read choose others (NPM_CONFIG_REGISTRY, GOPROXY,
// GOSUMDB, GONOSUMDB), and HTTPS_PROXY and SSL_CERT_FILE work as everywhere
// in Go.
//
// Third-party packages: golang.org/x/mod/sumdb is the Go team's client of the
// checksum database, and nothing else should check its proofs;
// Masterminds/semver parses and orders versions. Its constraints are not used:
// they differ from node-semver's (spaces mean "or nothing", prereleases,
// hyphens), so Range is our own. golang.org/x/mod/module knows the patterns of
// GONOSUMDB and which file names a module may hold; golang.org/x/sys/unix
// locks files.
package runtimes
