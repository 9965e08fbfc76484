package runtimes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb"
)

// The key of the public checksum database, as in cmd/go.
const (
	publicSumDB = "sum." + goDomain
	publicKey   = publicSumDB + "+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
)

// sumDB looks digests up in a checksum database and remembers in a directory
// what it has seen, so that a database cannot show two histories.
type sumDB struct {
	name, key, direct string
	proxy             *GoProxy
	state             string

	once sync.Once
	base []hop // where the database is reached, found on first use
	ctx  context.Context
	bad  error // the last security error
}

// newSumDB reads a GOSUMDB setting: "", "name", "name+hash+key" or "key url".
// "off" gives nil.
func newSumDB(setting string, proxy *GoProxy, state string) (*sumDB, error) {
	fields := strings.Fields(setting)
	if len(fields) == 0 {
		fields = []string{publicSumDB}
	}
	if fields[0] == "off" {
		return nil, nil
	}
	key, direct := fields[0], ""
	switch key {
	case publicSumDB:
		key = publicKey
	case "sum.golang.google.cn":
		key, direct = publicKey, "https://sum.golang.google.cn"
	}
	name, _, ok := strings.Cut(key, "+")
	if !ok || len(fields) > 2 {
		return nil, fmt.Errorf("cannot read GOSUMDB: %q names no key", setting)
	}
	if direct == "" {
		direct = "https://" + name
	}
	if len(fields) == 2 {
		direct = strings.TrimRight(fields[1], "/")
	}
	return &sumDB{name: name, key: key, direct: direct, proxy: proxy, state: state}, nil
}

// lookup returns the h1: digest of a module version's zip.
func (s *sumDB) lookup(ctx context.Context, module, version string) (string, error) {
	s.ctx = ctx
	lines, err := sumdb.NewClient(s).Lookup(module, version)
	if s.bad != nil {
		return "", s.bad
	}
	if err != nil {
		return "", fmt.Errorf("cannot check %s@%s: %w", module, version, err)
	}
	for _, line := range lines {
		if sum, ok := strings.CutPrefix(line, module+" "+version+" "); ok {
			return sum, nil
		}
	}
	return "", fmt.Errorf("cannot check %s@%s: the checksum database does not know it", module, version)
}

// locate finds the proxies that relay the database, as cmd/go does: one that
// says it supports it is asked alone, and the database itself otherwise.
func (s *sumDB) locate() {
	for _, h := range s.proxy.proxy {
		if h.base == directToolchains || strings.HasPrefix(h.base, "file://") {
			continue
		}
		relay := h.base + "/sumdb/" + s.name
		err := s.proxy.Client.Get(s.ctx, relay+"/supported", nil, func(r io.Reader) error {
			_, err := bounded(r, 64<<10)
			return err
		})
		if err == nil {
			s.base = []hop{{base: relay}}
			return
		}
	}
	s.base = []hop{{base: s.direct}}
}

// ReadRemote implements sumdb.ClientOps.
func (s *sumDB) ReadRemote(path string) ([]byte, error) {
	s.once.Do(s.locate)
	var data []byte
	err := s.proxy.fromHop(s.ctx, s.base[0], strings.TrimPrefix(path, "/"), func(r io.Reader) error {
		var err error
		data, err = bounded(r, 4<<20)
		return err
	})
	return data, err
}

// ReadConfig implements sumdb.ClientOps.
func (s *sumDB) ReadConfig(file string) ([]byte, error) {
	if file == "key" {
		return []byte(s.key), nil
	}
	data, err := os.ReadFile(s.file("config", file))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // the empty tree
	}
	return data, err
}

// WriteConfig implements sumdb.ClientOps.
func (s *sumDB) WriteConfig(file string, old, new []byte) error {
	if file == "key" {
		return fmt.Errorf("cannot change the key of the checksum database")
	}
	now, err := s.ReadConfig(file)
	if err != nil {
		return err
	}
	if string(now) != string(old) {
		return sumdb.ErrWriteConflict
	}
	return replace(s.file("config", file), new)
}

// ReadCache implements sumdb.ClientOps.
func (s *sumDB) ReadCache(file string) ([]byte, error) { return os.ReadFile(s.file("tiles", file)) }

// WriteCache implements sumdb.ClientOps.
func (s *sumDB) WriteCache(file string, data []byte) {
	_ = replace(s.file("tiles", file), data) // a tile that is not kept is fetched again
}

// Log implements sumdb.ClientOps.
func (s *sumDB) Log(string) {}

// SecurityError implements sumdb.ClientOps.
func (s *sumDB) SecurityError(msg string) {
	s.bad = fmt.Errorf("cannot trust the checksum database: %s", strings.TrimSpace(msg))
}

func (s *sumDB) file(dir, name string) string {
	return filepath.Join(s.state, dir, filepath.FromSlash(filepath.Clean("/"+name)))
}

// replace writes a file by rename, so that a reader sees the old or the new.
func replace(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".partial-*")
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		f.Close()
		os.Remove(f.Name())
		return err
	}
	if err := f.Close(); err != nil {
		os.Remove(f.Name())
		return err
	}
	return os.Rename(f.Name(), path)
}
