package runtimes

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

const (
	maxEntries  = 200_000
	maxUnpacked = 4 << 30
)

// untar unpacks a gzipped npm tarball into dir without its first directory
// ("package/"). Modes become 0755 or 0644 by the owner's x bit, as npm does;
// anything but files and directories is left out, as npm does.
func untar(r io.Reader, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	gz, err := gzip.NewReader(bufio.NewReaderSize(r, 256<<10))
	if err != nil {
		return fmt.Errorf("cannot unpack: %w", err)
	}
	archive := tar.NewReader(gz)
	made := map[string]bool{dir: true}
	var total int64
	for n := 0; ; n++ {
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("cannot unpack: %w", err)
		}
		if total += h.Size; n > maxEntries || total > maxUnpacked {
			return fmt.Errorf("cannot unpack: more than %d files or %d bytes", maxEntries, int64(maxUnpacked))
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		_, name, ok := strings.Cut(filepath.Clean(h.Name), "/")
		if !ok {
			continue
		}
		if !filepath.IsLocal(h.Name) {
			return fmt.Errorf("cannot unpack %q: it lies outside of the archive", h.Name)
		}
		if err := writeEntry(filepath.Join(dir, name), h.FileInfo().Mode().Perm(), archive, made); err != nil {
			return err
		}
	}
	_, err = io.Copy(io.Discard, gz) // reads the checksum behind the data
	return err
}

func writeEntry(path string, mode os.FileMode, r io.Reader, made map[string]bool) error {
	if parent := filepath.Dir(path); !made[parent] {
		if err := os.MkdirAll(parent, 0o755); err != nil {
			return err
		}
		made[parent] = true
	}
	perm := os.FileMode(0o644)
	if mode&0o100 != 0 {
		perm = 0o755
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, r); err != nil {
		f.Close()
		return fmt.Errorf("cannot unpack: %w", err)
	}
	return f.Close()
}
