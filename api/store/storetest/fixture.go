package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"paas/api"
	"paas/api/store"
)

// t0 is when everything here happens; later things are at at(1), at(2) ...
var t0 = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)

func at(seconds int) time.Time { return t0.Add(time.Duration(seconds) * time.Second) }

// update runs fn, which must not fail.
func update(t *testing.T, s store.Store, fn func(store.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

// view runs fn, which must not fail.
func view(t *testing.T, s store.Store, fn func(store.Tx) error) {
	t.Helper()
	if err := s.View(t.Context(), fn); err != nil {
		t.Fatalf("View: %v", err)
	}
}

// read returns what fn reads in a View.
func read[T any](t *testing.T, s store.Store, fn func(store.Tx) (T, error)) T {
	t.Helper()
	var v T
	view(t, s, func(tx store.Tx) (err error) {
		v, err = fn(tx)
		return err
	})
	return v
}

// equal compares, taking nil and empty lists as the same.
func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if g, w := reflect.ValueOf(got), reflect.ValueOf(want); g.Kind() == reflect.Slice && g.Len() == 0 && w.Len() == 0 {
		return
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s\n got %+v\nwant %+v", what, got, want)
	}
}

// conflicts checks that err is a ConflictError of that rule.
func conflicts(t *testing.T, what string, err error, rule string) {
	t.Helper()
	var c *store.ConflictError
	if !errors.As(err, &c) {
		t.Errorf("%s: got %v, want conflict %q", what, err, rule)
	} else if c.Rule != rule {
		t.Errorf("%s: got conflict %q, want %q", what, c.Rule, rule)
	}
}

// missing checks that err is ErrNotFound.
func missing(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%s: got %v, want ErrNotFound", what, err)
	}
}

// attempt runs one step in a transaction of its own and returns its error.
func attempt(t *testing.T, s store.Store, fn func(store.Tx) error) error {
	t.Helper()
	return s.Update(t.Context(), fn)
}

// ids extracts one field of a list.
func ids[T any](list []T, id func(T) string) []string {
	out := make([]string, 0, len(list))
	for _, v := range list {
		out = append(out, id(v))
	}
	return out
}

func reversed(list []string) []string {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

func account(n int) api.Account {
	return api.Account{
		ID: fmt.Sprintf("account-%d", n), Email: fmt.Sprintf("person%d@example.com", n), Name: fmt.Sprintf("Person %d", n),
		CreatedAt: at(n), UpdatedAt: at(n),
	}
}

func app(n int) api.App {
	return api.App{
		ID: fmt.Sprintf("app-%d", n), Name: fmt.Sprintf("name-%d", n), OwnerID: account(1).ID, Stack: "heroku-22", Current: 1,
		Buildpacks: []string{"heroku/nodejs", "https://example.com/a.git#v1"}, CreatedAt: at(n), UpdatedAt: at(n), ReleasedAt: at(n),
	}
}

func build(app api.App, n int, status api.Status) api.Build {
	return api.Build{
		ID: fmt.Sprintf("%s-build-%d", app.ID, n), AppID: app.ID, Status: status, Commit: fmt.Sprintf("%040x", n),
		Stack: "heroku-22", Buildpacks: []string{"heroku/go"}, AuthorID: account(1).ID, AuthorEmail: account(1).Email,
		CreatedAt: at(n), UpdatedAt: at(n),
	}
}

func slug(app api.App, n int) api.Slug {
	return api.Slug{
		ID: fmt.Sprintf("%s-slug-%d", app.ID, n), AppID: app.ID, Digest: fmt.Sprintf("sha256:%064x", n), Key: fmt.Sprintf("key-%d", n),
		Size: int64(n) << 33, Stack: "heroku-22", Commit: fmt.Sprintf("%040x", n), CommitDescription: "Make it work",
		Description: "Go", Processes: []api.ProcessType{{Name: "web", Command: "bin/web -p $PORT"}, {Name: "release", Command: "bin/migrate"}},
		Buildpacks: []string{"heroku/go"}, AuthorID: account(1).ID, CreatedAt: at(n),
	}
}

func release(app api.App, version int, status api.Status) api.Release {
	return api.Release{
		ID: fmt.Sprintf("%s-v%d", app.ID, version), AppID: app.ID, Version: version, Description: fmt.Sprintf("Deploy %08x", version),
		Status: status, AuthorID: account(1).ID, AuthorEmail: account(1).Email, OutputID: fmt.Sprintf("output-%d", version),
		CreatedAt: at(version), UpdatedAt: at(version),
	}
}

// seed makes account 1 and apps 1 to n, each with its release v1.
func seed(t *testing.T, s store.Store, n int) []api.App {
	t.Helper()
	var made []api.App
	update(t, s, func(tx store.Tx) error {
		if err := tx.CreateAccount(account(1)); err != nil {
			return err
		}
		for i := 1; i <= n; i++ {
			a := app(i)
			if err := tx.CreateApp(a); err != nil {
				return err
			}
			if err := tx.CreateRelease(release(a, 1, api.Succeeded), nil); err != nil {
				return err
			}
			made = append(made, a)
		}
		return nil
	})
	return made
}
