package gitssh

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// hostKeyKinds are made at the first start. Ed25519 is what clients use;
// ECDSA is for those too old for it.
var hostKeyKinds = []struct {
	name     string
	generate func() (crypto.PrivateKey, error)
}{
	{"ssh_host_ed25519_key", func() (crypto.PrivateKey, error) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}},
	{"ssh_host_ecdsa_key", func() (crypto.PrivateKey, error) {
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}},
}

// hostKeys reads the host's keys, or makes them.
func hostKeys(dir string) ([]ssh.Signer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make host keys: %w", err)
	}
	var signers []ssh.Signer
	for _, kind := range hostKeyKinds {
		name := filepath.Join(dir, kind.name)
		content, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			content, err = makeHostKey(name, kind.generate)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read host key: %w", err)
		}
		signer, err := gossh.ParsePrivateKey(content)
		if err != nil {
			// Never replaced silently: every client would be warned of an attack.
			return nil, fmt.Errorf("cannot read host key %s: %v (restore it, or delete it to get a new one)", name, err)
		}
		signers = append(signers, signer)
	}
	return signers, nil
}

// makeHostKey writes a new key, in OpenSSH's format, whole or not at all.
func makeHostKey(name string, generate func() (crypto.PrivateKey, error)) (content []byte, err error) {
	key, err := generate()
	if err != nil {
		return nil, err
	}
	block, err := gossh.MarshalPrivateKey(key, "paas host key")
	if err != nil {
		return nil, err
	}
	content = pem.EncodeToMemory(block)
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, err
	}
	if err = os.Rename(f.Name(), name); err != nil {
		return nil, err
	}
	d, err := os.Open(filepath.Dir(name))
	if err != nil {
		return nil, err
	}
	return content, errors.Join(d.Sync(), d.Close())
}
