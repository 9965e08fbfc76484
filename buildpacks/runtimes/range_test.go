package runtimes

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/Masterminds/semver/v3"
)

// TestRangeAgreesWithNodeSemver compares with answers of npm's own semver
// package (testdata/node-semver.json: hand-picked ranges and random ones).
func TestRangeAgreesWithNodeSemver(t *testing.T) {
	data, err := os.ReadFile("testdata/node-semver.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Range    string
		Valid    bool
		Versions map[string]bool
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 300 {
		t.Fatalf("only %d cases", len(cases))
	}
	for _, c := range cases {
		r, err := ParseRange(c.Range)
		if (err == nil) != c.Valid {
			t.Errorf("ParseRange(%q) = %v, want valid %v", c.Range, err, c.Valid)
			continue
		}
		for v, want := range c.Versions {
			if got := r.Contains(semver.MustParse(v)); got != want {
				t.Errorf("%q contains %s = %v, want %v", c.Range, v, got, want)
			}
		}
	}
}

// TestRangeDiffersFromMasterminds pins down why the library's own constraints
// are not used.
func TestRangeDiffersFromMasterminds(t *testing.T) {
	for _, c := range []struct {
		text, version string
		want          bool
	}{
		{"^1.2.3-beta.2", "1.2.4-alpha", false},
		{">1.2", "1.2.9", false},
		{"<1.2.x", "1.2.0-rc.1", false},
		{"1.2.3 - 2", "2.9.9", true},
		{"", "1.0.0", true},
		{"", "1.0.0-rc.1", false},
	} {
		r, err := ParseRange(c.text)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Contains(semver.MustParse(c.version)); got != c.want {
			t.Errorf("%q contains %s = %v", c.text, c.version, got)
		}
	}
}

func TestExactAndBest(t *testing.T) {
	for text, want := range map[string]string{"22.3.0": "22.3.0", "=22.3.0": "22.3.0", "v22.3.0": "22.3.0", "22.3": "", "^22.3.0": "", "22.3.0 || 23.0.0": ""} {
		r, err := ParseRange(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := r.Exact(); got != want {
			t.Errorf("Exact(%q) = %q, want %q", text, got, want)
		}
	}
	r, _ := ParseRange(">=1 <3")
	if got, ok := r.Best([]string{"0.9.0", "1.10.0", "1.9.0", "3.0.0", "not a version", "2.0.0-rc.1"}); !ok || got != "1.10.0" {
		t.Errorf("Best = %q, %v", got, ok)
	}
	if got, ok := r.Best(nil); ok {
		t.Errorf("Best of nothing = %q", got)
	}
}

func TestLTSCeiling(t *testing.T) {
	have := []string{"18.20.8", "20.20.2", "22.23.3", "24.1.0", "24.21.0", "25.9.0", "26.10.0"}
	for _, c := range []struct {
		text    string
		allow   bool
		version string
		wide    bool
	}{
		{">=18", false, "24.21.0", true},
		{">=18", true, "26.10.0", true},
		{"*", false, "24.21.0", true},
		{"24.x", false, "24.21.0", false},
		{"26.x", false, "26.10.0", false},
		{">=25", false, "26.10.0", false},
		{"18 || 20", false, "20.20.2", false},
		{"24.1.0 || 26", false, "24.1.0", true},
	} {
		r, err := ParseRange(c.text)
		if err != nil {
			t.Fatal(err)
		}
		best, _ := r.Best(have)
		got := capped(best, r, have, c.allow)
		if got.Version != c.version || got.Wide != c.wide {
			t.Errorf("%q: %+v, want %s wide %v", c.text, got, c.version, c.wide)
		}
	}
}

func FuzzRange(f *testing.F) {
	for _, s := range []string{"", "*", "1.x || >=2 <3", "1 - 2", "^1.2.3-beta.1", "~> 1", "x.1.2", "=v1"} {
		f.Add(s)
	}
	v := semver.MustParse("1.2.3")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRange(s)
		if err != nil {
			return
		}
		if exact, ok := r.Exact(); ok && !r.Contains(semver.MustParse(exact)) {
			t.Errorf("%q does not contain itself", s)
		}
		r.Contains(v)
	})
}
