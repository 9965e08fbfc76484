package api

import (
	"regexp"
	"strings"
)

// Names are validated once, at the edge (api/server, api/gitssh, the CLI), by
// the functions here; inner packages may rely on it, and use names in paths,
// labels and argv without quoting.

var (
	appName     = regexp.MustCompile(`^[a-z](?:[a-z0-9-]{0,28}[a-z0-9])?$`)
	processType = regexp.MustCompile(`^[A-Za-z0-9_-]{1,63}$`)
	configKey   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,255}$`)
)

// reservedApps would collide with hosts of the platform itself
// (api.<domain>, console.<domain>) or with what people expect there.
var reservedApps = map[string]bool{"api": true, "console": true, "git": true, "www": true}

// CheckAppName accepts Heroku's app names: 1 to 30 characters, lowercase
// letters, digits and dashes, beginning with a letter and not ending with a
// dash.
func CheckAppName(name string) error {
	if !appName.MatchString(name) {
		return Errorf(InvalidParams, "Name must start with a letter, end with a letter or digit and can only contain lowercase letters, digits, and dashes (30 characters at most).")
	}
	if reservedApps[name] {
		return Errorf(InvalidParams, "Name %s is reserved. Choose another one.", name)
	}
	return nil
}

// CheckProcessType accepts the names a Procfile line may have.
func CheckProcessType(name string) error {
	if !processType.MatchString(name) {
		return Errorf(InvalidParams, "Process type %q is not valid: use letters, digits, dashes and underscores (63 at most).", name)
	}
	return nil
}

// CheckConfigKey accepts names of config vars: letters, digits and
// underscores, not beginning with a digit or a double underscore. PORT and
// DYNO belong to the platform (Heroku: "Configuration and Config Vars").
func CheckConfigKey(key string) error {
	switch {
	case !configKey.MatchString(key), strings.HasPrefix(key, "__"):
		return Errorf(InvalidParams, "Config var name %q is not valid: use letters, digits and underscores, not beginning with a digit or a double underscore.", key)
	case key == "PORT" || key == "DYNO":
		return Errorf(InvalidParams, "Config var %s is set by the platform and cannot be changed.", key)
	}
	return nil
}
