package boot

import (
	"bytes"
	"context"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

const (
	mib = int64(1) << 20

	defaultRAM   = 512 * mib
	defaultLimit = 128 * mib
)

// setConcurrency puts the number of PHP-FPM workers into the environment: the
// app's WEB_CONCURRENCY, or one that suits the dyno.
func (s *settings) setConcurrency(ctx context.Context) error {
	set := s.env["WEB_CONCURRENCY"]
	if set != "" && s.env["WEB_CONCURRENCY_SET_BY"] == "" {
		s.say("$WEB_CONCURRENCY env var is set, skipping automatic calculation")
		if n, err := strconv.Atoi(set); err != nil || n < 1 || strings.HasPrefix(set, "+") {
			s.say("Setting WEB_CONCURRENCY=1 (was outside allowed range)")
			s.env["WEB_CONCURRENCY"] = "1"
		}
		return nil
	}
	s.env["WEB_CONCURRENCY"] = "1" // the configuration refers to it
	limit, err := s.memoryLimit(ctx)
	if err != nil {
		return err
	}
	ram, cores := memory(os.ReadFile), runtime.NumCPU()
	n := workers(ram, limit, cores)
	s.say("Available RAM is %dM, PHP memory_limit is %dM: starting %d workers on %d cores...", ram/mib, limit/mib, n, cores)
	s.env["WEB_CONCURRENCY"] = strconv.Itoa(n)
	return nil
}

// workers is how many PHP processes a dyno runs: more with its memory and
// cores, fewer with what each may use, and never more than fit.
func workers(ram, limit int64, cores int) int {
	if limit <= 0 || limit > ram { // no limit: one process may use everything
		return 1
	}
	steps := math.Ceil(math.Log2(float64(ram) / float64(defaultLimit)))
	n := int64(math.Floor(steps * float64(cores) * 2 * float64(defaultLimit) / float64(limit)))
	return int(max(1, min(n, ram/limit)))
}

// memory is the dyno's memory limit, by whichever file tells it.
func memory(read func(string) ([]byte, error)) int64 {
	const v2, v1 = "/sys/fs/cgroup/", "/sys/fs/cgroup/memory/"
	for _, file := range []string{v2 + "memory.high", v2 + "memory.max", v2 + "memory.low", v2 + "memory.min", v1 + "memory.limit_in_bytes"} {
		data, err := read(file)
		if err != nil {
			continue
		}
		// "max", 0 and the huge number of cgroup v1 all mean: no limit here.
		n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
		if err == nil && n > 0 && n < 1<<50 {
			return n
		}
	}
	return defaultRAM
}

// memoryLimit finds PHP's memory_limit as PHP-FPM will apply it: the pool's
// php_admin_value, .user.ini in the document root, the pool's php_value,
// php.ini.
func (s *settings) memoryLimit(ctx context.Context) (int64, error) {
	admin, value, err := s.poolLimits(ctx)
	if err != nil {
		return 0, err
	}
	user := ""
	if data, err := os.ReadFile(filepath.Join(s.root, ".user.ini")); err == nil {
		user = iniLimit(string(data))
	}
	for _, text := range []string{admin, user, value} {
		if n, ok := parseBytes(text); ok {
			return n, nil
		}
	}
	ini := s.phpIni
	if ini == "" {
		ini = s.fpmIni()
	}
	args := []string{s.php}
	if ini != "" {
		args = append(args, "-c", ini)
	}
	out, err := s.output(ctx, append(args, "-r", `echo ini_get("memory_limit");`)...)
	if err != nil {
		return 0, failf(1, "Cannot ask PHP for its memory_limit: %v", err)
	}
	if n, ok := parseBytes(strings.TrimSpace(out)); ok {
		return n, nil
	}
	return defaultLimit, nil
}

// fpmIni is the php.ini that this PHP-FPM reads on Debian, which is not the
// one of the php command.
func (s *settings) fpmIni() string {
	ini := "/etc/php/" + strings.TrimPrefix(filepath.Base(s.fpm), "php-fpm") + "/fpm/php.ini"
	if _, err := os.Stat(ini); err != nil {
		return ""
	}
	return ini
}

var (
	dumped   = regexp.MustCompile(`php(_admin)?_value\[memory_limit\]\s*=\s*(\S+)`)
	iniEntry = regexp.MustCompile(`(?m)^[ \t]*memory_limit[ \t]*=[ \t]*"?([^"; \t\r\n]+)`)
)

// poolLimits lets PHP-FPM show its configuration, includes and all.
func (s *settings) poolLimits(ctx context.Context) (admin, value string, err error) {
	copied, err := s.noticing()
	if err != nil {
		return "", "", err
	}
	defer os.Remove(copied)
	var out bytes.Buffer
	argv := s.fpmCommand(copied, "-tt")
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = s.environ(), s.app, &out, &out
	if err := cmd.Run(); err != nil {
		return "", "", failf(1, "PHP-FPM config test failed: %v\n%s", err, strings.TrimSpace(out.String()))
	}
	for _, m := range dumped.FindAllStringSubmatch(out.String(), -1) {
		if m[1] != "" {
			admin = m[2]
		} else {
			value = m[2]
		}
	}
	return admin, value, nil
}

// noticing makes a copy of PHP-FPM's configuration with another log level:
// it shows its configuration as notices.
func (s *settings) noticing() (string, error) {
	data, err := os.ReadFile(s.fpmConfig)
	if err != nil {
		return "", failf(1, "Cannot read '%s': %v", s.fpmConfig, err)
	}
	copied := filepath.Join(s.tmp, "heroku.php-fpm."+s.port+".test.conf")
	if err := os.WriteFile(copied, append(data, "\n[global]\nlog_level = notice\n"...), 0o600); err != nil {
		return "", failf(1, "Cannot write '%s': %v", copied, err)
	}
	return copied, nil
}

// iniLimit is the last memory_limit in the text of an ini file.
func iniLimit(text string) string {
	all := iniEntry.FindAllStringSubmatch(text, -1)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1][1]
}

// parseBytes reads a size as PHP writes it: 134217728, 128M, 1g, -1.
func parseBytes(text string) (int64, bool) {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, false
	}
	unit := int64(1)
	switch text[len(text)-1] {
	case 'k', 'K':
		unit = 1 << 10
	case 'm', 'M':
		unit = 1 << 20
	case 'g', 'G':
		unit = 1 << 30
	}
	if unit > 1 {
		text = text[:len(text)-1]
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n > math.MaxInt64/unit {
		return 0, false
	}
	return n * unit, true
}
