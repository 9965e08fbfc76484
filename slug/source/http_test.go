package source_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"paas/slug"
	"paas/slug/source"
)

// hook exports what it gets into dir.
type hook struct{ dir string }

func (h hook) PreReceive(ctx context.Context, p source.Push, src slug.Source, progress io.Writer) error {
	if strings.HasPrefix(src.Revision().Description, "bad") {
		fmt.Fprint(progress, " !     bad\n")
		return errors.New("bad")
	}
	fmt.Fprintf(progress, "-----> %s %s\n", p.Ref, src.Revision().Description)
	return src.Export(ctx, h.dir)
}

// serveHTTP is smart HTTP at its shortest: what a front door for it has to do.
func serveHTTP(t *testing.T, repos *source.Repos, h source.Hook) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		app, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), ".git/")
		repo, err := repos.Repo(app)
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		in := r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			if in, err = gzip.NewReader(r.Body); err != nil {
				t.Error(err)
				return
			}
		}
		c := source.Client{In: in, Out: flusher{w}, Gone: r.Context().Done(), Protocol: r.Header.Get("Git-Protocol"), Stateless: true}
		service := r.URL.Query().Get("service")
		switch path {
		case "info/refs":
			w.Header().Set("Content-Type", "application/x-"+service+"-advertisement")
			fmt.Fprintf(w, "%04x# service=%s\n0000", len(service)+15, service)
			if service == "git-receive-pack" {
				err = repo.AdvertiseReceivePack(r.Context(), w)
			} else {
				err = repo.AdvertiseUploadPack(r.Context(), c)
			}
		case "git-receive-pack":
			w.Header().Set("Content-Type", "application/x-git-receive-pack-result")
			err = repo.ReceivePack(context.WithoutCancel(r.Context()), c, h)
		case "git-upload-pack":
			w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
			err = repo.UploadPack(r.Context(), c)
		}
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

type flusher struct{ http.ResponseWriter }

func (f flusher) Write(b []byte) (int, error) {
	n, err := f.ResponseWriter.Write(b)
	f.ResponseWriter.(http.Flusher).Flush()
	return n, err
}

// The protocol does not know its transport: all of it works over HTTP, too.
func TestStatelessTransport(t *testing.T) {
	repos, err := source.Open(t.TempDir(), source.Options{})
	if err != nil {
		t.Fatal(err)
	}
	exported, work, home := t.TempDir(), t.TempDir(), t.TempDir()
	server := httptest.NewServer(serveHTTP(t, repos, hook{exported}))
	defer server.Close()
	git := func(dir string, args ...string) (string, error) {
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com"}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	must := func(dir string, args ...string) string {
		t.Helper()
		out, err := git(dir, args...)
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return out
	}
	must(work, "init", "-q", "-b", "main")
	noise := strings.Repeat("content\n", 1000)
	if err := os.WriteFile(filepath.Join(work, "a"), []byte(noise), 0o644); err != nil {
		t.Fatal(err)
	}
	must(work, "add", "a")
	must(work, "commit", "-q", "-m", "good")
	url := server.URL + "/app.git"
	// Small post buffers make git send chunks, as it does for large packs.
	if out := must(work, "-c", "http.postBuffer=1000", "push", url, "main"); !strings.Contains(out, "remote: -----> refs/heads/main good") {
		t.Errorf("push:\n%s", out)
	}
	if b, err := os.ReadFile(filepath.Join(exported, "a")); err != nil || string(b) != noise {
		t.Errorf("exported %d bytes, %v", len(b), err)
	}
	must(work, "commit", "-q", "--allow-empty", "-m", "bad one")
	if out, err := git(work, "push", url, "main"); err == nil || !strings.Contains(out, "remote:  !     bad") || !strings.Contains(out, "pre-receive hook declined") {
		t.Errorf("push of a bad commit: %v\n%s", err, out)
	}
	for _, version := range []string{"0", "2"} {
		clone := t.TempDir()
		must(clone, "-c", "protocol.version="+version, "clone", "-q", url, "w")
		if got := strings.TrimSpace(must(filepath.Join(clone, "w"), "log", "--format=%s")); got != "good" {
			t.Errorf("version %s: cloned %q", version, got)
		}
	}
}

func TestReposOnDisk(t *testing.T) {
	dir := t.TempDir()
	repos, err := source.Open(dir, source.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "..", "a/b", "-x", "a.b", strings.Repeat("a", 65)} {
		if _, err := repos.Repo(bad); err == nil {
			t.Errorf("%q is an app id", bad)
		}
		if err := repos.Delete(bad); err == nil {
			t.Errorf("%q can be deleted", bad)
		}
	}
	if repos.Size("app") != 0 {
		t.Error("no repository has a size")
	}
	first, err := repos.Repo("app")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := repos.Repo("app"); err != nil || again != first {
		t.Errorf("one repository, two locks: %v", err)
	}
	if repos.Size("app") == 0 {
		t.Error("the repository takes no space")
	}
	// What a killed process leaves is swept when the next one opens it; what
	// only looks like it stays.
	gitDir := filepath.Join(dir, "app.git")
	if err := os.MkdirAll(filepath.Join(gitDir, "objects/tmp_objdir-incoming-1/pack"), 0o700); err != nil {
		t.Fatal(err)
	}
	ref := strings.Repeat("1", 40) + "\n"
	for _, name := range []string{"refs/heads/main.lock", "packed-refs.lock", "shallow.new-1", "objects/pack/tmp_pack_x", "objects/pack/.tmp-1-pack-x.pack", "objects/tmp_objdir-incoming-1/pack/x", "refs/heads/feature.new-x", "refs/heads/tmp_x"} {
		if err := os.WriteFile(filepath.Join(gitDir, name), []byte(ref), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if repos, err = source.Open(dir, source.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := repos.Repo("app"); err != nil {
		t.Fatal(err)
	}
	var left []string
	err = filepath.WalkDir(gitDir, func(name string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(gitDir, name)
			left = append(left, rel)
		}
		return err
	})
	if got := strings.Join(left, " "); err != nil || got != "HEAD config refs/heads/feature.new-x refs/heads/tmp_x" {
		t.Errorf("left: %s, %v", got, err)
	}
	if err := repos.Delete("app"); err != nil {
		t.Fatal(err)
	}
	if err := repos.Delete("app"); err != nil {
		t.Errorf("second delete: %v", err)
	}
	if repos.Size("app") != 0 {
		t.Error("the deleted repository has a size")
	}
	if second, err := repos.Repo("app"); err != nil || second == first {
		t.Errorf("after delete: %v", err)
	}
}
