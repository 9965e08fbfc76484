// Package procfile reads Procfiles: the names and commands of an app's process
// types.
//
// The grammar is Heroku's, by line:
//
//	^[[:space:]]*([a-zA-Z0-9_-]+):?\s+(.*)[[:space:]]*$
//
// Lines that do not match (comments, blank ones) are skipped, a later duplicate
// wins in its predecessor's place, and line ends may be CRLF. One liberty is
// taken: "web:command" without a space is understood as well.
package procfile

import (
	"regexp"
	"strings"

	"paas/api"
)

var line = regexp.MustCompile(`^\s*([a-zA-Z0-9_-]+)(?::\s*|\s+)(.*)$`)

// Parse returns the process types in the order in which their names first
// appear. Bytes that are not UTF-8 become U+FFFD.
func Parse(text string) []api.ProcessType {
	var types []api.ProcessType
	at := map[string]int{}
	for l := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		m := line.FindStringSubmatch(strings.TrimRight(l, "\r\n"))
		if m == nil {
			continue
		}
		name, command := m[1], strings.TrimSpace(strings.ToValidUTF8(m[2], "\ufffd"))
		if command == "" || strings.ContainsRune(command, 0) { // no argument can hold a NUL
			continue
		}
		i, again := at[name]
		if !again {
			i = len(types)
			at[name] = i
			types = append(types, api.ProcessType{Name: name})
		}
		types[i].Command = command
	}
	return types
}
