package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paas/api"
	"paas/api/platform"
)

// The installer creates its account again with each run: that must change
// nothing, and must mend a token that does not work any more.
func TestAccountCreateMayBeRepeated(t *testing.T) {
	file, dir := settings(t)
	tokenFile := filepath.Join(dir, "token")
	create := func(email string, more ...string) (int, string) {
		t.Helper()
		status, stdout, stderr := paasd(append([]string{"account:create", "--config", file, "--email", email, "--token-file", tokenFile}, more...)...)
		b, err := os.ReadFile(tokenFile)
		if status == 0 && (err != nil || strings.TrimSpace(string(b)) == "") {
			t.Fatalf("token file %q, %v", b, err)
		}
		if token := strings.TrimSpace(string(b)); token != "" && strings.Contains(stdout+stderr, token) {
			t.Error("the token is printed")
		}
		return status, stderr
	}
	token := func() string {
		t.Helper()
		b, err := os.ReadFile(tokenFile)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b))
	}
	if status, stderr := create("ada@example.com", "--admin", "--name", "Ada"); status != 0 || !strings.Contains(stderr, "is made") {
		t.Fatalf("%d %s", status, stderr)
	}
	first := token()
	if info, err := os.Stat(tokenFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if status, stderr := create("Ada@example.com", "--admin"); status != 0 || !strings.Contains(stderr, "exists") || token() != first {
		t.Errorf("again: %d %s", status, stderr)
	}

	c, err := LoadConfig(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	db, err := openStore(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	who, err := newAuth(db).Token(t.Context(), "Bearer "+first)
	if err != nil || !who.Account.Admin || who.Account.Name != "Ada" {
		t.Fatalf("%+v, %v", who, err)
	}
	p := platform.New(platform.Options{Store: db, Now: time.Now})
	if _, err := p.RevokeAuthorization(t.Context(), who, who.AuthorizationID); err != nil {
		t.Fatal(err)
	}
	if status, stderr := create("ada@example.com"); status != 0 || token() == first {
		t.Errorf("a token that does not work is kept: %d %s", status, stderr)
	}

	second := token()
	if status, stderr := create("bob@example.com"); status != 0 || token() == second {
		t.Errorf("the token of another account is kept: %d %s", status, stderr)
	}
	if who, err := newAuth(db).Token(t.Context(), "Bearer "+token()); err != nil || who.Account.Email != "bob@example.com" || who.Account.Admin {
		t.Errorf("%+v, %v", who, err)
	}
	if status, stderr := create("bob@example.com", "--admin"); status != 1 || !strings.Contains(stderr, "administrator") {
		t.Errorf("--admin was ignored: %d %s", status, stderr)
	}
	if _, err := platform.CreateAccount(t.Context(), db, time.Now(), "bob@example.com", "", false); api.IDOf(err) != api.InvalidParams {
		t.Error(err)
	}
}

func TestWriteSecret(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "secret")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := writeSecret(path, "new\n"); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "new\n" {
		t.Errorf("%q, %v", b, err)
	}
	if err := writeSecret(filepath.Join(dir, "absent", "secret"), "s3cret"); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Error(err)
	}
	// A directory in the way cannot be replaced.
	if err := os.MkdirAll(filepath.Join(dir, "taken", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeSecret(filepath.Join(dir, "taken"), "s3cret"); err == nil {
		t.Error("a directory was replaced")
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".secret-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
