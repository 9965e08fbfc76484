package procfile

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"paas/api"
)

func TestParse(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []api.ProcessType
	}{
		"empty":               {"", nil},
		"usual":               {"web: node server.js\nworker: node worker.js\n", []api.ProcessType{{Name: "web", Command: "node server.js"}, {Name: "worker", Command: "node worker.js"}}},
		"no last newline":     {"web: a", []api.ProcessType{{Name: "web", Command: "a"}}},
		"crlf":                {"web: a b\r\nclock: c\r\n", []api.ProcessType{{Name: "web", Command: "a b"}, {Name: "clock", Command: "c"}}},
		"later wins in place": {"web: old\nworker: w\nweb: new\n", []api.ProcessType{{Name: "web", Command: "new"}, {Name: "worker", Command: "w"}}},
		"comments and blanks": {"# web: no\n\n   \nweb: yes # stays\n#x\n", []api.ProcessType{{Name: "web", Command: "yes # stays"}}},
		"no colon":            {"web node .", []api.ProcessType{{Name: "web", Command: "node ."}}},
		"no space":            {"web:node .", []api.ProcessType{{Name: "web", Command: "node ."}}},
		"spaces around":       {" \tweb:  \t a  b \t\n", []api.ProcessType{{Name: "web", Command: "a  b"}}},
		"colons in commands":  {"web: php -S 0:$PORT", []api.ProcessType{{Name: "web", Command: "php -S 0:$PORT"}}},
		"odd names":           {"Web-1_x: a\nrelease: b", []api.ProcessType{{Name: "Web-1_x", Command: "a"}, {Name: "release", Command: "b"}}},
		"bad names":           {"we b: a\n.x: b\nü: c\n: d\n", []api.ProcessType{{Name: "we", Command: "b: a"}}},
		"no command":          {"web:\nworker:   \nclock\n", nil},
		"byte order mark":     {"\ufeffweb: a\n", []api.ProcessType{{Name: "web", Command: "a"}}},
		"nul":                 {"web: a\x00b\nok: c", []api.ProcessType{{Name: "ok", Command: "c"}}},
		"not utf-8":           {"web: a\xffb", []api.ProcessType{{Name: "web", Command: "a\ufffdb"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Parse(c.text); !slices.Equal(got, c.want) {
				t.Errorf("Parse(%q) = %q, want %q", c.text, got, c.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"web: a\nworker: b", "web: a\r\n\r\n#c\r\nweb:b", "\ufeffx:\ty", "a b", "a:\x00", "\xff: \xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		types := Parse(text)
		var again strings.Builder
		seen := map[string]bool{}
		for _, p := range types {
			if seen[p.Name] || p.Name == "" || p.Command == "" || p.Command != strings.TrimSpace(p.Command) ||
				strings.ContainsAny(p.Command, "\n\x00") || !utf8.ValidString(p.Command) {
				t.Fatalf("Parse(%q) has %q", text, p)
			}
			seen[p.Name] = true
			again.WriteString(p.Name + ": " + p.Command + "\n")
		}
		if got := Parse(again.String()); !slices.Equal(got, types) {
			t.Fatalf("written out and parsed again: %q, first %q", got, types)
		}
	})
}
