package runtimes

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	goruntime "runtime"
	"sort"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/mod/module"
)

// install fetches a toolchain's module zip, unpacks it into dir and checks it
// against the checksum database. The zip itself is the only thing written
// beside the tree: a zip cannot be read as a stream.
func (g *GoProxy) install(ctx context.Context, goVersion, dir string) error {
	v := moduleVersion(goVersion)
	want := ""
	if g.sums != nil {
		sum, err := g.sums.lookup(ctx, toolchainModule, v)
		if err != nil {
			return err
		}
		want = sum
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(dir), partialPrefix+"zip-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	err = g.get(ctx, path.Join(toolchainModule, "@v", v+".zip"), func(body io.Reader) error {
		if _, err := tmp.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if err := tmp.Truncate(0); err != nil {
			return err
		}
		n, err := io.Copy(tmp, io.LimitReader(body, maxTarball+1))
		if err == nil && n > maxTarball {
			err = fmt.Errorf("the toolchain is larger than %d bytes", int64(maxTarball))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot fetch %s: %w", goVersion, err)
	}
	info, err := tmp.Stat()
	if err != nil {
		return err
	}
	archive, err := zip.NewReader(tmp, info.Size())
	if err != nil {
		return fmt.Errorf("cannot unpack %s: %w", goVersion, err)
	}
	sum, err := unzip(ctx, archive, toolchainModule+"@"+v+"/", dir)
	if err == nil && want != "" && sum != want {
		err = fmt.Errorf("cannot use %s: its digest is %s, the checksum database says %s", goVersion, sum, want)
	}
	if err != nil {
		_ = os.RemoveAll(dir)
	}
	return err
}

// unzip unpacks a toolchain's module zip and returns its h1: digest, which
// covers each file's name and content and nothing else. So modes are not
// taken from the zip. Two things make the module a toolchain again: files
// named _go.mod, which no module zip may hold under their own name, and the
// x bits of its programs.
func unzip(ctx context.Context, archive *zip.Reader, prefix, dir string) (string, error) {
	if len(archive.File) > maxEntries {
		return "", fmt.Errorf("cannot unpack: more than %d files", maxEntries)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	lines := make([]string, len(archive.File))
	errs := make([]error, len(archive.File))
	var next, total atomic.Int64
	var workers sync.WaitGroup
	for range min(4, goruntime.GOMAXPROCS(0)) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(archive.File) {
					return
				}
				lines[i], errs[i] = unzipFile(archive.File[i], prefix, dir, &total)
				if errs[i] != nil {
					return
				}
			}
		}()
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return "", err
	}
	for _, err := range errs {
		if err != nil {
			return "", err
		}
	}
	sort.Slice(lines, func(i, j int) bool { return lines[i][66:] < lines[j][66:] })
	h := sha256.New()
	for _, line := range lines {
		io.WriteString(h, line)
	}
	return "h1:" + base64.StdEncoding.EncodeToString(h.Sum(nil)), nil
}

// unzipFile writes one file and returns its line in the h1: digest: the hex
// sha256, two spaces, the name.
func unzipFile(f *zip.File, prefix, dir string, total *atomic.Int64) (string, error) {
	name, ok := strings.CutPrefix(f.Name, prefix)
	if !ok || !fs.ValidPath(name) || module.CheckFilePath(name) != nil || strings.HasSuffix(f.Name, "/") {
		return "", fmt.Errorf("cannot unpack %q: not a file of %s", f.Name, prefix)
	}
	target := filepath.Join(dir, filepath.FromSlash(name))
	if path.Base(name) == "_go.mod" {
		target = filepath.Join(filepath.Dir(target), "go.mod")
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return "", err
	}
	mode := os.FileMode(0o644)
	if strings.HasPrefix(name, "bin/") || strings.HasPrefix(name, "pkg/tool/") {
		mode = 0o755
	}
	in, err := f.Open()
	if err != nil {
		return "", fmt.Errorf("cannot unpack %q: %w", f.Name, err)
	}
	defer in.Close()
	out, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, hash), io.LimitReader(in, maxUnpacked))
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if err == nil && total.Add(n) > maxUnpacked {
		err = fmt.Errorf("more than %d bytes", int64(maxUnpacked))
	}
	if err != nil {
		return "", fmt.Errorf("cannot unpack %q: %w", f.Name, err)
	}
	return fmt.Sprintf("%x  %s\n", hash.Sum(nil), f.Name), nil
}
