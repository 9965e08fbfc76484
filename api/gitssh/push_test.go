package gitssh_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paas/api"
	"paas/api/gitssh"
	"paas/slug/source"
)

func TestFirstAndSecondPush(t *testing.T) {
	h := newHost(t, nil)
	c := h.client(t)
	first := c.commit(t, "Say hello\n\nMore.", "app.js", "one", "bin/run", "#!/bin/sh\n")
	if err := os.Chmod(c.dir+"/bin/run", 0o755); err != nil {
		t.Fatal(err)
	}
	first = c.commit(t, "Say hello\n\nMore.")
	out := c.git(t, "push", "paas", "main")
	contains(t, out, "remote: Updated 2 paths from "+first[:7], "remote: Compressing source files... done.",
		"remote: -----> Building myapp", "remote:        Released v2", "* [new branch]      main -> main")
	d := h.last()
	if d.email != "alice@example.com" || d.commit != first || d.desc != "Say hello" || d.push.Ref != "refs/heads/main" || d.push.New != first {
		t.Errorf("deploy: %+v", d)
	}
	if d.files["app.js"] != "one" || d.files["bin/run"] != "x #!/bin/sh\n" || len(d.files) != 2 {
		t.Errorf("files: %q", d.files)
	}
	second := c.commit(t, "Edit", "app.js", "two")
	contains(t, c.git(t, "push", "paas", "main"), first[:7]+".."+second[:7])
	if got := h.last().files["app.js"]; got != "two" {
		t.Errorf("app.js = %q", got)
	}
	if got := h.server(t, "rev-parse", "main"); got != second {
		t.Errorf("main = %s, want %s", got, second)
	}
	contains(t, c.git(t, "push", "paas", "main"), "Everything up-to-date")
	if h.count() != 2 {
		t.Errorf("%d deploys", h.count())
	}
	h.clean(t)
}

func TestForcePushAndEmptyCommit(t *testing.T) {
	h := newHost(t, nil)
	c := h.client(t)
	first := c.commit(t, "one", "a", "1")
	c.commit(t, "two", "a", "2")
	c.git(t, "push", "paas", "main")
	// Back to an ancestor: refused without force, and nothing needs sending.
	c.git(t, "reset", "-q", "--hard", first)
	contains(t, c.refused(t, "push", "paas", "main"), "rejected", "non-fast-forward")
	contains(t, c.git(t, "push", "-f", "paas", "main"), "(forced update)")
	if got := h.last(); got.commit != first || got.files["a"] != "1" {
		t.Errorf("deployed %s %q", got.commit, got.files)
	}
	empty := c.commit(t, "nothing new")
	c.git(t, "push", "paas", "main")
	if got := h.last(); got.commit != empty || got.files["a"] != "1" {
		t.Errorf("deployed %s %q", got.commit, got.files)
	}
	h.clean(t)
}

func TestRejectedPushLeavesNothing(t *testing.T) {
	h := newHost(t, nil)
	c := h.client(t)
	first := c.commit(t, "one", "a", "1")
	c.git(t, "push", "paas", "main")
	second := c.commit(t, "two", "a", "2")
	h.onDeploy(func(_ context.Context, d gitssh.Deploy) error {
		fmt.Fprint(d.Output, " !     Push rejected, failed to compile Node.js app.\n")
		return errors.New("compile failed")
	})
	out := c.refused(t, "push", "paas", "main")
	contains(t, out, "remote:  !     Push rejected, failed to compile Node.js app.", "! [remote rejected] main -> main (pre-receive hook declined)")
	if strings.Contains(out, "compile failed") || strings.Contains(out, "Internal") {
		t.Errorf("the internal error is shown, or a second explanation:\n%s", out)
	}
	if got := h.server(t, "rev-parse", "main"); got != first {
		t.Errorf("main moved to %s", got)
	}
	if out := h.server(t, "cat-file", "--batch-check", "--batch-all-objects"); strings.Contains(out, second) {
		t.Error("the rejected commit was kept")
	}
	// Silent errors are explained here.
	h.onDeploy(func(context.Context, gitssh.Deploy) error {
		return api.Errorf(api.Conflict, "Another build of myapp is in progress.")
	})
	contains(t, c.refused(t, "push", "paas", "main"), "remote:  !     Another build of myapp is in progress.")
	// The same commit can be pushed again.
	h.onDeploy(nil)
	c.git(t, "push", "paas", "main")
	if got := h.last().commit; got != second {
		t.Errorf("deployed %s", got)
	}
	h.clean(t)
}

func TestBranchesAndTags(t *testing.T) {
	h := newHost(t, nil)
	c := h.client(t)
	c.commit(t, "one", "a", "1")
	contains(t, c.git(t, "push", "paas", "main:feature/x"), "remote: Pushed to non-master branch, skipping build.", "[new branch]")
	c.git(t, "tag", "v1")
	c.git(t, "tag", "-a", "-m", "annotated", "v2")
	contains(t, c.git(t, "push", "paas", "v1", "v2"), "[new tag]", "[new tag]")
	if h.count() != 0 {
		t.Fatalf("%d deploys", h.count())
	}
	c.git(t, "push", "paas", "main:master")
	if got := h.last().push.Ref; got != "refs/heads/master" {
		t.Errorf("deployed %s", got)
	}
	// main and master with one commit are one deploy.
	c.commit(t, "two", "a", "2")
	c.git(t, "push", "paas", "main", "main:master", "main:other")
	if h.count() != 2 {
		t.Errorf("%d deploys, want 2", h.count())
	}
	contains(t, c.git(t, "push", "paas", "--delete", "feature/x", "v1"), "[deleted]", "[deleted]")
	contains(t, c.refused(t, "push", "paas", "--delete", "main"), "remote:  !     main cannot be deleted", "(deletion of the deploy branch prohibited)")
	contains(t, c.refused(t, "push", "paas", "main:refs/notes/x"), "(only branches and tags can be pushed)")
	blob := strings.TrimSpace(c.git(t, "hash-object", "-w", "a"))
	contains(t, c.refused(t, "push", "paas", blob+":refs/heads/blob"), "(not a commit)")
	// A name that is in the way is found before the deploy, not after it.
	for _, name := range []string{"refs/heads/main/x", "refs/tags/v2/x"} {
		contains(t, c.refused(t, "push", "paas", "main:"+name), "(its name is in the way of another branch or tag")
	}
	if got := h.server(t, "for-each-ref", "--format=%(refname)"); got != "refs/heads/main\nrefs/heads/master\nrefs/heads/other\nrefs/tags/v2" {
		t.Errorf("refs: %s", got)
	}
	h.clean(t)
}

func TestDeployBranchInTheWay(t *testing.T) {
	h := newHost(t, nil)
	c := h.client(t)
	c.commit(t, "one", "a", "1")
	c.git(t, "push", "paas", "main:main/x")
	contains(t, c.refused(t, "push", "paas", "main"), "(its name is in the way of another branch or tag")
	if h.count() != 0 {
		t.Error("it was deployed although its branch cannot be")
	}
	c.git(t, "push", "paas", "--delete", "main/x")
	c.git(t, "push", "paas", "main")
	h.clean(t)
}

func TestAtomicPush(t *testing.T) {
	h := newHost(t, nil)
	c := h.client(t)
	c.commit(t, "one", "a", "1")
	h.onDeploy(func(_ context.Context, d gitssh.Deploy) error { return errors.New("no") })
	contains(t, c.refused(t, "push", "--atomic", "paas", "main", "main:side"), "remote rejected")
	if got := h.server(t, "for-each-ref"); got != "" {
		t.Errorf("refs: %s", got)
	}
	contains(t, c.refused(t, "push", "paas", "main", "main:side"), "[new branch]      main -> side", "pre-receive hook declined")
	if got := h.server(t, "for-each-ref", "--format=%(refname)"); got != "refs/heads/side" {
		t.Errorf("refs: %s", got)
	}
	h.clean(t)
}

// A CI job has a shallow clone; the platform needs only the tip's tree. The
// history that is missing then must not get in the way of those who have it.
func TestShallowClones(t *testing.T) {
	for _, depth := range []string{"1", "50"} {
		t.Run("depth "+depth, func(t *testing.T) {
			h := newHost(t, nil)
			full := h.client(t)
			for i := range 60 {
				full.commit(t, fmt.Sprint(i), "a", fmt.Sprint(i))
				if i%7 == 3 { // merges make for several cuts
					full.git(t, "checkout", "-q", "-b", fmt.Sprint("b", i), "HEAD~2")
					full.commit(t, fmt.Sprint("side ", i), fmt.Sprint("side", i), "x")
					full.git(t, "checkout", "-q", "main")
					full.git(t, "merge", "-q", "--no-edit", fmt.Sprint("b", i))
				}
			}
			shallow := &client{h: h, dir: t.TempDir(), key: "alice"}
			shallow.git(t, "clone", "-q", "--depth", depth, "file://"+full.dir, ".")
			shallow.git(t, "remote", "add", "paas", "git@127.0.0.1:myapp.git")
			shallow.git(t, "push", "paas", "main")
			if got := h.last(); got.commit != full.head(t) || got.files["a"] != "59" {
				t.Fatalf("deployed %s %q", got.commit, got.files)
			}
			h.clean(t)
			shallow.commit(t, "from CI", "a", "ci")
			shallow.git(t, "push", "paas", "main")
			h.clean(t)

			// Somebody with the history goes back to where the server has none:
			// told to push again, and then all of it is sent.
			back := strings.TrimSpace(full.git(t, "rev-list", "--max-parents=0", "HEAD"))
			full.git(t, "fetch", "-q", "paas")
			contains(t, full.refused(t, "push", "-f", "paas", back+":refs/heads/main"), "Push again, git will then send all of it.")
			full.git(t, "push", "-f", "paas", back+":refs/heads/main")
			if got := h.last().commit; got != back {
				t.Fatalf("deployed %s", got)
			}
			h.clean(t)
			full.git(t, "push", "-f", "paas", "main")
			h.clean(t)
		})
	}
}

// A shallow push to a repository that has the history must not hide it.
func TestShallowPushKeepsHistory(t *testing.T) {
	h := newHost(t, nil)
	full := h.client(t)
	for i := range 5 {
		full.commit(t, fmt.Sprint(i), "a", fmt.Sprint(i))
	}
	full.git(t, "push", "paas", "main")
	shallow := &client{h: h, dir: t.TempDir(), key: "alice"}
	shallow.git(t, "clone", "-q", "--depth", "2", "file://"+full.dir, ".")
	shallow.git(t, "remote", "add", "paas", "git@127.0.0.1:myapp.git")
	shallow.commit(t, "more", "b", "b")
	shallow.git(t, "push", "paas", "main")
	if got := h.server(t, "rev-list", "--count", "main"); got != "6" {
		t.Errorf("the server counts %s commits, want 6", got)
	}
	h.clean(t)
}

func TestTwoPushesAtOnce(t *testing.T) {
	h := newHost(t, nil)
	one, two := h.client(t), h.client(t)
	one.commit(t, "one", "a", "1")
	two.commit(t, "two", "a", "2")
	building, finish := make(chan struct{}), make(chan struct{})
	h.onDeploy(func(_ context.Context, d gitssh.Deploy) error {
		close(building)
		<-finish
		return nil
	})
	first := make(chan error, 1)
	go func() { _, err := one.try("push", "paas", "main"); first <- err }()
	<-building
	contains(t, two.refused(t, "push", "-f", "paas", "main"), "remote:  !     Another push is in progress", "! [remote rejected] main -> main (another push is in progress)")
	// Reading is possible meanwhile.
	two.git(t, "ls-remote", "paas")
	close(finish)
	if err := <-first; err != nil {
		t.Errorf("first push: %v", err)
	}
	h.onDeploy(nil)
	two.git(t, "push", "-f", "paas", "main")
	h.clean(t)
}

func TestCloneAndFetch(t *testing.T) {
	h := newHost(t, nil)
	c := h.client(t)
	c.commit(t, "one", "a", "1")
	c.git(t, "push", "paas", "main:master")
	other := &client{h: h, dir: t.TempDir(), key: "alice"}
	url := "ssh://git@" + h.addr + "/myapp.git"
	other.git(t, "clone", "-q", url, "w")
	other.dir = filepath.Join(other.dir, "w")
	if b, err := os.ReadFile(filepath.Join(other.dir, "a")); err != nil || string(b) != "1" {
		t.Fatalf("clone of the deployed branch: %q, %v", b, err)
	}
	second := c.commit(t, "two", "a", "2")
	c.git(t, "push", "paas", "main:master")
	other.git(t, "-c", "protocol.version=0", "pull", "-q")
	if got := other.head(t); got != second {
		t.Errorf("pulled %s", got)
	}
	if out := c.git(t, "-c", "protocol.version=2", "ls-remote", url); !strings.Contains(out, second) {
		t.Errorf("ls-remote: %s", out)
	}
}

// Push with a delta against an object that only the server has.
func TestThinPack(t *testing.T) {
	h := newHost(t, nil)
	c := h.client(t)
	var long strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&long, "line %d %x\n", i, i*2654435761)
	}
	c.commit(t, "one", "long", long.String())
	c.git(t, "push", "paas", "main")
	c.commit(t, "two", "long", long.String()+"one more\n")
	trace := c.command("push", "paas", "main")
	trace.Env = append(trace.Env, "GIT_TRACE=1")
	out, err := trace.CombinedOutput()
	if err != nil {
		t.Fatalf("push: %v\n%s", err, out)
	}
	contains(t, string(out), "pack-objects", "--thin")
	h.clean(t)
	if got := h.last().files["long"]; !strings.HasPrefix(got, "line 0") {
		t.Errorf("long = %q", got)
	}
}

func TestUnusualFiles(t *testing.T) {
	h := newHost(t, nil)
	c := h.client(t)
	write(t, filepath.Join(c.dir, "target"), "content")
	for link, to := range map[string]string{"link": "target", "dangling": "no/such", "absolute": "/etc/passwd", "up": "../../../x"} {
		if err := os.Symlink(to, filepath.Join(c.dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	names := []string{"with space", "quo'te\"s", "new\nline", "tab\t", "-dash", "umläut", "bytes\xff\xfe", "*?[x]", "$(id)", "a\\b", ".hidden", "deep/er/and/deeper/f", strings.Repeat("n", 255)}
	want := map[string]string{"target": "content", "link": "-> target", "dangling": "-> no/such", "absolute": "-> /etc/passwd", "up": "-> ../../../x"}
	var files []string
	for _, n := range names {
		files = append(files, n, n)
		want[n] = n
	}
	// Attributes of the repository: export-ignore must not hide files.
	files = append(files, ".gitattributes", "*.secret export-ignore\n*.crlf text eol=crlf\n*.big filter=lfs\n", "x.secret", "s", "x.crlf", "1\n2\n", "x.big", "pointer", "empty", "")
	want[".gitattributes"], want["x.secret"], want["x.crlf"], want["x.big"], want["empty"] = files[len(files)-9], "s", "1\r\n2\r\n", "pointer", ""
	c.commit(t, "odd", files...)
	if err := os.Chmod(filepath.Join(c.dir, "with space"), 0o755); err != nil {
		t.Fatal(err)
	}
	want["with space"] = "x with space"
	c.commit(t, "exec")
	out := c.git(t, "push", "paas", "main")
	contains(t, out, fmt.Sprintf("Updated %d paths from", len(want)))
	got := h.last().files
	for name, content := range want {
		if have, ok := got[name]; !ok || have != content {
			t.Errorf("%q = %q (there: %v), want %q", name, have, ok, content)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d files, want %d", len(got), len(want))
	}
}

// A hand-made tree with names that would lead out of the work tree, or into
// git's own files.
func TestHostileTrees(t *testing.T) {
	h := newHost(t, nil)
	c := h.client(t)
	c.commit(t, "one", "a", "1")
	blob := strings.TrimSpace(c.git(t, "hash-object", "-w", "a"))
	for _, name := range []string{"..", ".git", ".GIT", "."} {
		cmd := c.command("mktree")
		cmd.Stdin = strings.NewReader("100644 blob " + blob + "\t" + name + "\n")
		tree, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		evil := strings.TrimSpace(c.git(t, "commit-tree", "-m", "evil", strings.TrimSpace(string(tree))))
		out := c.refused(t, "push", "-f", "paas", evil+":refs/heads/main")
		contains(t, out, "Push rejected: git cannot read the files of this commit", "remote rejected")
	}
	if h.count() != 0 {
		t.Errorf("%d deploys", h.count())
	}
	c.git(t, "push", "paas", "main")
	h.clean(t)
}

func TestSubmodules(t *testing.T) {
	h := newHost(t, nil)
	inner, lib, c := h.client(t), h.client(t), h.client(t)
	inner.commit(t, "inner", "deepest", "3")
	lib.commit(t, "lib", "lib.txt", "old")
	lib.git(t, "submodule", "--quiet", "add", "file://"+inner.dir, "vendor/inner")
	lib.commit(t, "with inner")
	c.commit(t, "app", "app.txt", "1")
	c.git(t, "submodule", "--quiet", "add", "file://"+lib.dir, "libs/my lib")
	c.commit(t, "with lib")
	// The submodule moves on; the commit that the app names counts.
	lib.commit(t, "newer", "lib.txt", "new")
	contains(t, c.git(t, "push", "paas", "main"), "-----> Git submodules detected, installing", "Submodule path 'libs/my lib'", "Released")
	got := h.last().files
	if got["libs/my lib/lib.txt"] != "old" || got["libs/my lib/vendor/inner/deepest"] != "3" || got["app.txt"] != "1" {
		t.Errorf("files: %q", got)
	}
	for name := range got {
		if filepath.Base(name) == ".git" {
			t.Errorf("%s was exported", name)
		}
	}
	h.clean(t)

	c.git(t, "config", "-f", ".gitmodules", "submodule.libs/my lib.url", "file:///no/such/repository")
	c.commit(t, "broken")
	contains(t, c.refused(t, "push", "paas", "main"), "Submodule libs/my lib cannot be fetched from file:///no/such/repository")
	// Over ssh nobody's keys are used, whoever runs the server.
	c.git(t, "config", "-f", ".gitmodules", "submodule.libs/my lib.url", "ssh://git@"+h.addr+"/myapp.git")
	c.commit(t, "by ssh")
	contains(t, c.refused(t, "push", "paas", "main"), "Submodule libs/my lib cannot be fetched from ssh://")
	if _, err := os.Stat(filepath.Join(h.dir, "known_hosts")); err != nil {
		t.Errorf("the host key went elsewhere: %v", err)
	}
	c.git(t, "config", "-f", ".gitmodules", "submodule.libs/my lib.url", "ext::sh -c id")
	c.commit(t, "hostile")
	contains(t, c.refused(t, "push", "paas", "main"), "Submodule libs/my lib cannot be fetched", "not ext::sh -c id")
	// A gitlink without an entry stays an empty directory, as in a clone.
	c.git(t, "rm", "-q", "--cached", ".gitmodules")
	if err := os.Remove(filepath.Join(c.dir, ".gitmodules")); err != nil {
		t.Fatal(err)
	}
	c.commit(t, "no entry")
	c.git(t, "push", "paas", "main")
	if _, ok := h.last().files["libs/my lib/"]; !ok {
		t.Errorf("files: %q", h.last().files)
	}
	h.clean(t)
}

func TestSubmodulesOfThisMachineAreRefused(t *testing.T) {
	h := newHost(t, func(_ *gitssh.Options, o *source.Options) { o.LocalSubmodules = false })
	lib, c := h.client(t), h.client(t)
	lib.commit(t, "lib", "secret", "s")
	c.commit(t, "app", "app.txt", "1")
	c.git(t, "submodule", "--quiet", "add", "file://"+lib.dir, "lib")
	for _, url := range []string{"file://" + lib.dir, lib.dir, "https://127.0.0.1:1/x.git", "git@localhost:other.git", "ssh://git@[::1]/x", "http://example.com/x", "../lib", "-u./x"} {
		c.git(t, "config", "-f", ".gitmodules", "submodule.lib.url", url)
		c.commit(t, url)
		contains(t, c.refused(t, "push", "-f", "paas", "main"), "Submodule lib cannot be fetched", "pre-receive hook declined")
	}
	if h.count() != 0 {
		t.Errorf("%d deploys", h.count())
	}
}
