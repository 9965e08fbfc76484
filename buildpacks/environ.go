package buildpacks

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// environment is what detect, compile and release see. Config vars are not in
// it: buildpacks read those they want from ENV_DIR.
type environment map[string]string

func newEnvironment(p Plan) environment {
	e := environment{
		"HOME":                 p.Home,
		"PATH":                 "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LANG":                 "C.UTF-8",
		"STACK":                p.Stack,
		"SOURCE_VERSION":       p.Commit,
		"REQUEST_ID":           p.RequestID,
		"BUILDPACK_LOG_FILE":   os.DevNull,
		"CURL_CONNECT_TIMEOUT": "5",
		"CURL_TIMEOUT":         "180",
	}
	maps.Copy(e, p.Env)
	delete(e, "GIT_DIR") // git in a buildpack must find the repository it is in
	return e
}

func (e environment) list() []string {
	list := make([]string, 0, len(e))
	for _, k := range slices.Sorted(maps.Keys(e)) {
		list = append(list, k+"="+e[k])
	}
	return list
}

// shellOwn are variables that bash sets for itself.
var shellOwn = []string{"_", "SHLVL", "PWD", "OLDPWD", "BASHOPTS", "SHELLOPTS"}

// source returns the environment after a buildpack's export script, as bash
// has it, or e itself if there is none.
func (e environment) source(ctx context.Context, dir string) (environment, error) {
	script := filepath.Join(dir, "export")
	if st, err := os.Stat(script); err != nil || !st.Mode().IsRegular() {
		return e, nil
	}
	// A script's last command may well fail ("[ -d x ] && ..."), so only a
	// missing environment is an error.
	out, status, err := command{
		argv: []string{"/bin/bash", "--noprofile", "--norc", "-c", `. "$1" >&2 3>&-; exec /usr/bin/env -0 >&3`, "bash", script},
		dir:  dir, env: e.list(), stdout: os.Stdout, stderr: os.Stderr,
	}.capture(ctx, true)
	if err != nil {
		return nil, err
	}
	if !bytes.HasSuffix(out, []byte{0}) {
		return nil, fmt.Errorf("sourcing it ended with status %d and no environment", status)
	}
	next := environment{}
	for kv := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if k, v, ok := strings.Cut(kv, "="); ok && k != "" && !slices.Contains(shellOwn, k) {
			next[k] = v
		}
	}
	return next, nil
}
