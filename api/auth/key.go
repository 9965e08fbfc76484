package auth

import (
	"bytes"
	"crypto/rsa"
	"encoding/base64"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"paas/api"
)

// maxKeyText bounds a pasted key: the longest RSA key with a long comment.
const maxKeyText = 8 << 10

// minRSA is the least length of RSA keys, in bits. ssh.ParsePublicKey refuses
// those of more than 16384.
const minRSA = 2048

// maxKeyComment in characters; what is longer is cut.
const maxKeyComment = 128

// keyTypes are the types of keys that are accepted.
var keyTypes = []string{
	ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSA,
	ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256,
}

// ParseKey reads an SSH public key as in ~/.ssh/id_ed25519.pub: one line of
// type, base64 and comment. It fills the fields of api.Key that depend on the
// key alone. Errors never show the text: it may be a private key.
func ParseKey(text string) (api.Key, error) {
	text = strings.TrimSpace(strings.TrimPrefix(text, "\uFEFF"))
	if err := checkKeyText(text); err != nil {
		return api.Key{}, err
	}
	kind, rest, _ := strings.Cut(strings.ReplaceAll(text, "\t", " "), " ")
	if err := checkKeyType(kind); err != nil {
		return api.Key{}, err
	}
	encoded, comment, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	blob, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(blob) == 0 {
		return api.Key{}, badKey("the part after %s is not valid base64. Was it cut while copying?", kind)
	}
	public, err := ssh.ParsePublicKey(blob)
	if err != nil || public.Type() != kind || !bytes.Equal(public.Marshal(), blob) {
		return api.Key{}, badKey("the part after %s is not a key of that type. Was it cut while copying?", kind)
	}
	if err := checkStrength(public); err != nil {
		return api.Key{}, err
	}
	comment = keyComment(comment)
	return api.Key{
		Fingerprint: ssh.FingerprintSHA256(public),
		PublicKey:   strings.TrimSpace(kind + " " + base64.StdEncoding.EncodeToString(blob) + " " + comment),
		Comment:     comment,
	}, nil
}

func badKey(format string, args ...any) error {
	return api.Errorf(api.InvalidParams, "Key is not valid: "+format, args...)
}

// checkKeyText recognises what is no single public key.
func checkKeyText(text string) error {
	switch {
	case text == "":
		return badKey("it is empty.")
	case strings.Contains(text, "PRIVATE KEY") || strings.HasPrefix(text, "PuTTY-User-Key-File"):
		return badKey("this is a PRIVATE key, which must never leave your machine. Give the public one, from the file that ends in .pub. If the private key was sent over a network, make a new one.")
	case strings.HasPrefix(text, "---- BEGIN SSH2") || strings.HasPrefix(text, "-----BEGIN"):
		return badKey("this format is not supported. Convert it with: ssh-keygen -i -f FILE")
	case len(text) > maxKeyText:
		return badKey("it is too long.")
	case strings.ContainsAny(text, "\r\n"):
		return badKey("give one key, on one line.")
	case !utf8.ValidString(text):
		return badKey("it is not text.")
	}
	return nil
}

// checkKeyType says why a first word is not the type of an accepted key.
func checkKeyType(kind string) error {
	switch {
	case slices.Contains(keyTypes, kind):
		return nil
	case kind == "ssh-dss":
		return badKey("DSA keys are too weak. Make a new one with: ssh-keygen -t ed25519")
	case strings.Contains(kind, "-cert-v01@"):
		return badKey("certificates are not supported. Give the plain public key.")
	case strings.HasPrefix(kind, "ssh-") || strings.HasPrefix(kind, "ecdsa-") || strings.HasPrefix(kind, "sk-"):
		return badKey("this type of key is not supported. Use one of: %s.", strings.Join(keyTypes, ", "))
	default:
		return badKey(`it must begin with its type, as in "ssh-ed25519 AAAA...". Options before the type are not supported.`)
	}
}

func checkStrength(public ssh.PublicKey) error {
	c, ok := public.(ssh.CryptoPublicKey)
	if !ok {
		return nil // security keys; their curves are strong
	}
	r, ok := c.CryptoPublicKey().(*rsa.PublicKey)
	if !ok {
		return nil
	}
	if bits := r.N.BitLen(); bits < minRSA {
		return badKey("RSA keys of %d bits are too weak. Make a new one with: ssh-keygen -t ed25519", bits)
	}
	return nil
}

// keyComment makes a comment fit to be shown on a terminal.
func keyComment(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, strings.TrimSpace(s))
	if r := []rune(s); len(r) > maxKeyComment {
		s = string(r[:maxKeyComment])
	}
	return strings.TrimSpace(s)
}
