package classic

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"unicode/utf8"
)

// Environ is the environment of the commands a pack runs.
type Environ map[string]string

// ParseEnviron reads "KEY=value" strings, the later one wins.
func ParseEnviron(list []string) Environ {
	env := make(Environ, len(list))
	for _, kv := range list {
		if k, v, ok := strings.Cut(kv, "="); ok && k != "" {
			env[k] = v
		}
	}
	return env
}

// List is the environment as os/exec wants it, sorted.
func (e Environ) List() []string {
	list := make([]string, 0, len(e))
	for k, v := range e {
		list = append(list, k+"="+v)
	}
	sort.Strings(list)
	return list
}

// Set sets a variable.
func (e Environ) Set(key, value string) { e[key] = value }

// Unset removes a variable.
func (e Environ) Unset(key string) { delete(e, key) }

// Get returns a variable, or "".
func (e Environ) Get(key string) string { return e[key] }

// Default sets a variable that is not set or empty.
func (e Environ) Default(key, value string) {
	if e[key] == "" {
		e[key] = value
	}
}

// Prepend puts dirs before a list such as PATH.
func (e Environ) Prepend(key string, dirs ...string) {
	if old := e[key]; old != "" {
		dirs = append(dirs, old)
	}
	e[key] = strings.Join(dirs, ":")
}

// Clone copies the environment.
func (e Environ) Clone() Environ {
	c := make(Environ, len(e))
	for k, v := range e {
		c[k] = v
	}
	return c
}

// Unsafe names the config vars that no pack lets into the environment of a
// build: they would change what the build's own programs do.
var Unsafe = regexp.MustCompile(`^(PATH|GIT_DIR|CPATH|CPPATH|LD_PRELOAD|LIBRARY_PATH|LD_LIBRARY_PATH|LANG|BUILD_DIR|CACHE_DIR|ENV_DIR|HOME|PWD|IFS|STACK|SOURCE_VERSION|REQUEST_ID|DYNO|BASH_ENV|ENV|SHELLOPTS|PS4)$`)

// AddConfig lets the config vars in, but for the Unsafe ones.
func (e Environ) AddConfig(config map[string]string) {
	for k, v := range config {
		if !Unsafe.MatchString(k) {
			e[k] = v
		}
	}
}

var configName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// maxConfigVar bounds one config var; the platform's own limit for all of
// them together is smaller.
const maxConfigVar = 1 << 20

// ReadEnvDir reads a directory of config vars: one file each, its content is
// the value as it is. A file whose name no variable can have is ignored.
func ReadEnvDir(dir string) (map[string]string, error) {
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the config vars: %w", err)
	}
	config := make(map[string]string, len(entries))
	for _, e := range entries {
		if !e.Type().IsRegular() || !configName.MatchString(e.Name()) {
			continue
		}
		info, err := e.Info()
		if err != nil || info.Size() > maxConfigVar {
			return nil, fmt.Errorf("cannot read config var %s: it is larger than %d bytes or went away", e.Name(), maxConfigVar)
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("cannot read config var %s: %w", e.Name(), err)
		}
		value := string(data)
		if strings.ContainsRune(value, 0) || !utf8.ValidString(value) {
			continue // no environment can hold it
		}
		config[e.Name()] = value
	}
	return config, nil
}
