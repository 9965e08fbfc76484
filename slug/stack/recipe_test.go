package stack

import (
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
)

func TestParseList(t *testing.T) {
	tests := []struct {
		name, list string
		want       []choice
		err        string
	}{
		{name: "comments and blank lines", list: "# all\n\ngit # a tool\n  curl  \n", want: []choice{{names: []string{"git"}}, {names: []string{"curl"}}}},
		{name: "choice", list: "libssl3 | libssl3t64", want: []choice{{names: []string{"libssl3", "libssl3t64"}}}},
		{name: "optional", list: "libpcre3 | -", want: []choice{{names: []string{"libpcre3"}, optional: true}}},
		{name: "odd but valid names", list: "g++\nlibevent-2.1-7\n", want: []choice{{names: []string{"g++"}}, {names: []string{"libevent-2.1-7"}}}},
		{name: "name after the end", list: "- | git", err: "after -"},
		{name: "option of apt-get", list: "--allow-unauthenticated", err: "no package name"},
		{name: "two names", list: "git,curl", err: "no package name"},
		{name: "version", list: "git=1", err: "no package name"},
		{name: "removal", list: "git-\n\nGit", err: "line 3"},
		{name: "empty alternative", list: "git |", err: "no package name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseList(tt.list)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error = %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(got, tt.want, func(a, b choice) bool {
				return a.optional == b.optional && slices.Equal(a.names, b.names)
			}) {
				t.Errorf("parsed %+v, want %+v", got, tt.want)
			}
		})
	}
}

func FuzzParseList(f *testing.F) {
	for _, s := range []string{"git", "a|b|-", "# x\n--y", "libssl3 | libssl3t64\n\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, list string) {
		choices, err := parseList(list)
		if err != nil {
			return
		}
		for _, c := range choices {
			for _, name := range c.names {
				if name[0] == '-' || strings.ContainsAny(name, " ,=/|\n\t\x00") {
					t.Errorf("%q passes for a package", name)
				}
			}
		}
	})
}

// Every list that the program brings can be read, and no list names a package
// twice.
func TestEmbeddedLists(t *testing.T) {
	entries, err := fs.ReadDir(embedded, "recipes")
	if err != nil {
		t.Fatal(err)
	}
	lists := 0
	for _, e := range entries {
		if path.Ext(e.Name()) != ".txt" {
			continue
		}
		lists++
		b, err := fs.ReadFile(embedded, path.Join("recipes", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		choices, err := parseList(string(b))
		if err != nil {
			t.Errorf("%s: %v", e.Name(), err)
		}
		seen := map[string]bool{}
		for _, c := range choices {
			for _, name := range c.names {
				if seen[name] {
					t.Errorf("%s: %s is there twice", e.Name(), name)
				}
				seen[name] = true
			}
		}
	}
	if lists < 5 {
		t.Errorf("%d lists", lists)
	}
}

// The host's own distribution has a package for every line of every list.
func TestListsOnThisHost(t *testing.T) {
	for _, name := range []string{"run", "build", "lite-run", "lite-build", "php"} {
		b, err := fs.ReadFile(embedded, "recipes/"+name+".txt")
		if err != nil {
			t.Fatal(err)
		}
		choices, err := parseList(string(b))
		if err != nil {
			t.Fatal(err)
		}
		known, err := knownPackages(t.Context(), choices)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := resolve(choices, known); err != nil {
			t.Errorf("list %s: %v", name, err)
		}
	}
}

func TestResolve(t *testing.T) {
	known := map[string]bool{"git": true, "libssl3t64": true, "libicu72": true, "libicu74": true}
	got, err := resolve([]choice{
		{names: []string{"libicu72", "libicu74"}},
		{names: []string{"libssl3", "libssl3t64"}},
		{names: []string{"libpcre3"}, optional: true},
		{names: []string{"git"}},
	}, known)
	if err != nil || !slices.Equal(got, []string{"libicu72", "libssl3t64", "git"}) {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := resolve([]choice{{names: []string{"a1", "b1"}}}, known); err == nil || !strings.Contains(err.Error(), "a1 or b1") {
		t.Errorf("error = %v", err)
	}
}

func TestRecipeHash(t *testing.T) {
	s := &Stacks{recipes: embedded}
	host := distribution{ID: "debian", Codename: "bookworm"}
	hash := func(s *Stacks, d distribution, layer, below string) string {
		r, err := s.recipeFor(d, layer, below)
		if err != nil {
			t.Fatal(err)
		}
		return r.hash
	}
	first := hash(s, host, buildLayer, "sha256:1")
	if first != hash(s, host, buildLayer, "sha256:1") {
		t.Error("one recipe has two hashes")
	}
	for name, other := range map[string]string{
		"another base":         hash(s, host, buildLayer, "sha256:2"),
		"another distribution": hash(s, distribution{ID: "debian", Codename: "trixie"}, buildLayer, "sha256:1"),
		"another layer":        hash(s, host, "php", "sha256:1"),
		"another profile":      hash(&Stacks{recipes: embedded, profile: ProfileLite}, host, buildLayer, "sha256:1"),
	} {
		if other == first {
			t.Errorf("%s has the same hash", name)
		}
	}
	r, err := s.recipeFor(host, "php", "sha256:1")
	if err != nil || !strings.Contains(r.finish, "/var/lib/nginx") {
		t.Errorf("php ends with %q, %v", r.finish, err)
	}
}
