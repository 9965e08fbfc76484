package catalog

import (
	"archive/tar"
	"bufio"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/net/http/httpproxy"
)

// archiveFormat tells by the name, "" if it is no archive's.
func archiveFormat(name string) string {
	for _, f := range []struct{ suffix, format string }{{".tgz", "gzip"}, {".tar.gz", "gzip"}, {".tbz", "bzip2"}, {".tar.bz2", "bzip2"}, {".tar", "tar"}} {
		if strings.HasSuffix(name, f.suffix) {
			return f.format
		}
	}
	return ""
}

// newClient heeds the operator's proxies and certificates.
func newClient(env map[string]string, bundle string) (*http.Client, error) {
	first := func(names ...string) string {
		for _, n := range names {
			if env[n] != "" {
				return env[n]
			}
		}
		return ""
	}
	proxy := httpproxy.Config{HTTPProxy: first("http_proxy", "HTTP_PROXY"), HTTPSProxy: first("https_proxy", "HTTPS_PROXY"), NoProxy: first("no_proxy", "NO_PROXY")}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = func(r *http.Request) (*url.URL, error) { return proxy.ProxyFunc()(r.URL) }
	if bundle != "" {
		pool, err := certificates(bundle)
		if err != nil {
			return nil, err
		}
		t.TLSClientConfig.RootCAs = pool
	}
	return &http.Client{Transport: t}, nil
}

// validators let a server say that an archive has not changed.
type validators struct {
	ETag     string `json:"etag"`
	Modified string `json:"modified"`
	Version  string `json:"version"` // what it was then
}

// archive fetches and unpacks a tar.
func (c *Catalog) archive(ctx context.Context, rawURL string) (fetched, error) {
	home := "archive-" + hash(rawURL)
	seen := filepath.Join(c.o.Dir, home, "validators.json")
	var v validators
	if b, err := os.ReadFile(seen); err == nil {
		_ = json.Unmarshal(b, &v) // a damaged one is as good as none
	}
	old, have := c.cached(home, v.Version)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, nil)
	if err != nil {
		return fetched{}, &trouble{rawURL, errors.New("not a URL")}
	}
	if have && v.ETag != "" {
		req.Header.Set("If-None-Match", v.ETag)
	}
	if have && v.Modified != "" {
		req.Header.Set("If-Modified-Since", v.Modified)
	}
	resp, err := c.o.Client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return fetched{}, &trouble{rawURL, context.Cause(ctx)}
		}
		if ue, ok := errors.AsType[*url.Error](err); ok { // it repeats the URL, with secrets
			err = ue.Err
		}
		return fetched{}, &trouble{rawURL, err}
	}
	defer resp.Body.Close()
	switch {
	case have && resp.StatusCode == http.StatusNotModified:
		return old, nil
	case resp.StatusCode != http.StatusOK:
		return fetched{}, &trouble{rawURL, fmt.Errorf("the server answered %s", resp.Status)}
	}
	tree, err := os.MkdirTemp(c.tmp(), "archive-")
	if err != nil {
		return fetched{}, err
	}
	defer os.RemoveAll(tree)
	version, err := c.unpack(ctx, resp.Body, archiveFormat(req.URL.Path), tree)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fetched{}, &trouble{rawURL, err}
	}
	root, err := onlyDirectory(tree)
	if err != nil {
		return fetched{}, err
	}
	got, err := c.store(root, home, version)
	if err != nil {
		return fetched{}, err
	}
	b, err := json.Marshal(validators{ETag: resp.Header.Get("ETag"), Modified: resp.Header.Get("Last-Modified"), Version: version})
	if err == nil {
		err = os.WriteFile(seen, b, 0o600)
	}
	return got, err
}

// onlyDirectory descends into the one directory that many archives have.
func onlyDirectory(tree string) (string, error) {
	entries, err := os.ReadDir(tree)
	if err != nil {
		return "", err
	}
	if len(entries) == 1 && entries[0].IsDir() && entries[0].Name() != "bin" {
		return filepath.Join(tree, entries[0].Name()), nil
	}
	return tree, nil
}

// maxEntries bounds the files of one archive.
const maxEntries = 100_000

// unpack writes an archive into tree and returns the hash of its bytes.
func (c *Catalog) unpack(ctx context.Context, body io.Reader, format, tree string) (string, error) {
	sum := sha256.New()
	raw := &capped{r: io.TeeReader(body, sum), left: c.o.MaxBytes}
	var r io.Reader = bufio.NewReaderSize(raw, 64<<10)
	buffered := r
	switch format {
	case "gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			return "", fmt.Errorf("not a gzip archive: %v", err)
		}
		r = z
	case "bzip2":
		r = bzip2.NewReader(r)
	}
	root, err := os.OpenRoot(tree)
	if err != nil {
		return "", err
	}
	defer root.Close()
	t := tar.NewReader(&capped{r: r, left: c.o.MaxBytes})
	for n := 0; ; n++ {
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		switch {
		case err != nil:
			return "", fmt.Errorf("not a tar archive: %w", err)
		case n >= maxEntries:
			return "", fmt.Errorf("more than %d files", maxEntries)
		case ctx.Err() != nil:
			return "", context.Cause(ctx)
		}
		if err := extract(root, h, t); err != nil {
			return "", fmt.Errorf("cannot unpack %q: %w", h.Name, err)
		}
	}
	if _, err := io.Copy(io.Discard, buffered); err != nil { // for the hash
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// extract writes one entry. os.Root keeps it inside, whatever symlinks earlier
// entries made.
func extract(root *os.Root, h *tar.Header, r io.Reader) error {
	name := path.Clean(h.Name)
	if name == "." || h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, 0o755)
	case tar.TypeReg:
		_ = root.Remove(name) // a later entry replaces an earlier one
		f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, os.FileMode(0o644|h.Mode&0o111))
		if err != nil {
			return err
		}
		_, err = io.Copy(f, r)
		return errors.Join(err, f.Close())
	case tar.TypeSymlink:
		_ = root.Remove(name)
		return root.Symlink(h.Linkname, name)
	case tar.TypeLink:
		_ = root.Remove(name)
		return root.Link(path.Clean(h.Linkname), name)
	}
	return nil // devices and the like have no place in a buildpack
}

// capped fails when more is read than allowed.
type capped struct {
	r    io.Reader
	left int64
}

var errTooLarge = errors.New("it is larger than allowed")

func (c *capped) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errTooLarge
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}
