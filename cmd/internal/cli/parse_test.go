package cli

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"paas/api"
	v3 "paas/api/v3"
)

func TestScaleUpdates(t *testing.T) {
	tests := []struct {
		arg  string
		want *v3.FormationUpdate // nil = refused
	}{
		{"web=2", &v3.FormationUpdate{Type: "web", Quantity: "2"}},
		{"web=0", &v3.FormationUpdate{Type: "web", Quantity: "0"}},
		{"web+1", &v3.FormationUpdate{Type: "web", Quantity: "+1"}},
		{"web-1", &v3.FormationUpdate{Type: "web", Quantity: "-1"}},
		{"my-worker_2-1", &v3.FormationUpdate{Type: "my-worker_2", Quantity: "-1"}},
		{"a-1-2", &v3.FormationUpdate{Type: "a-1", Quantity: "-2"}},
		{"web=1:standard-2x", &v3.FormationUpdate{Type: "web", Quantity: "1", Size: "standard-2x"}},
		{"web+1:Standard-2X", &v3.FormationUpdate{Type: "web", Quantity: "+1", Size: "Standard-2X"}},
		{"web=:Performance-M", &v3.FormationUpdate{Type: "web", Size: "Performance-M"}},
		{"web", nil}, {"web=", nil}, {"web+", nil}, {"=1", nil}, {"web=two", nil}, {"web=1:", nil}, {"web=+1", nil}, {"web+:Eco", nil}, {"we b=1", nil}, {"", nil},
	}
	for _, tt := range tests {
		got, err := scaleUpdates([]string{tt.arg})
		switch {
		case tt.want == nil && err == nil:
			t.Errorf("%q is taken as %+v", tt.arg, got)
		case tt.want != nil && (err != nil || !reflect.DeepEqual(got, []v3.FormationUpdate{*tt.want})):
			t.Errorf("%q: %+v, %v", tt.arg, got, err)
		}
	}
}

func TestCommandName(t *testing.T) {
	tests := []struct{ line, name, rest string }{
		{"ps", "ps", ""},
		{"-a shop ps --json", "ps", "-a shop --json"},
		{"--app=shop ps", "ps", "--app=shop"},
		{"--remote staging logs -t", "logs", "--remote staging -t"},
		{"run -a shop ps", "run", "-a shop ps"},
		{"--help", "--help", ""},
		{"-v", "-v", ""},
		{"", "", ""},
		{"-a", "", ""},
	}
	for _, tt := range tests {
		name, rest := commandName(strings.Fields(tt.line))
		if name != tt.name || strings.Join(rest, " ") != tt.rest {
			t.Errorf("%q: %q, %q", tt.line, name, rest)
		}
	}
}

// "-a APP" behind the command of a one-off dyno is the CLI's only where nobody
// can mean it otherwise.
func TestTrailingTarget(t *testing.T) {
	tests := []struct{ line, app, remote, command string }{
		{"bash -a shop", "shop", "", "bash"},
		{"bash --app shop", "shop", "", "bash"},
		{"bash --app=shop", "shop", "", "bash"},
		{"rails console --remote staging", "", "staging", "rails console"},
		{"bash -a shop --remote staging", "shop", "staging", "bash"},
		{"-a shop ls -a tmp", "shop", "", "ls -a tmp"},
		{"ls -a /tmp", "", "", "ls -a /tmp"},
		{"ls -a", "", "", "ls -a"},
		{"grep -r shop", "", "", "grep -r shop"},
		{"-- ls -a shop", "", "", "ls -a shop"},
		{"env -- ls -a shop", "", "", "env -- ls -a shop"},
		{"-a shop", "shop", "", ""},
		{"x --size=Eco", "", "", "x --size=Eco"},
	}
	for _, tt := range tests {
		c := &Call{cmd: runCommand, flags: flagsOf(runCommand)}
		if err := c.flags.Parse(strings.Fields(tt.line)); err != nil {
			t.Fatalf("%q: %v", tt.line, err)
		}
		c.Args = c.flags.Args()
		c.trailingTarget()
		if c.string("app") != tt.app || c.string("remote") != tt.remote || strings.Join(c.Args, " ") != tt.command {
			t.Errorf("%q: app %q, remote %q, command %q", tt.line, c.string("app"), c.string("remote"), c.Args)
		}
	}
}

func TestParseRemotes(t *testing.T) {
	const listed = `origin	https://github.com/ada/shop.git (fetch)
origin	https://github.com/ada/shop.git (push)
hub	git@github.com:ada/shop.git (fetch)
paas	ssh://git@localhost:2222/shop.git (fetch)
paas	ssh://git@localhost:2222/shop.git (push)
short	git@paas.example.com:my-shop-2.git (fetch)
six	ssh://git@[::1]:2222/six.git (fetch)
plain	ssh://git@example.com/plain.git (fetch)
upper	git@example.com:Shop.git (fetch)
option	git@example.com:-x.git (fetch)
dir	ssh://git@example.com/srv/shop.git (fetch)
file	/srv/shop.git (fetch)
`
	want := []gitRemote{{"paas", "shop"}, {"short", "my-shop-2"}, {"six", "six"}, {"plain", "plain"}}
	if got := parseRemotes(listed); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestParseAssignments(t *testing.T) {
	tests := []struct {
		text string
		want string // "" = refused
	}{
		{"A=1\nB=2", `[{A 1} {B 2}]`},
		{"\n # c\n\tA=1 \r\nexport B=\"x y\"\r\n", `[{A 1} {B x y}]`},
		{"A=x # c\nB=x#y\nC='#' # c\nD=#x", `[{A x} {B x#y} {C #} {D #x}]`},
		{"A=a=b==", `[{A a=b==}]`},
		{"A=one two  \nB= x", `[{A one two} {B x}]`},
		{`A='it'\''s'`, `[{A it's}]`},
		{"A=\"l1\nl2\"\nB='l3\nl4'\nC=1", "[{A l1\nl2} {B l3\nl4} {C 1}]"},
		{`A="q\" b\\ d\$ n\n"`, `[{A q" b\ d$ n\n}]`},
		{`A='  '`, `[{A   }]`},
		{"A=", `[{A }]`},
		{"", "[]"},
		{"A", ""}, {"A='x", ""}, {"A=\"x", ""}, {"A B=1", ""}, {"1A=1", ""}, {"PORT=1", ""}, {"=1", ""},
	}
	for _, tt := range tests {
		got, err := parseAssignments(tt.text)
		switch {
		case tt.want == "" && err == nil:
			t.Errorf("%q is taken as %q", tt.text, got)
		case tt.want != "" && (err != nil || fmt.Sprint(got) != tt.want):
			t.Errorf("%q: %v, %v", tt.text, got, err)
		}
	}
	_, err := parseAssignments("A='1\n2'\n\nhunter2\n")
	if err == nil || !strings.Contains(err.Error(), "line 4") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error = %v", err)
	}
}

// What config -s prints, config:set --file reads.
func FuzzAssignments(f *testing.F) {
	for _, v := range []string{"", "x", "it's", "a b", "\n", "'", "\"", "\\", "#", " #", "$HOME", "a\r\n", "ä", "\xff"} {
		f.Add(v, v)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if strings.ContainsRune(a+b, 0) {
			return // no config var may have it
		}
		got, err := parseAssignments("A=" + shellQuote(a) + "\nB=" + shellQuote(b) + "\n")
		if err != nil || !slices.Equal(got, []assignment{{"A", a}, {"B", b}}) {
			t.Errorf("%q, %q: %q, %v", a, b, got, err)
		}
		// Anything at all must be refused or taken, and no name be invalid.
		if got, err := parseAssignments(a); err == nil {
			for _, v := range got {
				if api.CheckConfigKey(v.name) != nil {
					t.Errorf("%q gives the name %q", a, v.name)
				}
			}
		}
	})
}

func TestEditDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{{"logs", "logs", 0}, {"logs", "lgos", 1}, {"logs", "log", 1}, {"ps", "push", 2}, {"", "abc", 3}, {"abc", "", 3}, {"create", "craete", 1}, {"kitten", "sitting", 3}}
	for _, tt := range tests {
		if got := editDistance(tt.a, tt.b); got != tt.want {
			t.Errorf("%q, %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestTexts(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 kB", 3 << 20: "3.0 MB", 5 << 30: "5.0 GB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
	for d, want := range map[time.Duration]string{-time.Hour: "0s ago", 5 * time.Second: "5s ago", 90 * time.Second: "1m ago", 47 * time.Hour: "47h ago", 72 * time.Hour: "3d ago"} {
		if got := ago(time.Now().Add(-d)); got != want {
			t.Errorf("%v: %q", d, got)
		}
	}
	var b strings.Builder
	table(&b, []string{"Name", "Text"}, [][]string{{"ä", "x\x1b[2Jy"}, {"longer", ""}})
	if want := "Name    Text\n────    ────\nä       x�[2Jy\nlonger\n"; b.String() != want {
		t.Errorf("table:\n%s", b.String())
	}
	for address, clear := range map[string]bool{"http://127.0.0.1:5000": false, "http://localhost": false, "http://api.localhost": false, "http://[::1]:5": false, "https://api.example.com": false, "http://api.example.com": true, "http://10.0.0.1": true} {
		if inTheClear(address) != clear {
			t.Errorf("%s: %v", address, !clear)
		}
	}
}

// Every command can be found and explained, by all its names.
func TestCommands(t *testing.T) {
	seen := map[string]bool{}
	for _, cmd := range commands() {
		for _, name := range append([]string{cmd.Name}, cmd.Aliases...) {
			if seen[name] {
				t.Errorf("%s is there twice", name)
			}
			seen[name] = true
			if find(name) != cmd && !strings.HasPrefix(name, "__") && name != "help" {
				t.Errorf("%s is not found", name)
			}
			var b strings.Builder
			if err := run(t.Context(), []string{"help", name}, nil, &b, &b); err != nil || !strings.Contains(b.String(), "Usage: paas "+cmd.Name) {
				t.Errorf("help %s: %v\n%s", name, err, b.String())
			}
		}
		if cmd.Hidden {
			continue
		}
		var b strings.Builder
		if err := run(t.Context(), []string{cmd.Name, "--help"}, nil, &b, &b); err != nil || !strings.Contains(b.String(), cmd.Short) {
			t.Errorf("%s --help: %v", cmd.Name, err)
		}
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") || cmd.Short[0] < 'a' || cmd.Short[0] > 'z' {
			t.Errorf("%s: %q is not a short text like the others", cmd.Name, cmd.Short)
		}
		showsText := slices.Contains([]string{"logs", "builds:output", "releases:output", "auth:token", "help", "completion", "version"}, cmd.Name)
		shows := strings.HasPrefix(cmd.Short, "list") || strings.HasPrefix(cmd.Short, "show") || strings.HasPrefix(cmd.Short, "print")
		if shows && !cmd.JSON && !showsText {
			t.Errorf("%s shows something and has no --json", cmd.Name)
		}
		if err := run(t.Context(), []string{cmd.Name, "--no-such-flag"}, nil, &b, &b); report(&b, err) != exitUsage {
			t.Errorf("%s --no-such-flag: %v", cmd.Name, err)
		}
	}
}
