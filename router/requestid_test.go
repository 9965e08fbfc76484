package router

import (
	"regexp"
	"strings"
	"testing"
)

var uuid4 = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func TestRequestID(t *testing.T) {
	keep := []string{strings.Repeat("a", 20), strings.Repeat("Z", 200), "0123456789+/=-abcdefgh", "1895f0e1-5da3-4556-9fbb-f046d1a73561"}
	for _, id := range keep {
		if got := requestID([]string{id}); got != id {
			t.Errorf("%q became %q", id, got)
		}
	}
	for _, sent := range [][]string{
		nil, {""}, {strings.Repeat("a", 19)}, {strings.Repeat("a", 201)},
		{"aaaaaaaaaaaaaaaaaaaa\""}, {"aaaaaaaaaaaaaaaaaaa_aaa"}, {"aaaaaaaaaaaaaaaaaaa aaa"},
		{keep[0], keep[0]},
	} {
		if got := requestID(sent); !uuid4.MatchString(got) {
			t.Errorf("%q became %q, which is no random UUID", sent, got)
		}
	}
	if requestID(nil) == requestID(nil) {
		t.Error("two requests have one id")
	}
}

func FuzzRequestID(f *testing.F) {
	f.Add("1895f0e1-5da3-4556-9fbb-f046d1a73561")
	f.Add("\n\"")
	kept := regexp.MustCompile(`\A[A-Za-z0-9+/=-]{20,200}\z`)
	f.Fuzz(func(t *testing.T, s string) {
		got := requestID([]string{s})
		if want := kept.MatchString(s); (got == s) != want {
			t.Errorf("%q became %q", s, got)
		}
		if got != s && !uuid4.MatchString(got) {
			t.Errorf("%q became %q", s, got)
		}
	})
}
