package gitssh_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paas/api/gitssh"
	"paas/slug/source"
)

const mib = 1 << 20

// The memory of the server does not grow with what is pushed.
func TestBigFileInBoundedMemory(t *testing.T) {
	s, key, dir := startServer(t, true), newKey(t), t.TempDir()
	gitTo(t, dir, key, "init", "-q", "-b", "main")
	f, err := os.Create(filepath.Join(dir, "big"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(f, rand.Reader, 200*mib); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	gitTo(t, dir, key, "config", "core.compression", "0") // it is random
	gitTo(t, dir, key, "add", "big")
	gitTo(t, dir, key, "commit", "-q", "-m", "big")
	before := memory(s.cmd.Process.Pid, ownMemory)
	stop := peak(s.cmd.Process.Pid, ownMemory)
	gitTo(t, dir, key, "push", "-q", "ssh://git@"+s.addr+"/bigapp.git", "main")
	most := stop()
	t.Logf("server and its children: %d MiB before, %d MiB at most", before/mib, most/mib)
	if most > before+120*mib {
		t.Errorf("%d MiB at most for a push of 200 MiB, %d MiB before", most/mib, before/mib)
	}
}

func TestManyObjects(t *testing.T) {
	s, key, dir := startServer(t, true), newKey(t), t.TempDir()
	history(t, dir, 25_000, 200, 200) // a blob, two trees and a commit each
	if out := gitTo(t, dir, key, "count-objects", "-v"); !strings.Contains(out, "in-pack: 100") {
		t.Fatalf("not 100,000 objects:\n%s", out)
	}
	begun := time.Now()
	stop := peak(s.cmd.Process.Pid, ownMemory)
	gitTo(t, dir, key, "push", "-q", "ssh://git@"+s.addr+"/manyapp.git", "main")
	most := stop()
	t.Logf("pushed in %v, %d MiB at most", time.Since(begun), most/mib)
	if most > 300*mib {
		t.Errorf("%d MiB at most", most/mib)
	}
}

func TestTooLargePush(t *testing.T) {
	h := newHost(t, func(_ *gitssh.Options, o *source.Options) { o.MaxPack = 1 * mib })
	c := h.client(t)
	noise := make([]byte, 3*mib)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	c.commit(t, "big", "big", string(noise))
	contains(t, c.refused(t, "push", "paas", "main"), "the push is too large, 1 MiB at most")
	c.git(t, "rm", "-q", "big")
	c.git(t, "commit", "-q", "--amend", "--allow-empty", "-m", "small")
	c.git(t, "push", "paas", "main")
	h.clean(t)
}

func TestTooLargeTree(t *testing.T) {
	h := newHost(t, func(_ *gitssh.Options, o *source.Options) { o.MaxTree = 1 * mib })
	c := h.client(t)
	var files []string
	for i := range 30 { // one blob many times
		files = append(files, fmt.Sprint("f", i), strings.Repeat("x", mib/10))
	}
	c.commit(t, "bomb", files...)
	contains(t, c.refused(t, "push", "paas", "main"), "The files of this commit take more than 1 MiB", "pre-receive hook declined")
	h.clean(t)
}

// Each push adds a pack; they are put together beside the pushes.
func TestMaintenance(t *testing.T) {
	h := newHost(t, func(_ *gitssh.Options, o *source.Options) { o.PackLimit = 3 })
	c := h.client(t)
	for i := range 12 {
		c.commit(t, fmt.Sprint(i), "a", fmt.Sprint(i))
		c.git(t, "push", "-q", "paas", "main")
	}
	packs := func() int {
		list, _ := filepath.Glob(filepath.Join(h.repoDir(), "objects/pack/*.pack"))
		return len(list)
	}
	for deadline := time.Now().Add(20 * time.Second); packs() > 3; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d packs", packs())
		}
	}
	h.stop()
	h.clean(t)
	if got := h.server(t, "rev-list", "--count", "main"); got != "12" {
		t.Errorf("%s commits", got)
	}
}
