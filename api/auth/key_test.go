package auth

import (
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"paas/api"
)

// sshKeygen makes a key pair and returns the public and the private file's
// text, and the fingerprint by ssh-keygen -l.
func sshKeygen(t *testing.T, args ...string) (public, private, fingerprint string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "id")
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("ssh-keygen", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("ssh-keygen %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	run(append([]string{"-q", "-N", "", "-f", path, "-C", "me@laptop, at home"}, args...)...)
	read := func(path string) string {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	return read(path + ".pub"), read(path), strings.Fields(run("-l", "-f", path))[1]
}

func TestParseKeyOfSSHKeygen(t *testing.T) {
	for _, args := range [][]string{
		{"-t", "ed25519"}, {"-t", "ecdsa", "-b", "256"}, {"-t", "ecdsa", "-b", "384"}, {"-t", "ecdsa", "-b", "521"}, {"-t", "rsa", "-b", "2048"},
	} {
		public, private, fingerprint := sshKeygen(t, args...)
		k, err := ParseKey(public)
		if err != nil {
			t.Errorf("%v: %v", args, err)
			continue
		}
		if k.Fingerprint != fingerprint || k.Comment != "me@laptop, at home" || k.PublicKey != strings.TrimSpace(public) {
			t.Errorf("%v: %+v, want fingerprint %s of %s", args, k, fingerprint, public)
		}
		if k.ID != "" || k.AccountID != "" || !k.CreatedAt.IsZero() {
			t.Errorf("%v: made up what the key does not say: %+v", args, k)
		}
		refused(t, private, "PRIVATE key", strings.Split(private, "\n")[1])
	}
	weak, _, _ := sshKeygen(t, "-t", "rsa", "-b", "1024")
	refused(t, weak, "1024 bits are too weak", "")
	_, pem, _ := sshKeygen(t, "-t", "rsa", "-b", "2048", "-m", "PEM")
	refused(t, pem, "PRIVATE key", strings.Split(pem, "\n")[1])
}

// refused checks that text is refused in the given words, which do not contain
// the secret.
func refused(t *testing.T, text, words, secret string) {
	t.Helper()
	k, err := ParseKey(text)
	switch {
	case err == nil:
		t.Errorf("accepted %.60q", text)
	case api.IDOf(err) != api.InvalidParams || !strings.Contains(err.Error(), words):
		t.Errorf("%.60q: %v, want %q", text, err, words)
	case secret != "" && strings.Contains(err.Error(), secret):
		t.Errorf("the error shows the key: %v", err)
	case k != (api.Key{}):
		t.Errorf("%.60q: refused, but left %+v", text, k)
	}
}

// line is a public key as in an authorized_keys file, without comment.
func line(t testing.TB, public any) string {
	t.Helper()
	k, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k)))
}

func ed25519Line(t testing.TB) string {
	t.Helper()
	return line(t, ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public())
}

// securityKeyLine is that of a hardware key, which cannot be made here.
func securityKeyLine(t testing.TB) string {
	t.Helper()
	public := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public().(ed25519.PublicKey)
	blob := ssh.Marshal(struct {
		Name string
		Key  []byte
		App  string
	}{ssh.KeyAlgoSKED25519, public, "ssh:"})
	return ssh.KeyAlgoSKED25519 + " " + base64.StdEncoding.EncodeToString(blob)
}

func TestParseKeySpellings(t *testing.T) {
	key := ed25519Line(t)
	kind, encoded, _ := strings.Cut(key, " ")
	for text, comment := range map[string]string{
		key:                                  "",
		"  " + key + " \r\n\n":               "",
		"\uFEFF" + key + " bom":              "bom",
		key + "   spaced   out  ":            "spaced   out",
		kind + "   " + encoded + "\tx":       "x",
		key + " \x1b[31mred\x07 \u202etxt":   "[31mred txt",
		key + " Zoë's 日本":                    "Zoë's 日本",
		key + " " + strings.Repeat("é", 300): strings.Repeat("é", maxKeyComment),
	} {
		k, err := ParseKey(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		want := strings.TrimSpace(key + " " + comment)
		if k.Comment != comment || k.PublicKey != want {
			t.Errorf("%q: comment %q, key %q", text, k.Comment, k.PublicKey)
		}
	}
	if _, err := ParseKey(securityKeyLine(t)); err != nil {
		t.Errorf("security key: %v", err)
	}
}

func TestParseKeyRefuses(t *testing.T) {
	key := ed25519Line(t)
	kind, encoded, _ := strings.Cut(key, " ")
	blob, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	huge := rsa.PublicKey{E: 65537, N: new(big.Int).Lsh(big.NewInt(1), 16384)}
	for _, c := range []struct{ text, words string }{
		{"", "empty"},
		{" \n", "empty"},
		{key + "\n" + key, "one line"},
		{key + "\n# a comment", "one line"},
		{`command="/bin/sh" ` + key, "Options"},
		{"no-pty " + key, "Options"},
		{encoded, "begin with its type"},
		{kind, "base64"},
		{kind + " ", "base64"},
		{kind + " " + encoded[:len(encoded)-4], "cut"},
		{kind + " " + encoded[:20] + "\n" + encoded[20:], "one line"},
		{kind + " " + encoded[:20] + "!" + encoded[21:], "base64"},
		{kind + " " + base64.StdEncoding.EncodeToString(append(blob, 0)), "cut"},
		{"ssh-rsa " + encoded, "not a key of that type"},
		{"ssh-dss AAAAB3NzaC1kc3MAAACBAP", "DSA keys are too weak"},
		{"ssh-ed25519-cert-v01@openssh.com AAAA", "certificates"},
		{"ssh-ed448 AAAA", "not supported"},
		{"SSH-ED25519 " + encoded, "begin with its type"},
		{line(t, &huge), "not a key of that type"},
		{"---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----", "ssh-keygen -i"},
		{"-----BEGIN RSA PUBLIC KEY-----\nAAAA\n-----END RSA PUBLIC KEY-----", "ssh-keygen -i"},
		{"PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1", "PRIVATE key"},
		{"-----BEGIN ENCRYPTED PRIVATE KEY-----", "PRIVATE key"},
		{key + " " + strings.Repeat("x", maxKeyText), "too long"},
		{key + " caf\xe9", "not text"},
	} {
		refused(t, c.text, c.words, "")
	}
}

func FuzzParseKey(f *testing.F) {
	key := ed25519Line(f)
	for _, s := range []string{"", key, key + " me", "ssh-rsa AAAA", "no-pty " + key, securityKeyLine(f), "-----BEGIN OPENSSH PRIVATE KEY-----", "ssh-dss AAAA x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		k, err := ParseKey(text)
		if err != nil {
			if api.IDOf(err) != api.InvalidParams {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		// What is kept is one line that reads back as itself, here and by
		// OpenSSH's rules.
		if again, err := ParseKey(k.PublicKey); err != nil || again != k {
			t.Errorf("%q became %+v, %v", k.PublicKey, again, err)
		}
		if strings.ContainsAny(k.PublicKey, "\r\n\x00\x1b") || !utf8.ValidString(k.PublicKey) {
			t.Errorf("kept %q", k.PublicKey)
		}
		public, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(k.PublicKey))
		if err != nil || len(options) != 0 || len(rest) != 0 || ssh.FingerprintSHA256(public) != k.Fingerprint {
			t.Errorf("%q is no authorized_keys line: %v", k.PublicKey, err)
		}
	})
}
