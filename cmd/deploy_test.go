package cmd_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// One app from its first push to its end, as the README's tour has it.
func TestTour(t *testing.T) {
	i := platform(t)
	a := i.newApp(t, i.serverApp(t))
	if code, body := a.get("/"); code != http.StatusBadGateway || !strings.Contains(body, "<") {
		t.Errorf("a blank app: %d %q", code, body)
	}
	out := a.push()
	for _, want := range []string{"remote: Building source:", "-----> Building on the Heroku-22 stack", "-----> Discovering process types", "Procfile declares types", "-> web", "-----> Compressing...", "Done: ", "-----> Launching...", "Released v2", "deployed to Heroku", "Verifying deploy... done.", "main -> main"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	a.wants("one")

	// The same commit again: nothing to do. An empty commit: the same slug.
	if out := a.push(); !strings.Contains(out, "Everything up-to-date") {
		t.Error(out)
	}
	a.commit("nothing changed")
	if out := a.push(); !strings.Contains(out, "Released v3") {
		t.Error(out)
	}
	if slugs := a.slugs(); len(slugs) != 1 {
		t.Errorf("an unchanged tree made %d slugs", len(slugs))
	}
	if out := a.change(map[string]string{"VERSION": "two"}); !strings.Contains(out, "Released v4") {
		t.Error(out)
	}
	a.wants("two")
	if out := a.cmd("rollback", "v2"); !strings.Contains(out, "v5") {
		t.Error(out)
	}
	a.wants("one")
	if out := a.cmd("config:set", "GREETING=hello"); !strings.Contains(out, "v6") {
		t.Error(out)
	}
	a.wants("one hello")
	a.cmd("ps:scale", "web=2")
	eventually(t, "two dynos up", func() bool { return strings.Count(a.cmd("ps"), " up ") == 2 })
	releases := a.cmd("releases")
	for _, want := range []string{"Current: v6", "Set GREETING config vars", "Rollback to v2", "Deploy ", "Initial release"} {
		if !strings.Contains(releases, want) {
			t.Errorf("%q is missing in\n%s", want, releases)
		}
	}
	logs := a.cmd("logs", "-n", "500")
	for _, want := range []string{"app[api]: Release v2 created by user ada@example.com", "heroku[web.1]: State changed from starting to up", "heroku[router]: at=info method=GET path=\"/\"", "app[api]: Scaled to web@2:Standard-1X by user ada@example.com"} {
		if !strings.Contains(logs, want) {
			t.Errorf("%q is missing in\n%s", want, logs)
		}
	}
}

func (a *app) slugs() []map[string]any {
	a.t.Helper()
	var list []map[string]any
	if err := json.Unmarshal([]byte(a.cmd("slugs", "--json")), &list); err != nil {
		a.t.Fatal(err)
	}
	return list
}

// What does not build or come up changes nothing, says why, and can be pushed
// again.
func TestFailuresChangeNothing(t *testing.T) {
	i := platform(t)
	a := i.newApp(t, i.serverApp(t))
	a.push()
	a.wants("one")
	fail := func(files map[string]string, wants ...string) {
		t.Helper()
		a.write(files)
		a.commit("bad")
		out, err := a.tryGit("push", "paas", "main")
		if err == nil || !strings.Contains(out, "pre-receive hook declined") {
			t.Errorf("the push was not rejected: %v\n%s", err, out)
		}
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("%q is missing in\n%s", want, out)
			}
		}
		a.wants("one")
	}
	fail(map[string]string{"VERSION": "broken"}, "web.1", "this version does not start", "still current")
	fail(map[string]string{"VERSION": "two", "Procfile": "web: ./server\nrelease: echo migrating; exit 9\n"}, "migrating", "exit status 9")
	fail(map[string]string{"Procfile": "", "VERSION": "two"})
	out := a.change(map[string]string{"VERSION": "three", "Procfile": "web: ./server\nrelease: echo migrated\n"})
	if !strings.Contains(out, "migrated") {
		t.Error(out)
	}
	a.wants("three")
	if out, err := a.tryGit("push", "paas", "main:feature"); err != nil || strings.Contains(out, "Launching") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestLanguages(t *testing.T) {
	i := platform(t)
	for name, detected := range map[string]string{"go": "Go", "node": "Node.js", "php": "PHP", "static": "Static", "procfile": "Procfile"} {
		t.Run(name, func(t *testing.T) {
			files := sample(t, name)
			a := i.newApp(t, files)
			if out := a.push(); !strings.Contains(strings.ToLower(out), strings.ToLower("-----> "+detected)) {
				t.Errorf("%s is not detected:\n%s", detected, out)
			}
			a.wants("v1")
			a.commit("nothing changed")
			if out := a.push(); !strings.Contains(out, "using it again") {
				t.Errorf("an unchanged tree was built again:\n%s", out)
			}
			for file, text := range files {
				files[file] = strings.ReplaceAll(text, "v1", "v2")
			}
			a.change(files)
			a.wants("v2")
			a.cmd("rollback")
			a.wants("v1")
		})
	}
}

// sample reads one of the bundled sample apps.
func sample(t *testing.T, name string) map[string]string {
	t.Helper()
	dir := filepath.Join("paas-bench", "samples", name)
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, relErr := filepath.Rel(dir, path)
		if relErr != nil {
			return relErr
		}
		files[rel] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestRun(t *testing.T) {
	i := platform(t)
	a := i.newApp(t, i.serverApp(t))
	a.push()
	out, err := i.cli("run", "-a", a.name, "--", "bash", "-c", "echo $DYNO $HOME; id -u; exit 5").Output()
	lines := strings.Fields(string(out))
	if exit := new(exec.ExitError); !asExit(err, &exit) || exit.ExitCode() != 5 || len(lines) != 3 || !strings.HasPrefix(lines[0], "run.") || lines[1] != "/app" || lines[2] == "0" {
		t.Errorf("%v, %q", err, out)
	}
	cmd := i.cli("run", "-a", a.name, "cat")
	cmd.Stdin = strings.NewReader("through and back\n")
	if out, err := cmd.Output(); err != nil || string(out) != "through and back\n" {
		t.Errorf("%v, %q", err, out)
	}
	a.cmd("run:detached", "echo", "in the background")
	eventually(t, "the output of a detached dyno in the log", func() bool {
		return strings.Contains(a.cmd("logs"), ": in the background")
	})
}

func asExit(err error, to **exec.ExitError) bool {
	e, ok := err.(*exec.ExitError)
	if ok {
		*to = e
	}
	return ok
}

func TestSlugExport(t *testing.T) {
	i := platform(t)
	a := i.newApp(t, i.serverApp(t))
	a.push()
	file := filepath.Join(t.TempDir(), "slug.tar")
	a.cmd("slugs:export", file)
	out, err := exec.Command("skopeo", "inspect", "oci-archive:"+file).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Layers") {
		t.Fatalf("%v\n%s", err, out)
	}
	if info := a.cmd("slugs:info"); !strings.Contains(info, "sha256:") || !strings.Contains(info, "ada@example.com") || !strings.Contains(info, "./server") {
		t.Error(info)
	}
	// The same commit in another app gives the same bytes.
	b := i.newApp(t, nil)
	b.git("pull", "-q", a.dir, "main", "--allow-unrelated-histories", "--rebase=false", "-X", "theirs", "--no-edit")
	b.git("reset", "-q", "--hard", "FETCH_HEAD")
	b.push()
	if x, y := a.slugs()[0]["checksum"], b.slugs()[0]["checksum"]; x != y || x == nil {
		t.Errorf("two builds of one commit differ: %v, %v", x, y)
	}
}

var pushed = regexp.MustCompile(`Released v(\d+)`)

// Ctrl-C at the push cancels the build, and the app is free for the next push.
func TestInterruptedPush(t *testing.T) {
	i := platform(t)
	a := i.newApp(t, map[string]string{"package.json": `{"name":"x","version":"1.0.0","scripts":{"build":"echo building now; sleep 600"}}`, "Procfile": "web: true\n"})
	cmd := exec.Command("git", "push", "paas", "main")
	cmd.Dir, cmd.Env = a.dir, a.env()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's Ctrl-C reaches ssh too
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var seen strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(seen.String(), "building now") {
		n, err := out.Read(buf)
		seen.Write(buf[:n])
		if err != nil {
			t.Fatalf("the push ended: %v\n%s", err, seen.String())
		}
	}
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	eventually(t, "the build has failed", func() bool { return strings.Contains(a.cmd("builds"), "Build cancelled") })
	a.git("rm", "-q", "package.json")
	if out := a.change(i.serverApp(t)); !pushed.MatchString(out) {
		t.Error(out)
	}
	a.wants("one")
}

func TestUnknownAppsLookForeign(t *testing.T) {
	i := platform(t)
	a := i.newApp(t, i.serverApp(t))
	out, err := a.tryGit("push", fmt.Sprintf("ssh://git@%s/%s.git", i.ssh, "no-such-app"), "main")
	if err == nil || !strings.Contains(strings.ToLower(out), "no such app") {
		t.Errorf("%v\n%s", err, out)
	}
	if code, body := a.get("/"); code != http.StatusBadGateway {
		t.Errorf("%d %s", code, body)
	}
}
