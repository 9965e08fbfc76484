package sqlstore

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"paas/api"
	"paas/api/store"
)

// killedChild names the database of a child process that is to be killed.
const killedChild = "PAAS_TEST_KILLED_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(killedChild); path != "" {
		fmt.Fprintln(os.Stderr, releaseForever(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// releaseForever makes releases of several writers and prints each version
// once Update has returned.
func releaseForever(path string) error {
	ctx := context.Background()
	db, err := Open(ctx, path)
	if err != nil {
		return err
	}
	failed := make(chan error)
	for range 3 {
		go func() {
			for {
				var version int
				err := db.Update(ctx, func(tx store.Tx) error {
					a, err := tx.App("a")
					if err != nil {
						return err
					}
					version = a.Current + 1
					a.Current = version
					id := strconv.Itoa(version)
					if err := tx.CreateSlug(api.Slug{ID: "s" + id, AppID: a.ID, Digest: id}); err != nil {
						return err
					}
					r := api.Release{ID: "r" + id, AppID: a.ID, Version: version, SlugID: "s" + id}
					if err := tx.CreateRelease(r, api.ConfigVars{"VERSION": id, "PADDING": strings.Repeat(id, 200)}); err != nil {
						return err
					}
					return tx.UpdateApp(a)
				})
				if err != nil {
					failed <- err
					return
				}
				fmt.Println(version) // one write(2), whole lines only
			}
		}()
	}
	return <-failed
}

// Whatever Update acknowledged is there after kill -9, whole, and the database
// opens again as if nothing had happened.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "paas.db")
	db, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), func(tx store.Tx) error {
		if err := tx.CreateAccount(api.Account{ID: "o", Email: "o@example.com"}); err != nil {
			return err
		}
		return tx.CreateApp(api.App{ID: "a", Name: "a", OwnerID: "o"})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	last := 0
	for round := range 10 {
		acknowledged := killAfter(t, path, 1+round*13)
		if acknowledged <= last {
			t.Fatalf("round %d: acknowledged v%d after v%d", round, acknowledged, last)
		}
		db, err := Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		err = db.View(t.Context(), func(tx store.Tx) error {
			a, err := tx.App("a")
			if err != nil {
				return err
			}
			if a.Current < acknowledged {
				t.Errorf("round %d: v%d was acknowledged, v%d is there", round, acknowledged, a.Current)
			}
			last = a.Current
			releases, err := tx.Releases("a", 0)
			if err != nil {
				return err
			}
			slugs, err := tx.Slugs("a", 0)
			if err != nil {
				return err
			}
			if len(releases) != a.Current || len(slugs) != a.Current {
				t.Errorf("round %d: half a transaction: current v%d, %d releases, %d slugs", round, a.Current, len(releases), len(slugs))
			}
			for _, r := range releases {
				vars, err := tx.ReleaseConfig(r.ID)
				if err != nil {
					return err
				}
				if vars["VERSION"] != strconv.Itoa(r.Version) {
					t.Errorf("round %d: v%d has the config vars of v%s", round, r.Version, vars["VERSION"])
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		var check string
		if err := db.reader.QueryRow(`PRAGMA integrity_check`).Scan(&check); err != nil || check != "ok" {
			t.Errorf("round %d: integrity check: %q, %v", round, check, err)
		}
		if round%2 == 0 { // every other time the log is left as the kill left it
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		} else {
			t.Cleanup(func() { db.Close() })
		}
	}
}

// killAfter runs a child, kills it once it has acknowledged n releases, and
// returns the highest version that it acknowledged by then.
func killAfter(t *testing.T, path string, n int) int {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killedChild+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	highest := 0
	lines := bufio.NewScanner(out)
	for seen := 0; lines.Scan(); {
		version, err := strconv.Atoi(lines.Text())
		if err != nil {
			continue // the kill cut a line
		}
		highest = max(highest, version)
		if seen++; seen == n {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd.Wait() //nolint:errcheck // it was killed
	return highest
}
