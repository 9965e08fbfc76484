package classic

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// Call is one call of a buildpack program.
type Call struct {
	BuildDir string // the app's source; what it holds afterwards is the slug
	CacheDir string // kept between the builds of one app; "" for detect, release and test
	EnvDir   string // one file per config var; may be ""
	PackDir  string // the buildpack's own directory; writable
	Env      Environ
	Config   map[string]string // the config vars of EnvDir
	Out      *Output
}

// Pack is one built-in buildpack. Methods other than Detect and Release may
// run for minutes and MUST return soon after ctx is done.
type Pack interface {
	// Detect returns the name to show ("Node.js"), or an error that says why
	// the app is not of this kind.
	Detect(c *Call) (string, error)
	Compile(ctx context.Context, c *Call) error
	// Release returns the default process types.
	Release(c *Call) (map[string]string, error)
}

// Tester is a Pack that can run an app's tests. A Pack that is no Tester
// compiles for tests as it compiles for a slug, and has nothing to run.
type Tester interface {
	TestCompile(ctx context.Context, c *Call) error
	// Test returns the exit status of the app's test command.
	Test(ctx context.Context, c *Call) (int, error)
}

// Failure is an error that the app's owner can mend. Message may have several
// lines; Hint says what to do.
type Failure struct {
	Message string
	Hint    string
	Err     error // shown as the last line, when set
}

func (f *Failure) Error() string {
	if f.Err != nil {
		return f.Message + ": " + f.Err.Error()
	}
	return f.Message
}

func (f *Failure) Unwrap() error { return f.Err }

// Failf makes a Failure without a cause.
func Failf(hint, format string, args ...any) *Failure {
	return &Failure{Message: fmt.Sprintf(format, args...), Hint: hint}
}

// Verbs are the names of a buildpack's programs.
var Verbs = [...]string{"detect", "compile", "release", "report", "test-compile", "test"}

// IsVerb tells whether name is one of a buildpack's programs.
func IsVerb(name string) bool {
	for _, v := range Verbs {
		if v == name {
			return true
		}
	}
	return false
}

// Main runs one verb of p with the arguments of the classic API and returns
// the exit status.
func Main(ctx context.Context, p Pack, packDir, verb string, args []string, environ []string, out *Output) int {
	c := &Call{PackDir: packDir, Env: ParseEnviron(environ), Out: out}
	c.Env.Unset("GIT_DIR")
	if err := c.arguments(verb, args); err != nil {
		out.Fail(err)
		return 2
	}
	status, err := dispatch(ctx, p, c, verb)
	if err == nil {
		return status
	}
	if verb == "detect" {
		out.Stderr(err.Error())
		return 1
	}
	if ctx.Err() != nil {
		err = Failf("", "The build was stopped.")
	}
	out.Fail(err)
	return 1
}

func (c *Call) arguments(verb string, args []string) error {
	want := map[string][]*string{
		"detect":       {&c.BuildDir},
		"release":      {&c.BuildDir},
		"compile":      {&c.BuildDir, &c.CacheDir, &c.EnvDir},
		"report":       {&c.BuildDir, &c.CacheDir, &c.EnvDir},
		"test-compile": {&c.BuildDir, &c.CacheDir, &c.EnvDir},
		"test":         {&c.BuildDir, &c.EnvDir},
	}[verb]
	for i, field := range want {
		if i < len(args) {
			*field = args[i]
		}
	}
	if c.BuildDir == "" {
		return Failf("", "bin/%s needs BUILD_DIR as its first argument.", verb)
	}
	if c.CacheDir == "" && len(want) > 1 && want[1] == &c.CacheDir {
		return Failf("", "bin/%s needs CACHE_DIR as its second argument.", verb)
	}
	for _, field := range want {
		if *field == "" {
			continue
		}
		abs, err := filepath.Abs(*field)
		if err != nil {
			return fmt.Errorf("cannot find %q: %w", *field, err)
		}
		*field = abs
	}
	if c.EnvDir == "" {
		c.Config = map[string]string{}
		return nil
	}
	config, err := ReadEnvDir(c.EnvDir)
	c.Config = config
	return err
}

func dispatch(ctx context.Context, p Pack, c *Call, verb string) (int, error) {
	switch verb {
	case "detect":
		name, err := p.Detect(c)
		if err == nil {
			c.Out.Plain(name)
		}
		return 0, err
	case "compile":
		return 0, p.Compile(ctx, c)
	case "release":
		types, err := p.Release(c)
		if err == nil {
			c.Out.Plain(releaseYAML(types))
		}
		return 0, err
	case "report":
		text, err := c.report()
		if err == nil {
			c.Out.Plain(text)
		}
		return 0, err
	case "test-compile":
		if t, ok := p.(Tester); ok {
			return 0, t.TestCompile(ctx, c)
		}
		return 0, p.Compile(ctx, c)
	case "test":
		if t, ok := p.(Tester); ok {
			return t.Test(ctx, c)
		}
		return 0, Failf("Give the command in app.json (environments.test.scripts.test).", "This buildpack has no test command of its own.")
	}
	return 2, fmt.Errorf("cannot run %q: a buildpack has no such program", verb)
}

// releaseYAML prints default process types as bin/release has to. JSON
// strings are YAML strings.
func releaseYAML(types map[string]string) string {
	if len(types) == 0 {
		return "--- {}"
	}
	names := make([]string, 0, len(types))
	for name := range types {
		names = append(names, name)
	}
	sort.Strings(names)
	var b strings.Builder
	b.WriteString("---\ndefault_process_types:")
	for _, name := range names {
		fmt.Fprintf(&b, "\n  %s: %s", name, quoteJSON(types[name]))
	}
	return b.String()
}

// Exists tells whether a path under the build directory is there (a dangling
// symbolic link is not).
func (c *Call) Exists(elem ...string) bool {
	_, err := os.Stat(c.Path(elem...))
	return err == nil
}

// Path joins the build directory and elem.
func (c *Call) Path(elem ...string) string {
	return filepath.Join(append([]string{c.BuildDir}, elem...)...)
}

// Cached joins the cache directory and elem.
func (c *Call) Cached(elem ...string) string {
	return filepath.Join(append([]string{c.CacheDir}, elem...)...)
}

// HasProcess tells whether the app's Procfile declares a process type that
// match accepts.
func (c *Call) HasProcess(match func(name string) bool) bool {
	data, err := os.ReadFile(c.Path("Procfile"))
	if err != nil {
		return false
	}
	for _, line := range strings.Split(string(data), "\n") {
		name, _, ok := strings.Cut(strings.TrimSpace(line), ":")
		if ok && match(strings.TrimSpace(name)) {
			return true
		}
	}
	return false
}

// ErrNotDetected is what Detect returns when it has nothing better to say.
var ErrNotDetected = errors.New("not an app of this kind")
