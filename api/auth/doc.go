// Package auth says who is calling and what they may do.
//
// # Design
//
// An Authenticator turns what a caller shows (a token, a proved SSH key, an
// e-mail and password) into a Principal. Can is the one place that decides
// what a principal may do; Check says the same as an error for users, in which
// an app that one may not see does not exist. The package reads the store and
// never writes it: accounts, keys and tokens are made by the platform's use
// cases, from the values that NewToken, HashPassword and ParseKey return.
//
// Tokens are 32 random bytes. The store keeps their SHA-256 only, which is
// enough for a secret that cannot be guessed. Looking one up by its hash is
// constant-time in what matters: how far an index search gets depends on a
// hash that nobody can steer, not on the token.
//
// Passwords are hashed by argon2id, in few places at a time since each takes
// 19 MiB. They only serve to get a token (login), and failed tries are limited
// by account and by address, in memory. An unknown e-mail costs as much time
// as a wrong password.
//
// # Libraries
//
// golang.org/x/crypto: argon2 and the SSH public key formats. The standard
// library has neither.
package auth
