package boot

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"paas/buildpacks/builtin/php"
)

// settings are where everything is. Paths are absolute.
type settings struct {
	Options
	web Server
	env map[string]string
	log io.Writer
	tmp string

	app, root, port        string
	fpm, server, php       string // programs
	fpmConfig, phpIni      string
	serverMain             string
	serverConfig           string
	extraLogs              []string
	vendorDir, binariesDir string
}

// failure is an error with an exit status of its own.
type failure struct {
	status  int
	message string
}

func (f *failure) Error() string { return f.message }

func failf(status int, format string, args ...any) error {
	return &failure{status, fmt.Sprintf(format, args...)}
}

// newSettings finds files and programs and runs templates through PHP. base
// is the directory that holds conf.
func newSettings(ctx context.Context, web Server, o Options, base, app string, environ []string, log io.Writer) (*settings, error) {
	s := &settings{Options: o, web: web, log: log, app: app, tmp: "/tmp", env: map[string]string{}}
	for _, kv := range environ {
		if k, v, ok := strings.Cut(kv, "="); ok {
			s.env[k] = v
		}
	}
	for _, find := range []func() error{s.findPort, s.findRoot, s.findPrograms, s.findLogs} {
		if err := find(); err != nil {
			return nil, err
		}
	}
	s.vendorDir, s.binariesDir = php.Dirs(app, php.File(func(key string) string { return s.env[key] }))
	s.env["HEROKU_APP_DIR"] = s.app
	s.env["DOCUMENT_ROOT"] = s.root
	s.env["PORT"] = s.port
	s.env["COMPOSER_VENDOR_DIR"] = s.vendorDir
	s.env["COMPOSER_BIN_DIR"] = s.binariesDir
	return s, s.findConfig(ctx, filepath.Join(base, "conf"))
}

func (s *settings) findPort() error {
	s.port = s.Port
	if s.port == "" {
		s.port = s.env["PORT"]
	}
	if s.port == "" {
		s.port = strconv.Itoa(1024 + rand.IntN(31000))
	}
	if n, err := strconv.Atoi(s.port); err != nil || n < 1 || n > 65535 {
		return failf(2, "%q is no port", s.port)
	}
	return nil
}

// plain tells whether a path can stand in quotes in all the configuration
// files, where some characters would mean something.
func plain(path string) bool { return !strings.ContainsAny(path, "\"'\\$;{}\n\r\x00") }

func (s *settings) findRoot() error {
	s.root = filepath.Join(s.app, s.Root)
	if info, err := os.Stat(s.root); err != nil || !info.IsDir() {
		return failf(1, "DOCUMENT_ROOT '%s' does not exist", s.Root)
	}
	if !plain(s.root) {
		return failf(1, "DOCUMENT_ROOT '%s' has a character that configuration files cannot hold", s.root)
	}
	if s.Root != "" {
		s.say("DOCUMENT_ROOT changed to '%s/'", strings.TrimRight(s.Root, "/"))
	}
	return nil
}

func (s *settings) findPrograms() error {
	var err error
	if s.php, err = exec.LookPath("php"); err != nil {
		return failf(1, "This program requires PHP; check your 'php' command.")
	}
	if s.fpm, err = exec.LookPath("php-fpm"); err != nil {
		found, _ := filepath.Glob("/usr/sbin/php-fpm[0-9]*")
		if len(found) == 0 {
			return failf(1, "This program requires PHP-FPM; check your 'php-fpm' command.")
		}
		slices.Sort(found)
		s.fpm = found[len(found)-1]
	}
	for _, path := range []string{s.web.program, "/usr/sbin/" + s.web.program} {
		if s.server, err = exec.LookPath(path); err == nil {
			return nil
		}
	}
	return failf(1, "This program requires %s; check your '%s' command.", s.web.Name, s.web.program)
}

// findLogs expands -l and makes the files that do not exist.
func (s *settings) findLogs() error {
	for _, pattern := range s.Logs {
		path := pattern
		if !filepath.IsAbs(path) {
			path = filepath.Join(s.app, path)
		}
		files := []string{path}
		if strings.ContainsAny(path, "*?[") {
			found, err := filepath.Glob(path)
			if err != nil || len(found) == 0 {
				return failf(1, "Pattern '%s' passed to option -l matched no files", pattern)
			}
			files = found
		}
		for _, file := range files {
			if info, err := os.Stat(file); err == nil && info.IsDir() {
				return failf(1, "-l '%s': is a directory", file)
			}
			if err := touch(file); err != nil {
				return failf(1, "Could not touch '%s': %v", file, err)
			}
			s.extraLogs = append(s.extraLogs, file)
		}
	}
	return nil
}

func touch(file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

// findConfig chooses each configuration file: the app's, or the default.
// Includes come first, as templates may ask for their names.
func (s *settings) findConfig(ctx context.Context, conf string) error {
	s.serverMain = filepath.Join(conf, s.web.Conf, s.web.Main)
	include, err := s.config(ctx, 'C', s.ServerInclude, filepath.Join(conf, s.web.Conf, "default_include.conf"))
	if err != nil {
		return err
	}
	s.env[s.web.Variable] = include
	include, err = s.config(ctx, 'F', s.FPMInclude, filepath.Join(conf, "php", "default_include.conf"))
	if err != nil {
		return err
	}
	s.env["HEROKU_PHP_FPM_CONFIG_INCLUDE"] = include
	if s.fpmConfig, err = s.config(ctx, 'f', s.FPMConfig, filepath.Join(conf, "php", "php-fpm.conf")); err != nil {
		return err
	}
	if s.serverConfig, err = s.config(ctx, 'c', s.ServerConfig, filepath.Join(conf, s.web.Conf, s.web.Site)); err != nil {
		return err
	}
	if s.PHPConfig != "" {
		s.phpIni, err = s.config(ctx, 'i', s.PHPConfig, "")
	}
	return err
}

// config returns the path of one configuration file; a template's output
// takes its place.
func (s *settings) config(ctx context.Context, option byte, given, otherwise string) (string, error) {
	path := otherwise
	if given != "" {
		path = given
		if !filepath.IsAbs(path) {
			path = filepath.Join(s.app, given)
		}
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			return "", failf(1, "Cannot read -%c '%s' (relative to '%s')", option, given, s.app)
		}
	}
	if given != "" || s.Verbose {
		s.say("Using -%c configuration '%s'", option, strings.TrimPrefix(path, s.app+"/"))
	}
	if !plain(path) {
		return "", failf(1, "-%c '%s' has a character that configuration files cannot hold", option, path)
	}
	out, isTemplate := strings.CutSuffix(path, ".php")
	if !isTemplate {
		return path, nil
	}
	if given == "" { // the default's output depends on the port
		out = filepath.Join(s.tmp, "heroku."+s.web.Conf+"."+s.port+".conf")
	}
	if s.Verbose {
		s.say("Interpreting '%s' to '%s'", path, out)
	}
	text, err := s.output(ctx, s.php, path)
	if err != nil {
		return "", failf(1, "Cannot run '%s' through PHP: %v", path, err)
	}
	if err := os.WriteFile(out, []byte(text), 0o644); err != nil {
		return "", failf(1, "Cannot write '%s': %v", out, err)
	}
	return out, nil
}

func (s *settings) say(format string, args ...any) { fmt.Fprintf(s.log, format+"\n", args...) }

func (s *settings) environ() []string {
	list := make([]string, 0, len(s.env))
	for k, v := range s.env {
		list = append(list, k+"="+v)
	}
	slices.Sort(list)
	return list
}

func (s *settings) command(argv ...string) *exec.Cmd {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = s.environ()
	cmd.Dir = s.app
	return cmd
}

// output runs a helper and returns what it prints on stdout; its stderr goes
// to the log.
func (s *settings) output(ctx context.Context, argv ...string) (string, error) {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env, cmd.Dir = s.environ(), s.app
	cmd.Stdout, cmd.Stderr = &out, s.log
	err := cmd.Run()
	return out.String(), err
}
