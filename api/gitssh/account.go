package gitssh

import (
	"context"
	"errors"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"

	"paas/api"
)

// known answers whether a key that a client offers belongs to anybody. It has
// no side effects: the client need not have that key.
func (s *Server) known(ctx ssh.Context, key ssh.PublicKey) bool {
	_, err := s.o.Accounts.AccountByKey(ctx, gossh.FingerprintSHA256(key))
	if err != nil && !refused(err) {
		s.o.Log.Error("cannot look up key", "err", err)
	}
	return err == nil
}

// fingerprintExtension names the proved key in a connection's permissions.
const fingerprintExtension = "paas-fingerprint"

// proved runs once the client has signed with the key.
func proved(_ gossh.ConnMetadata, key gossh.PublicKey, _ *gossh.Permissions, _ string) (*gossh.Permissions, error) {
	return &gossh.Permissions{Extensions: map[string]string{fingerprintExtension: gossh.FingerprintSHA256(key)}}, nil
}

// account is who has proved to be at the other end. The key may have been
// removed since, so it is looked up again.
func (s *Server) account(ctx context.Context, conn *gossh.ServerConn) (api.Account, error) {
	if conn.Permissions == nil || conn.Permissions.Extensions[fingerprintExtension] == "" {
		return api.Account{}, errors.New("connection has no proved key")
	}
	return s.o.Accounts.AccountByKey(ctx, conn.Permissions.Extensions[fingerprintExtension])
}

// refused says that an error means no, rather than that asking has failed.
func refused(err error) bool {
	switch api.IDOf(err) {
	case api.Unauthorized, api.NotFound, api.Forbidden:
		return true
	}
	return false
}
