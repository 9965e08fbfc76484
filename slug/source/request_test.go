package source

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

func pkt(lines ...string) string {
	var b strings.Builder
	for _, l := range lines {
		if l == "" {
			b.WriteString("0000")
			continue
		}
		fmt.Fprintf(&b, "%04x%s", len(l)+4, l)
	}
	return b.String()
}

var (
	zero = strings.Repeat("0", 40)
	ones = strings.Repeat("1", 40)
	twos = strings.Repeat("2", 40)
)

func TestDecodeRequest(t *testing.T) {
	in := pkt("shallow "+ones, "shallow "+twos+"\n", zero+" "+ones+" refs/heads/main\x00 report-status side-band-64k object-format=sha1 agent=git/2.39.5", ones+" "+zero+" refs/tags/a b\n", "") + "PACK"
	r := strings.NewReader(in)
	req, err := decodeRequest(r)
	if err != nil {
		t.Fatal(err)
	}
	if len(req.shallow) != 2 || len(req.commands) != 2 || req.shallow[1].String() != twos {
		t.Errorf("got %+v", req)
	}
	if c := req.commands[0]; c.Name != plumbing.Main || c.New.String() != ones || !c.Old.IsZero() {
		t.Errorf("first command: %+v", c)
	}
	if c := req.commands[1]; c.Name != "refs/tags/a b" || c.Old.String() != ones {
		t.Errorf("second command: %+v", c)
	}
	if !req.caps.Supports("side-band-64k") || req.caps.Supports("atomic") {
		t.Errorf("capabilities: %s", req.caps)
	}
	if rest, _ := io.ReadAll(r); string(rest) != "PACK" {
		t.Errorf("%q is left, want the pack", rest)
	}
	if _, err := decodeRequest(strings.NewReader("")); err != io.EOF {
		t.Errorf("no request: %v", err)
	}
	if req, err := decodeRequest(strings.NewReader("0000")); err != nil || len(req.commands) != 0 {
		t.Errorf("empty request: %v", err)
	}
	many := strings.Repeat(pkt(zero+" "+ones+" refs/heads/x"), maxCommands+1)
	for _, bad := range []string{
		"zzzz", "0003", pkt("shallow " + ones), pkt("shallow x", ""), pkt("push-cert\x00", ""), pkt(zero+" "+zero+" refs/heads/main", ""),
		pkt(zero + " " + ones + " refs/heads/main"), pkt(zero+" "+ones+"  ", "")[:60], pkt(zero+"-"+ones+" refs/heads/main", ""),
		pkt(zero+" "+strings.Repeat("g", 40)+" refs/heads/main", ""), pkt(zero+" "+ones+" refs/heads/a\nb", ""), many,
	} {
		if req, err := decodeRequest(strings.NewReader(bad)); err == nil || err == io.EOF {
			t.Errorf("%.80q was taken for %+v", bad, req)
		}
	}
}

func FuzzDecodeRequest(f *testing.F) {
	f.Add([]byte(pkt("shallow "+ones+"\n", zero+" "+ones+" refs/heads/main\x00report-status", "") + "PACK"))
	f.Add([]byte(pkt(ones+" "+zero+" refs/heads/main", "")))
	f.Add([]byte("0004"))
	f.Add([]byte("0000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		req, err := decodeRequest(r)
		if err != nil {
			return
		}
		// What was read says the same when it is written again.
		var again strings.Builder
		for _, h := range req.shallow {
			again.WriteString(pkt("shallow " + h.String()))
		}
		for i, c := range req.commands {
			line := fmt.Sprintf("%s %s %s", c.Old, c.New, c.Name)
			if i == 0 {
				line += "\x00" + req.caps.String()
			}
			if len(line) > 65516 {
				return // capabilities may come back longer
			}
			again.WriteString(pkt(line))
		}
		again.WriteString("0000")
		second, err := decodeRequest(strings.NewReader(again.String()))
		if err != nil || len(second.commands) != len(req.commands) || len(second.shallow) != len(req.shallow) || second.caps.String() != req.caps.String() {
			t.Errorf("%q became %q: %v", b, again.String(), err)
		}
		for i, c := range req.commands {
			if *second.commands[i] != *c {
				t.Errorf("command %v became %v", c, second.commands[i])
			}
		}
	})
}

func FuzzShallowLine(f *testing.F) {
	f.Add("shallow " + ones)
	f.Add("shallow " + ones + "\n")
	f.Add("shallow  " + ones)
	f.Fuzz(func(t *testing.T, line string) {
		if len(line) > 1000 || line == "" {
			return
		}
		req, err := decodeRequest(strings.NewReader(pkt(line, "")))
		hash, isShallow := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "shallow ")
		if isShallow && err == nil && (len(req.shallow) != 1 || req.shallow[0].String() != strings.ToLower(hash)) {
			t.Errorf("%q gave %v", line, req.shallow)
		}
		if isShallow && err == nil && len(hash) != 40 {
			t.Errorf("%q was accepted", line)
		}
	})
}
