package gitssh

import (
	"strings"
	"testing"
)

func TestParseCommand(t *testing.T) {
	for _, test := range []struct {
		line string
		verb verb
		name string
	}{
		{"git-receive-pack 'myapp.git'", push, "myapp"},
		{"git-receive-pack '/myapp.git'", push, "myapp"},
		{"git-receive-pack '/myapp.git/'", push, "myapp"},
		{"git-upload-pack 'myapp'", fetch, "myapp"},
		{"git upload-pack myapp.git", fetch, "myapp"},
		{`git-upload-pack "my app"`, fetch, "my app"},
		{`git-upload-pack 'it'\''s'`, fetch, "it's"},
		{"git-receive-pack '../../etc/passwd'", push, "../../etc/passwd"}, // not a name, which is for others to say
		{"git-receive-pack ''", push, ""},
	} {
		v, name, err := parseCommand(test.line)
		if v != test.verb || name != test.name || err != nil {
			t.Errorf("%s: %q %q %v", test.line, v, name, err)
		}
	}
	for _, line := range []string{
		"", "git", "id", "git-receive-pack", "git-receive-pack a b", "git-receive-pack 'a", "git-receive-pack a\\",
		"git-receive-pack 'a'; id", "git-receive-pack a\nid", "git-upload-archive a", "git-shell -c 'x'", "git --exec-path=x receive-pack a",
		"git-receive-pack " + strings.Repeat("a", maxCommand),
	} {
		if v, name, err := parseCommand(line); err == nil {
			t.Errorf("%q was taken for %q %q", line, v, name)
		}
	}
}

// quote is what git does to a path before it gives it to ssh.
func quote(s string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(s) + "'"
}

func FuzzParseCommand(f *testing.F) {
	for _, s := range []string{"git-receive-pack 'myapp.git'", "git upload-pack /a", `git-upload-pack "a\"`, "a\\", "''", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if v, _, err := parseCommand(s); err == nil && v != push && v != fetch {
			t.Errorf("%q gave %q", s, v)
		}
		// Whatever git quotes comes back as it was.
		if len(s) < 200 && !strings.ContainsAny(s, "'!") {
			_, name, err := parseCommand("git-receive-pack " + quote(s+"x"))
			if want := strings.TrimPrefix(s+"x", "/"); err != nil || name != want {
				t.Errorf("%q came back as %q, %v", s, name, err)
			}
		}
	})
}
