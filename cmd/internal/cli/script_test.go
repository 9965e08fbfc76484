package cli_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"paas/api"
	"paas/api/auth"
	"paas/api/store"
	"paas/cmd/internal/cli"
	"paas/dyno/dynotest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"paas": func() { os.Exit(cli.Main(os.Args[1:])) }})
}

// scriptTester lets a world belong to a script.
type scriptTester struct{ *testscript.Env }

func (s scriptTester) Fatal(args ...any) { s.T().Fatal(args...) }
func (s scriptTester) Log(args ...any)   { s.T().Log(args...) }
func (s scriptTester) Cleanup(f func())  { s.Defer(f) }

// The scripts run the real CLI, as its own process, against a world of their
// own. $API is its address and the file token holds a token for it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			w := newWorld(scriptTester{env}, env.Getenv("TMPDIR"))
			env.Values["world"] = w
			home := filepath.Join(env.WorkDir, "home")
			env.Setenv("HOME", home)
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(home, ".config"))
			env.Setenv("GIT_CONFIG_NOSYSTEM", "1")
			env.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(env.WorkDir))
			env.Setenv("API", w.http.URL)
			env.Setenv("EMAIL", email)
			env.Setenv("LISTEN", dynotest.Listen)
			env.Setenv("TZ", "UTC")
			if err := os.MkdirAll(home, 0o700); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(env.WorkDir, "token"), []byte(w.token+"\n"), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "deploy": deploy, "up": up, "break": breakCommit, "log": logLine, "password": setPassword,
			"procfile": procfile, "run-waits": runWaits,
		},
	})
}

func worldOf(ts *testscript.TestScript) *world { return ts.Value("world").(*world) }

// exits N PROGRAM ARGS...: the program must end with that status.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// [!] deploy APP COMMIT PROCFILE: what a push does.
func deploy(ts *testscript.TestScript, neg bool, args []string) {
	err := worldOf(ts).deploy(args[0], args[1], ts.ReadFile(args[2]))
	if (err != nil) != neg {
		ts.Fatalf("deploy: %v", err)
	}
}

// procfile FILE TYPE COMMAND...: a Procfile of pairs. "listen" is a command of
// the fake runtime.
func procfile(ts *testscript.TestScript, _ bool, args []string) {
	text := ""
	for i := 1; i < len(args); i += 2 {
		if args[i+1] == "listen" {
			args[i+1] = dynotest.Listen
		}
		text += args[i] + ": " + args[i+1] + "\n"
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// up APP TYPE N: waits until exactly N dynos of the type are there, and up.
func up(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	worldOf(ts).untilUp(args[0], args[1], n)
}

// run-waits APP: waits until no one-off dyno of the app is left.
func runWaits(ts *testscript.TestScript, _ bool, args []string) {
	worldOf(ts).untilUp(args[0], "run", 0)
}

// break COMMIT: dynos of that commit no longer start.
func breakCommit(ts *testscript.TestScript, _ bool, args []string) {
	worldOf(ts).builder.breakCommit(args[0])
}

// log APP PROC TEXT: the app prints a line.
func logLine(ts *testscript.TestScript, _ bool, args []string) {
	w := worldOf(ts)
	w.logs.Write(w.app(args[0]).ID, api.LogLine{Time: time.Now(), Source: api.SourceApp, Proc: args[1], Message: args[2]})
}

// password TEXT: gives the account a password.
func setPassword(ts *testscript.TestScript, _ bool, args []string) {
	w := worldOf(ts)
	hash, err := auth.NewPasswords().Hash(w.ctx, args[0])
	ts.Check(err)
	ts.Check(w.store.Update(w.ctx, func(tx store.Tx) error { return tx.SetPasswordHash(w.who.Account.ID, hash) }))
}
