// Package gitssh is the SSH front door for git: `git push` deploys, fetch and
// clone read an app's repository back, and nothing else is possible.
//
// # Design
//
// An account is known by its keys alone; there are no passwords. The key
// handler runs for every key that a client offers, also for ones it cannot
// prove, so it only answers "known or not" and remembers nothing: who a
// session belongs to is read from the permissions that golang.org/x/crypto/ssh
// attaches to the connection once a signature has been verified, and is looked
// up again for each session (account.go). The ssh user name is ignored.
//
// Nothing is ever run through a shell: a command line is parsed (command.go)
// into one of two verbs and the name of an app. An app that does not exist and
// one that the account may not use look the same.
//
// All that a client can hold is bounded: connections, unauthenticated
// connections, sessions per connection, time to authenticate, time without a
// session, and time without an answer to a keep-alive (link.go).
//
// # Third-party packages
//
// github.com/gliderlabs/ssh: sessions over golang.org/x/crypto/ssh, which does
// the transport. golang.org/x/sys: which ciphers the processor helps with, and
// TCP_USER_TIMEOUT.
package gitssh
