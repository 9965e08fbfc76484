package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"paas/slug"
)

// DefaultConfigFile is read when no other is named; it need not exist.
const DefaultConfigFile = "/etc/paas/paasd.toml"

// Config is everything an operator can set. A key's name in the file is its
// toml tag; the environment variable PAAS_<TAG IN CAPITALS> overrides it.
type Config struct {
	DataDir   string `toml:"data_dir"`   // everything durable
	RunDir    string `toml:"run_dir"`    // sockets and what dies with a reboot
	EngineDir string `toml:"engine_dir"` // containerd, shim, runc, tini-static
	CNIDir    string `toml:"cni_dir"`    // CNI plugins

	Domain     string `toml:"domain"`      // apps answer at NAME.<domain>
	RouterAddr string `toml:"router_addr"` // HTTP
	SSHAddr    string `toml:"ssh_addr"`    // git push
	APIAddr    string `toml:"api_addr"`    // API, without TLS: keep it on loopback

	// ContainerdAddress is the socket of a containerd to use; "" = run our own.
	ContainerdAddress string `toml:"containerd_address"`
	Network           string `toml:"network"` // IPv4 range of the dynos
	Bridge            string `toml:"bridge"`  // name of their bridge

	Stack string `toml:"stack"` // of new apps
	// StackProfile is "" or "lite": a stack with little more than the platform
	// itself needs.
	StackProfile string `toml:"stack_profile"`
	// CABundle is a PEM file that builds trust instead of the stack's own.
	CABundle string      `toml:"ca_bundle"`
	Build    BuildConfig `toml:"build"`
	// BuildEnv is added to the environment of builds, never to that of dynos:
	// where the registries are, behind a proxy or mirror.
	BuildEnv map[string]string `toml:"build_env"`

	BuildpackBinary string `toml:"buildpack_binary"` // paas-buildpack
}

// BuildConfig limits builds.
type BuildConfig struct {
	Timeout Duration `toml:"timeout"`
	Memory  Size     `toml:"memory"`
	SlugMax Size     `toml:"slug_max"`
}

// defaults are what a machine of its own wants.
func defaults() Config {
	return Config{
		DataDir:         "/var/lib/paas",
		RunDir:          "/run/paas",
		EngineDir:       "/usr/local/lib/paas",
		CNIDir:          "/usr/lib/cni",
		Domain:          "localhost",
		RouterAddr:      ":80",
		SSHAddr:         ":2222",
		APIAddr:         "127.0.0.1:5000",
		Network:         "10.209.0.0/16",
		Bridge:          "paas0",
		Stack:           slug.DefaultStack,
		Build:           BuildConfig{Timeout: Duration(15 * time.Minute), Memory: 2 << 30, SlugMax: 500 << 20},
		BuildpackBinary: "/usr/local/bin/paas-buildpack",
	}
}

// LoadConfig reads file (which may be missing only if it is the default one),
// then the environment. An unknown key in the file is an error; variables with
// the prefix PAAS_ that are no settings are other programs'.
func LoadConfig(file string, environ []string) (Config, error) {
	c := defaults()
	b, err := os.ReadFile(file)
	switch {
	case errors.Is(err, os.ErrNotExist) && file == DefaultConfigFile:
	case err != nil:
		return c, fmt.Errorf("cannot read configuration: %w", err)
	default:
		d := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields()
		if err := d.Decode(&c); err != nil {
			var strict *toml.StrictMissingError
			if errors.As(err, &strict) {
				return c, fmt.Errorf("cannot read configuration %s: unknown key:\n%s", file, strict.String())
			}
			return c, fmt.Errorf("cannot read configuration %s: %w", file, err)
		}
	}
	if err := c.fromEnvironment(environ); err != nil {
		return c, err
	}
	return c, c.check()
}

// fromEnvironment lets PAAS_* override each setting that is one value.
func (c *Config) fromEnvironment(environ []string) error {
	set := map[string]func(string) error{}
	collect(reflect.ValueOf(c).Elem(), "PAAS_", set)
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if apply, ok := set[name]; ok && value != "" {
			if err := apply(value); err != nil {
				return fmt.Errorf("cannot use %s: %w", name, err)
			}
		}
	}
	return nil
}

func collect(v reflect.Value, prefix string, set map[string]func(string) error) {
	for i := range v.NumField() {
		field, name := v.Field(i), prefix+strings.ToUpper(v.Type().Field(i).Tag.Get("toml"))
		switch p := field.Addr().Interface().(type) {
		case *string:
			set[name] = func(s string) error { *p = s; return nil }
		case *Duration:
			set[name] = func(s string) error { return p.UnmarshalText([]byte(s)) }
		case *Size:
			set[name] = func(s string) error { return p.UnmarshalText([]byte(s)) }
		case *BuildConfig:
			collect(field, name+"_", set)
		}
	}
}

func (c *Config) check() error {
	var errs []error
	for _, dir := range []*string{&c.DataDir, &c.RunDir, &c.EngineDir, &c.CNIDir, &c.BuildpackBinary} {
		if !filepath.IsAbs(*dir) {
			errs = append(errs, fmt.Errorf("%q is not an absolute path", *dir))
		}
		*dir = filepath.Clean(*dir)
	}
	for name, addr := range map[string]string{"router_addr": c.RouterAddr, "ssh_addr": c.SSHAddr, "api_addr": c.APIAddr} {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			errs = append(errs, fmt.Errorf("%s %q is not host:port", name, addr))
		}
	}
	if p, err := netip.ParsePrefix(c.Network); err != nil || !p.Addr().Is4() || p.Bits() > 28 || p.Masked() != p {
		errs = append(errs, fmt.Errorf("network %q is not an IPv4 range such as 10.209.0.0/16 (at most /28)", c.Network))
	}
	if len(c.Bridge) == 0 || len(c.Bridge) > 15 || strings.ContainsAny(c.Bridge, "/ \t\n\"'") {
		errs = append(errs, fmt.Errorf("bridge %q is not a name of an interface", c.Bridge))
	}
	if c.Domain == "" || strings.ContainsAny(c.Domain, "/: \t\n") {
		errs = append(errs, fmt.Errorf("domain %q is not a host name", c.Domain))
	}
	if c.Build.Timeout <= 0 || c.Build.Memory < 64<<20 || c.Build.SlugMax <= 0 {
		errs = append(errs, errors.New("[build] timeout, memory (64M at least) and slug_max must be positive"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("cannot use configuration: %w", err)
	}
	c.Domain = strings.ToLower(c.Domain)
	return nil
}

// Duration is a time.Duration that is written "15m".
type Duration time.Duration

// UnmarshalText parses Go's duration syntax.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// MarshalText is the inverse.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// Size is a number of bytes that is written "500M" or "2G" (powers of 1024).
type Size int64

// UnmarshalText parses a number with an optional K, M or G.
func (s *Size) UnmarshalText(b []byte) error {
	var n int64
	var unit string
	text := strings.TrimSuffix(strings.ToUpper(string(b)), "B")
	if _, err := fmt.Sscanf(text, "%d%s", &n, &unit); err != nil && unit != "" || n <= 0 {
		return fmt.Errorf("%q is not a size such as 500M or 2G", b)
	}
	shift, ok := map[string]int{"": 0, "K": 10, "M": 20, "G": 30}[unit]
	if !ok || n > math.MaxInt64>>shift {
		return fmt.Errorf("%q is not a size such as 500M or 2G", b)
	}
	*s = Size(n << shift)
	return nil
}
