package source

import (
	"bufio"
	"strings"
	"testing"
	"time"
)

func TestParseCommit(t *testing.T) {
	r, err := parseCommit(ones, []byte("tree "+twos+"\nauthor A <a@b> 1700000000 +0100\ncommitter A <a@b> 1700000001 +0100\n\n\n  Title \x1b[31mred\xff\nBody\n"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Commit != ones || r.Tree != twos || r.Description != "Title [31mred\uFFFD" || !r.Time.Equal(time.Unix(1700000001, 0)) {
		t.Errorf("%+v", r)
	}
	if got := firstLine(strings.Repeat("ä", 200)); len(got) != maxDescription || !strings.HasSuffix(got, "ä") {
		t.Errorf("long line: %d bytes, %q", len(got), got)
	}
	for when, want := range map[int64]int64{-5: 0, 1 << 60: 4102444800, 1700000000: 1700000000} {
		if got := sane(time.Unix(when, 0)).Unix(); got != want {
			t.Errorf("%d became %d", when, got)
		}
	}
}

func TestTreeSizeIsBounded(t *testing.T) {
	x := &export{repos: &Repos{o: Options{MaxTree: 10_000}}, left: 10_000}
	links, err := x.count(bufio.NewReader(strings.NewReader("100644 blob " + ones + "    5000\ta\tb\x00160000 commit " + twos + "       -\tlib\x00")))
	if err != nil || len(links) != 1 || links[0] != (gitlink{"lib", twos}) || x.left != 5000 {
		t.Errorf("%v, %v, %d left", links, err, x.left)
	}
	if _, err := x.count(bufio.NewReader(strings.NewReader("100644 blob " + ones + "    5001\ta\x00"))); err == nil || !strings.Contains(err.Error(), "take more than") {
		t.Errorf("too much: %v", err)
	}
	if _, err := x.count(bufio.NewReader(strings.NewReader("garbage\x00"))); err == nil {
		t.Error("garbage was accepted")
	}
}
