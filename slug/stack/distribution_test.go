package stack

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseOSRelease(t *testing.T) {
	tests := []struct {
		name, text string
		want       distribution
		err        string
	}{
		{name: "debian", text: "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_CODENAME=bookworm\n",
			want: distribution{ID: "debian", Codename: "bookworm", Title: "Debian GNU/Linux 12 (bookworm)"}},
		{name: "ubuntu", text: "ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\nPRETTY_NAME='Ubuntu 24.04.1 LTS'",
			want: distribution{ID: "ubuntu", Codename: "noble", Title: "Ubuntu 24.04.1 LTS"}},
		{name: "another", text: "ID=fedora\n", err: "fedora"},
		{name: "unreleased", text: "ID=debian\n", err: "VERSION_CODENAME"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseOSRelease(tt.text)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error = %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func target(origin, uri, release, component, entry string) string {
	return strings.Join([]string{
		"MetaKey: " + component + "/binary-amd64/Packages",
		"Origin: " + origin, "Repo-URI: " + uri, "Release: " + release, "Component: " + component, "Sourcesentry: " + entry,
	}, "\n") + "\n\n"
}

// Of all that apt is configured with, only the distribution's own repositories
// count: not others with the same suite and component.
func TestPickSources(t *testing.T) {
	dir := t.TempDir()
	list := filepath.Join(dir, "own.list")
	if err := os.WriteFile(list, []byte("# ours\ndeb [arch=amd64 signed-by=/keys/d.gpg] http://m/debian bookworm main\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := target("Debian", "http://m/debian/", "bookworm", "main", list+":2") +
		target("Debian", "http://m/debian/", "bookworm", "contrib", list+":2") +
		target("Debian", "http://m/debian/", "bookworm-updates", "main", list+":2") +
		target("Debian", "http://m/security/", "bookworm-security", "main", "") +
		target("Debian Backports", "http://m/debian/", "bookworm-backports", "main", "") +
		target("Debian", "http://m/debian/", "trixie", "main", "") +
		target("HashiCorp", "http://h/", "bookworm", "main", "") +
		target("", "http://local/", "bookworm", "main", "")
	d := distribution{ID: "debian", Codename: "bookworm"}
	var got []string
	for _, s := range d.pick(parseTargets([]byte(out))) {
		var keys []string
		if s.signedBy != "" {
			keys = []string{filepath.Base(s.signedBy)}
		}
		got = append(got, s.line("/run/apt", keys))
	}
	want := []string{
		"deb [signed-by=/run/apt/keys/d.gpg] http://m/debian/ bookworm main contrib\n",
		"deb [signed-by=/run/apt/keys/d.gpg] http://m/debian/ bookworm-updates main\n",
		"deb http://m/security/ bookworm-security main\n",
	}
	if !slices.Equal(got, want) {
		t.Errorf("sources:\n%s\nwant:\n%s", strings.Join(got, ""), strings.Join(want, ""))
	}
}

func TestReadSignedBy(t *testing.T) {
	dir := t.TempDir()
	sources := `# head
Types: deb
URIs: http://a
Signed-By: /keys/a.gpg

# only a comment

Types: deb
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 bGluZQ==
 -----END PGP PUBLIC KEY BLOCK-----
Suites: x

Types: deb
URIs: http://c
`
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	stanzas := write("s.sources", sources)
	lines := write("l.list", "deb http://a x main\ndeb [ signed-by=/k/1.gpg,/k/2.gpg arch=amd64 ] http://b x main\n")
	tests := []struct{ entry, want string }{
		{stanzas + ":1", "/keys/a.gpg"},
		{stanzas + ":2", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nbGluZQ==\n-----END PGP PUBLIC KEY BLOCK-----"},
		{stanzas + ":3", ""},
		{stanzas + ":4", ""},
		{lines + ":1", ""},
		{lines + ":2", "/k/1.gpg,/k/2.gpg"},
		{lines + ":9", ""},
		{filepath.Join(dir, "absent.list") + ":1", ""},
		{"nonsense", ""},
	}
	for _, tt := range tests {
		if got := readSignedBy(tt.entry); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.entry, got, tt.want)
		}
	}
}

// This host's own sources are found.
func TestHostSources(t *testing.T) {
	d, err := hostDistribution()
	if err != nil {
		t.Fatal(err)
	}
	sources, err := d.sources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(sources, func(s source) bool { return s.suite == d.Codename && slices.Contains(s.components, "main") }) {
		t.Errorf("no %s main among %+v", d.Codename, sources)
	}
}

func TestWriteApt(t *testing.T) {
	key := filepath.Join(t.TempDir(), "k.gpg")
	if err := os.WriteFile(key, []byte("key"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "apt")
	err := writeApt(dir, []source{
		{uri: "http://a/", suite: "x", components: []string{"main"}, signedBy: key},
		{uri: "http://b/", suite: "x", components: []string{"main"}, signedBy: "-----BEGIN PGP PUBLIC KEY BLOCK-----\n..."},
		{uri: "http://c/", suite: "x", components: []string{"main"}, signedBy: "ABCDEF0123456789"},
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "sources.list"))
	want := "deb [signed-by=/run/apt/keys/0-0.gpg] http://a/ x main\ndeb [signed-by=/run/apt/keys/1.asc] http://b/ x main\ndeb http://c/ x main\n"
	if err != nil || string(b) != want {
		t.Errorf("sources.list:\n%s%v", b, err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "keys", "0-0.gpg")); err != nil || string(b) != "key" {
		t.Errorf("key %q, %v", b, err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "sources.host")); err != nil || !strings.Contains(string(b), "signed-by="+dir+"/keys/1.asc") {
		t.Errorf("sources.host:\n%s%v", b, err)
	}
}

func TestAptEnviron(t *testing.T) {
	env := aptEnviron(t.Context(), []string{"HTTP_PROXY=http://p:1", "no_proxy=a", "NO_PROXY=b", "SECRET=x", "https_proxy="})
	for _, want := range []string{"http_proxy=http://p:1", "no_proxy=a", "SOURCE_DATE_EPOCH=1760000000"} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is not in %q", want, env)
		}
	}
	for _, kv := range env {
		if strings.HasPrefix(kv, "SECRET") || kv == "no_proxy=b" || kv == "https_proxy=" {
			t.Errorf("%s is there", kv)
		}
	}
}
