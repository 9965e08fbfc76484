package api

import (
	"log/slog"
	"maps"
	"slices"
)

// ConfigVars are an app's config vars at one release. The type does not print
// its values: fmt, slog and %#v show the names only.
type ConfigVars map[string]string

// MaxConfigBytes bounds names plus values of one app's config vars (Heroku:
// "Configuration and Config Vars", 64 kB).
const MaxConfigBytes = 64 << 10

// Names lists the names in order.
func (c ConfigVars) Names() []string { return slices.Sorted(maps.Keys(c)) }

// Bytes is the size that counts against MaxConfigBytes.
func (c ConfigVars) Bytes() int {
	n := 0
	for k, v := range c {
		n += len(k) + len(v)
	}
	return n
}

func (c ConfigVars) String() string       { return "config vars (values hidden)" }
func (c ConfigVars) GoString() string     { return c.String() }
func (c ConfigVars) LogValue() slog.Value { return slog.AnyValue(c.Names()) }
