package golang

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"paas/buildpacks/builtin/classic"
)

// fromConfig are the config vars that reach the go command. All others stay
// out: a build must not depend on an app's secrets by accident.
var fromConfig = []string{
	"CGO_CFLAGS", "CGO_CPPFLAGS", "CGO_CXXFLAGS", "CGO_LDFLAGS",
	"GO_LINKER_SYMBOL", "GO_LINKER_VALUE",
	"GOFLAGS", "GOPROXY", "GOPRIVATE", "GONOPROXY", "GOVERSION",
	"GO_INSTALL_PACKAGE_SPEC", "GO_INSTALL_TOOLS_IN_IMAGE",
	"GO_SETUP_GOPATH_FOR_MODULE_CACHE", "GO_TEST_SKIP_BENCHMARK",
}

const credentialPrefix = "GO_GIT_CRED__"

// setEnvironment prepares c.Env for the go command.
func setEnvironment(c *classic.Call) {
	for _, key := range fromConfig {
		if value, ok := c.Config[key]; ok {
			c.Env.Set(key, strings.ReplaceAll(value, "${build_dir}", c.BuildDir))
		}
	}
	// go reads them for network access, and git with it.
	if exempt := c.Config["GOPRIVATE"]; exempt != "" {
		c.Env.Default("GONOSUMDB", exempt)
	}
	c.Env.Set("GOTOOLCHAIN", "local")
	c.Env.Set("GOWORK", workspace(c))
	c.Env.Set("GOENV", "off")
	c.Env.Set("GOTELEMETRY", "off")
	setCredentials(c)
}

// workspace keeps a go.work above the app out of the build.
func workspace(c *classic.Call) string {
	if c.Exists("go.work") {
		return c.Path("go.work")
	}
	return "off"
}

// setCredentials makes git ask this program for passwords when there are
// GO_GIT_CRED__<PROTOCOL>__<HOST> config vars. They never enter an argument
// list or a file of git's.
func setCredentials(c *classic.Call) {
	for key := range c.Config {
		if !strings.HasPrefix(key, credentialPrefix) {
			continue
		}
		self, err := os.Executable()
		if err != nil {
			return
		}
		c.Env.Set("GIT_CONFIG_COUNT", "1")
		c.Env.Set("GIT_CONFIG_KEY_0", "credential.helper")
		c.Env.Set("GIT_CONFIG_VALUE_0", "!"+classic.Quote(self)+" git-credential "+classic.Quote(c.EnvDir))
		c.Env.Set("GIT_TERMINAL_PROMPT", "0")
		return
	}
}

// Credential answers git's credential helper protocol from config vars: in is
// what git writes ("protocol=https\nhost=example.com\n"), the answer is what
// it reads.
func Credential(config map[string]string, in string) string {
	attr := map[string]string{}
	for _, line := range strings.Split(in, "\n") {
		if k, v, ok := strings.Cut(line, "="); ok {
			attr[k] = v
		}
	}
	key := credentialPrefix + strings.ToUpper(attr["protocol"]) + "__" +
		strings.ToUpper(strings.NewReplacer(".", "__", ":", "__").Replace(attr["host"]))
	value, ok := lookupFold(config, key)
	if !ok {
		return ""
	}
	user, password, _ := strings.Cut(strings.TrimSpace(value), ":")
	if strings.ContainsAny(user+password, "\n\x00") {
		return ""
	}
	return fmt.Sprintf("username=%s\npassword=%s\n", user, password)
}

func lookupFold(config map[string]string, key string) (string, bool) {
	for k, v := range config {
		if strings.EqualFold(k, key) {
			return v, true
		}
	}
	return "", false
}

// cacheRoot is where Heroku's own buildpack keeps its things too.
func cacheRoot(c *classic.Call) string { return filepath.Join(c.CacheDir, ".heroku") }
