package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"log/slog"
	"strings"
)

// tokenPrefix lets people and secret scanners recognise a token.
const tokenPrefix = "paas_"

// tokenBytes of randomness cannot be guessed.
const tokenBytes = 32

var tokenEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Token is the secret of an api.Authorization. The type does not print it.
type Token struct{ secret string }

// NewToken makes a token.
func NewToken() Token {
	b := make([]byte, tokenBytes)
	rand.Read(b) //nolint:errcheck // never fails
	return Token{tokenPrefix + tokenEncoding.EncodeToString(b)}
}

// Reveal returns the secret, to be shown once to whom it belongs.
func (t Token) Reveal() string { return t.secret }

// Hash is what the store keeps of it.
func (t Token) Hash() []byte {
	h := sha256.Sum256([]byte(t.secret))
	return h[:]
}

// tokenOf reads a token. What does not look like one need not be asked of the
// store.
func tokenOf(s string) (Token, bool) {
	rest, ok := strings.CutPrefix(s, tokenPrefix)
	if !ok || len(rest) != tokenEncoding.EncodedLen(tokenBytes) {
		return Token{}, false
	}
	for i := range len(rest) {
		if c := rest[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return Token{}, false
		}
	}
	return Token{s}, true
}

func (t Token) String() string       { return "token (hidden)" }
func (t Token) GoString() string     { return t.String() }
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }
