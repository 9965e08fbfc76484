package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"paas/api"
	"paas/api/platform"
	"paas/api/store"
)

// accountCreate makes an account, or finds it, and writes a token for it. It
// works beside a running paasd and may be repeated: a token file whose token
// still works is left as it is.
func accountCreate(ctx context.Context, in *invocation) error {
	if in.account.email == "" {
		return errors.New("cannot create an account without --email")
	}
	db, err := openStore(ctx, in.config)
	if err != nil {
		return err
	}
	defer db.Close()
	authenticator := newAuth(db)
	var account api.Account
	err = db.View(ctx, func(tx store.Tx) error {
		account, err = tx.AccountByEmail(in.account.email)
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		if account, err = platform.CreateAccount(ctx, db, time.Now(), in.account.email, in.account.name, in.account.admin); err != nil {
			return err
		}
		fmt.Fprintf(in.stderr, "Account %s is made.\n", account.Email)
	case err != nil:
		return err
	case in.account.admin && !account.Admin:
		return fmt.Errorf("cannot make %s an administrator: the account exists already. Use another e-mail address", account.Email)
	default:
		fmt.Fprintf(in.stderr, "Account %s exists.\n", account.Email)
	}
	if in.account.tokenFile == "" {
		return nil
	}
	if old, err := os.ReadFile(in.account.tokenFile); err == nil {
		who, err := authenticator.Token(ctx, "Bearer "+strings.TrimSpace(string(old)))
		if err == nil && who.Account.ID == account.ID {
			return nil
		}
	}
	_, token, err := platform.CreateAuthorization(ctx, db, time.Now(), account, "Made by paasd account:create", []api.Scope{api.ScopeGlobal}, 0)
	if err != nil {
		return err
	}
	return writeSecret(in.account.tokenFile, token.Reveal()+"\n")
}

// writeSecret replaces a file that only its owner may read.
func writeSecret(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".secret-*")
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}
