package runtimes

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// publicNPM is the registry that npm itself uses unless told otherwise.
const publicNPM = "https://registry." + npmDomain

const npmDomain = "npmjs.org"

// Registry is an npm registry.
type Registry struct {
	Base   string // without a slash at its end
	Client *Client
}

// NewRegistry returns the registry that npm would use in this environment.
func NewRegistry(getenv func(string) string) *Registry {
	base := getenv("NPM_CONFIG_REGISTRY")
	if base == "" {
		base = getenv("npm_config_registry")
	}
	if base == "" {
		base = publicNPM
	}
	return &Registry{Base: strings.TrimRight(base, "/"), Client: NewClient()}
}

// Package is one version of an npm package.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Dist    struct {
		Tarball   string `json:"tarball"`
		Integrity string `json:"integrity"`
	} `json:"dist"`
	Engines json.RawMessage `json:"engines"`
	Bin     json.RawMessage `json:"bin"`
}

// NodeRange is the range of Node.js versions a package says it works with, or
// every version.
func (p Package) NodeRange() Range {
	var engines map[string]string
	if json.Unmarshal(p.Engines, &engines) == nil {
		if r, err := ParseRange(engines["node"]); err == nil {
			return r
		}
	}
	all, _ := ParseRange("*")
	return all
}

// Programs are the commands of a package: name -> file.
func (p Package) Programs() map[string]string {
	var many map[string]string
	if json.Unmarshal(p.Bin, &many) == nil {
		return many
	}
	var one string
	if json.Unmarshal(p.Bin, &one) == nil && one != "" {
		return map[string]string{p.Name[strings.LastIndex(p.Name, "/")+1:]: one}
	}
	return nil
}

const (
	maxDocument = 64 << 20
	maxTarball  = 1 << 30
)

func (r *Registry) address(name, version string) string {
	address := r.Base + "/" + strings.Replace(url.PathEscape(name), "%40", "@", 1)
	if version != "" {
		address += "/" + url.PathEscape(version)
	}
	return address
}

func (r *Registry) document(ctx context.Context, address, accept string, into any) error {
	header := http.Header{"Accept": {accept}}
	return r.Client.Get(ctx, address, header, func(body io.Reader) error {
		data, err := bounded(body, maxDocument)
		if err != nil {
			return err
		}
		if err := json.NewDecoder(bytes.NewReader(data)).Decode(into); err != nil {
			return fmt.Errorf("cannot read the answer of %s: %w", redact(address), err)
		}
		return nil
	})
}

// Versions returns all published versions of a package.
func (r *Registry) Versions(ctx context.Context, name string) (map[string]Package, error) {
	var doc struct {
		Versions map[string]Package `json:"versions"`
	}
	// npm's short form of the document, a tenth of the full one.
	err := r.document(ctx, r.address(name, ""), "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8", &doc)
	return doc.Versions, err
}

// Version returns one version of a package.
func (r *Registry) Version(ctx context.Context, name, version string) (Package, error) {
	var p Package
	err := r.document(ctx, r.address(name, version), "application/json", &p)
	if Absent(err) {
		return p, &UnavailableError{What: name, Wanted: version, Asked: []string{redact(r.Base)}}
	}
	return p, err
}

// Unpack fetches a version's tarball and unpacks it into dir, which must not
// exist. The bytes are hashed while they are unpacked; if the digest is not
// the one the registry's document names, dir is taken away again.
func (r *Registry) Unpack(ctx context.Context, p Package, dir string) error {
	want, err := sha512Of(p.Dist.Integrity)
	if err != nil {
		return fmt.Errorf("cannot verify %s@%s: %w", p.Name, p.Version, err)
	}
	err = r.Client.Get(ctx, r.tarball(p), nil, func(body io.Reader) error {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		hash := sha512.New()
		limited := io.LimitReader(body, maxTarball)
		stream := io.TeeReader(limited, hash)
		if err := untar(stream, dir); err != nil {
			return err
		}
		// The archive can end before the file does: hash the rest too.
		if _, err := io.Copy(io.Discard, stream); err != nil {
			return err
		}
		if !bytes.Equal(hash.Sum(nil), want) {
			return fmt.Errorf("cannot use %s@%s: its content does not have the digest that the registry names", p.Name, p.Version)
		}
		return nil
	})
	if err != nil {
		_ = os.RemoveAll(dir)
	}
	return err
}

// tarball is where to get p from. Documents of mirrors often still name the
// public registry; npm then asks the configured one, and so do we.
func (r *Registry) tarball(p Package) string {
	if rest, ok := strings.CutPrefix(p.Dist.Tarball, publicNPM+"/"); ok && r.Base != publicNPM {
		return r.Base + "/" + rest
	}
	return p.Dist.Tarball
}

func sha512Of(integrity string) ([]byte, error) {
	for _, part := range strings.Fields(integrity) {
		rest, ok := strings.CutPrefix(part, "sha512-")
		if !ok {
			continue
		}
		rest, _, _ = strings.Cut(rest, "?")
		sum, err := base64.StdEncoding.DecodeString(rest)
		if err == nil && len(sum) == sha512.Size {
			return sum, nil
		}
	}
	return nil, fmt.Errorf("the registry names no sha512 digest for it")
}

// link makes bin/<command> for each of a package's programs.
func link(bin, pkg string, programs map[string]string) error {
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	for name, file := range programs {
		if !filepath.IsLocal(name) || strings.Contains(name, "/") || !filepath.IsLocal(file) {
			return fmt.Errorf("cannot link %q to %q: not inside the package", name, file)
		}
		target := filepath.Join(pkg, file)
		if err := os.Chmod(target, 0o755); err != nil {
			return err
		}
		rel, err := filepath.Rel(bin, target)
		if err != nil {
			return err
		}
		path := filepath.Join(bin, name)
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			return err
		}
		if err := os.Symlink(rel, path); err != nil {
			return err
		}
	}
	return nil
}
