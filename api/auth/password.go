package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"paas/api"
)

// Bounds of a password's length, in characters and bytes. There are no other
// rules: they make passwords worse (NIST SP 800-63B).
const (
	minPassword = 8
	maxPassword = 1024
)

// Cost of a hash: OWASP's recommendation for argon2id.
const (
	argonMemory  = 19 << 10 // KiB
	argonTime    = 2
	argonThreads = 1
	saltBytes    = 16
	hashBytes    = 32
)

// maxHashing bounds the hashes made at once, and with it the memory;
// maxWaiting the callers that wait for their turn, some seconds' worth.
const (
	maxHashing = 2
	maxWaiting = 64
)

// Passwords hashes and verifies passwords, a few at a time.
type Passwords struct {
	waiting chan struct{}
	slots   chan struct{}
}

// NewPasswords makes a Passwords; a process needs one.
func NewPasswords() *Passwords {
	return &Passwords{waiting: make(chan struct{}, maxWaiting), slots: make(chan struct{}, maxHashing)}
}

// CheckPassword accepts passwords that a new hash may be made of.
func CheckPassword(password string) error {
	switch {
	case utf8.RuneCountInString(password) < minPassword:
		return api.Errorf(api.InvalidParams, "Password is too short: use %d characters or more.", minPassword)
	case len(password) > maxPassword:
		return api.Errorf(api.InvalidParams, "Password is too long: use %d bytes at most.", maxPassword)
	case !utf8.ValidString(password):
		return api.Errorf(api.InvalidParams, "Password is not valid UTF-8 text.")
	}
	return nil
}

// Hash makes the PHC string that the store keeps of a password. It waits for a
// slot, until ctx ends.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	if err := CheckPassword(password); err != nil {
		return "", err
	}
	h := argonHash{memory: argonMemory, time: argonTime, threads: argonThreads, salt: make([]byte, saltBytes)}
	rand.Read(h.salt) //nolint:errcheck // never fails
	sum, err := p.sum(ctx, h, password, hashBytes)
	if err != nil {
		return "", err
	}
	h.sum = sum
	return h.String(), nil
}

// Verify says whether hash was made of password. A hash that is "" or cannot
// be read matches nothing, and takes as long.
func (p *Passwords) Verify(ctx context.Context, hash, password string) (bool, error) {
	if len(password) > maxPassword {
		return false, nil
	}
	h, err := parseArgonHash(hash)
	readable := err == nil
	if !readable {
		h = argonHash{memory: argonMemory, time: argonTime, threads: argonThreads, salt: make([]byte, saltBytes), sum: make([]byte, hashBytes)}
	}
	sum, err := p.sum(ctx, h, password, len(h.sum))
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(sum, h.sum) == 1 && readable, nil
}

func (p *Passwords) sum(ctx context.Context, h argonHash, password string, size int) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case p.waiting <- struct{}{}:
	default:
		return nil, api.Errorf(api.Unavailable, "Too many logins at once. Try again in some seconds.")
	}
	select {
	case p.slots <- struct{}{}:
		<-p.waiting
	case <-ctx.Done():
		<-p.waiting
		return nil, ctx.Err()
	}
	defer func() { <-p.slots }()
	return argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, uint32(size)), nil
}

// argonHash is a PHC string: $argon2id$v=19$m=19456,t=2,p=1$salt$sum.
type argonHash struct {
	memory  uint32 // KiB
	time    uint32
	threads uint8
	salt    []byte
	sum     []byte
}

var phcEncoding = base64.RawStdEncoding.Strict()

func (h argonHash) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.time, h.threads,
		phcEncoding.EncodeToString(h.salt), phcEncoding.EncodeToString(h.sum))
}

// parseArgonHash reads what String writes, and hashes of other costs within
// what this machine should be asked for.
func parseArgonHash(s string) (argonHash, error) {
	var h argonHash
	f := strings.Split(s, "$")
	if len(f) != 6 || f[0] != "" || f[1] != "argon2id" || f[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return h, errors.New("not an argon2id hash")
	}
	if _, err := fmt.Sscanf(f[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.threads); err != nil {
		return h, errors.New("bad argon2id parameters")
	}
	var err1, err2 error
	h.salt, err1 = phcEncoding.DecodeString(f[4])
	h.sum, err2 = phcEncoding.DecodeString(f[5])
	switch {
	case err1 != nil || err2 != nil:
		return h, errors.New("bad argon2id encoding")
	case h.memory < 8 || h.memory > 256<<10 || h.time < 1 || h.time > 16 || h.threads < 1 || h.threads > 16,
		len(h.salt) < 8 || len(h.salt) > 64, len(h.sum) < 16 || len(h.sum) > 64:
		return h, errors.New("argon2id parameters out of bounds")
	case h.String() != s:
		return h, errors.New("argon2id hash in another spelling")
	}
	return h, nil
}
