package storetest

import (
	"strings"
	"testing"
	"time"

	"paas/api"
	"paas/api/store"
)

// orphans: a row cannot be made without the one it belongs to.
func orphans(t *testing.T, s store.Store) {
	made := seed(t, s, 2)
	ghost := app(99)
	homeless := app(3)
	homeless.OwnerID = "nobody"
	foreign := release(made[0], 2, api.Succeeded)
	foreign.SlugID = slug(made[1], 1).ID
	update(t, s, func(tx store.Tx) error { return tx.CreateSlug(slug(made[1], 1)) })
	for what, step := range map[string]func(store.Tx) error{
		"key": func(tx store.Tx) error { return tx.CreateKey(api.Key{ID: "k", AccountID: "nobody", Fingerprint: "f"}) },
		"authorization": func(tx store.Tx) error {
			return tx.CreateAuthorization(api.Authorization{ID: "a", AccountID: "nobody"}, []byte("h"))
		},
		"app": func(tx store.Tx) error { return tx.CreateApp(homeless) },
		"collaborator": func(tx store.Tx) error {
			return tx.AddCollaborator(api.Collaborator{AppID: made[0].ID, AccountID: "nobody"})
		},
		"collaborator's app": func(tx store.Tx) error {
			return tx.AddCollaborator(api.Collaborator{AppID: ghost.ID, AccountID: account(1).ID})
		},
		"formation":             func(tx store.Tx) error { return tx.PutFormation(api.Formation{ID: "f", AppID: ghost.ID, Type: "web"}) },
		"build":                 func(tx store.Tx) error { return tx.CreateBuild(build(ghost, 1, api.Pending)) },
		"slug":                  func(tx store.Tx) error { return tx.CreateSlug(slug(ghost, 1)) },
		"release":               func(tx store.Tx) error { return tx.CreateRelease(release(ghost, 1, api.Succeeded), nil) },
		"slug of another app":   func(tx store.Tx) error { return tx.CreateRelease(foreign, nil) },
		"app given to a nobody": func(tx store.Tx) error { a := made[0]; a.OwnerID = "nobody"; return tx.UpdateApp(a) },
	} {
		missing(t, what, attempt(t, s, step))
	}
}

// notFound: what is not there is ErrNotFound, everywhere.
func notFound(t *testing.T, s store.Store) {
	seed(t, s, 1)
	for what, step := range map[string]func(store.Tx) error{
		"Account":             func(tx store.Tx) error { _, err := tx.Account("x"); return err },
		"AccountByEmail":      func(tx store.Tx) error { _, err := tx.AccountByEmail("x"); return err },
		"AccountByEmail odd":  func(tx store.Tx) error { _, err := tx.AccountByEmail("\xff\x00"); return err },
		"UpdateAccount":       func(tx store.Tx) error { return tx.UpdateAccount(account(9)) },
		"PasswordHash":        func(tx store.Tx) error { _, err := tx.PasswordHash("x"); return err },
		"SetPasswordHash":     func(tx store.Tx) error { return tx.SetPasswordHash("x", "y") },
		"DeleteKey":           func(tx store.Tx) error { return tx.DeleteKey(account(1).ID, "x") },
		"KeyByFingerprint":    func(tx store.Tx) error { _, err := tx.KeyByFingerprint("x"); return err },
		"DeleteAuthorization": func(tx store.Tx) error { return tx.DeleteAuthorization(account(1).ID, "x") },
		"AuthorizationByHash": func(tx store.Tx) error { _, err := tx.AuthorizationByHash([]byte("x")); return err },
		"UpdateApp":           func(tx store.Tx) error { return tx.UpdateApp(app(9)) },
		"DeleteApp":           func(tx store.Tx) error { return tx.DeleteApp("x") },
		"App":                 func(tx store.Tx) error { _, err := tx.App("x"); return err },
		"App by name":         func(tx store.Tx) error { _, err := tx.App(app(1).Name); return err },
		"AppByName":           func(tx store.Tx) error { _, err := tx.AppByName("x"); return err },
		"AppByName case":      func(tx store.Tx) error { _, err := tx.AppByName(strings.ToUpper(app(1).Name)); return err },
		"RemoveCollaborator":  func(tx store.Tx) error { return tx.RemoveCollaborator(app(1).ID, account(1).ID) },
		"UpdateBuild":         func(tx store.Tx) error { return tx.UpdateBuild(build(app(1), 1, api.Failed)) },
		"Build":               func(tx store.Tx) error { _, err := tx.Build("x"); return err },
		"Slug":                func(tx store.Tx) error { _, err := tx.Slug("x"); return err },
		"SlugByKey":           func(tx store.Tx) error { _, err := tx.SlugByKey(app(1).ID, "x"); return err },
		"DeleteSlug":          func(tx store.Tx) error { return tx.DeleteSlug("x") },
		"UpdateRelease":       func(tx store.Tx) error { return tx.UpdateRelease(release(app(1), 9, api.Failed)) },
		"Release":             func(tx store.Tx) error { _, err := tx.Release("x"); return err },
		"ReleaseByVersion":    func(tx store.Tx) error { _, err := tx.ReleaseByVersion(app(1).ID, 2); return err },
		"LatestRelease":       func(tx store.Tx) error { _, err := tx.LatestRelease("x"); return err },
		"ReleaseConfig":       func(tx store.Tx) error { _, err := tx.ReleaseConfig("x"); return err },
	} {
		missing(t, what, attempt(t, s, step))
		// It is an answer, not a failure: the transaction goes on.
		equal(t, what+" handled", attempt(t, s, func(tx store.Tx) error {
			missing(t, what, step(tx))
			return nil
		}), nil)
	}
}

func emptyLists(t *testing.T, s store.Store) {
	view(t, s, func(tx store.Tx) error {
		for what, n := range map[string]int{
			"Accounts":        count(tx.Accounts()),
			"Keys":            count(tx.Keys("x")),
			"Authorizations":  count(tx.Authorizations("x")),
			"Apps":            count(tx.Apps()),
			"Collaborators":   count(tx.Collaborators("x")),
			"Formation":       count(tx.Formation("x")),
			"Builds":          count(tx.Builds("x", 0)),
			"PendingBuilds":   count(tx.PendingBuilds()),
			"Slugs":           count(tx.Slugs("x", 3)),
			"SlugDigests":     count(tx.SlugDigests()),
			"Releases":        count(tx.Releases("x", 0)),
			"PendingReleases": count(tx.PendingReleases()),
		} {
			equal(t, what, n, 0)
		}
		return nil
	})
}

// odd is text that careless storage changes.
var odd = []string{
	"", " ", " padded ", "'; DROP TABLE apps; --", `"quoted" \ back`, "日本語", "e\u0301 combined", "\U0001F600", "\uFEFFbom",
	"a\tb\nc\r\n", "\u2028", "<b>&amp;</b>", "%s %d ?1 :a @b $c", "\x1b[31mred", strings.Repeat("長", 5000),
}

func oddText(t *testing.T, s store.Store) {
	a := seed(t, s, 1)[0]
	for i, text := range odd {
		b := build(a, i+1, api.Failed)
		b.Reason, b.Commit, b.Buildpacks = text, text, []string{text, "", text}
		v := slug(a, i+1)
		v.Description, v.CommitDescription = text, text
		v.Processes = []api.ProcessType{{Name: "z", Command: text}, {Name: "a", Command: text}}
		update(t, s, func(tx store.Tx) error {
			if err := tx.CreateBuild(b); err != nil {
				return err
			}
			return tx.CreateSlug(v)
		})
		equal(t, "build", read(t, s, func(tx store.Tx) (api.Build, error) { return tx.Build(b.ID) }), b)
		equal(t, "slug", read(t, s, func(tx store.Tx) (api.Slug, error) { return tx.Slug(v.ID) }), v)
	}
	// For people to read: repaired.
	for text, want := range map[string]string{"caf\xe9": "caf\uFFFD", "a\x00b": "a\uFFFDb"} {
		v := slug(a, 99)
		v.ID += text[:1]
		v.CommitDescription = text
		update(t, s, func(tx store.Tx) error { return tx.CreateSlug(v) })
		equal(t, "repaired", read(t, s, func(tx store.Tx) (api.Slug, error) { return tx.Slug(v.ID) }).CommitDescription, want)
	}
}

// refusedText: what decides something is kept as it is or not at all.
func refusedText(t *testing.T, s store.Store) {
	a := seed(t, s, 1)[0]
	for _, bad := range []string{"caf\xe9", "a\x00b", "\x00", "\xed\xa0\x80"} {
		for what, step := range map[string]func(store.Tx) error{
			"app name":   func(tx store.Tx) error { v := app(2); v.Name = bad; return tx.CreateApp(v) },
			"e-mail":     func(tx store.Tx) error { v := account(2); v.Email = bad; return tx.CreateAccount(v) },
			"buildpacks": func(tx store.Tx) error { v := app(2); v.Buildpacks = []string{"ok", bad}; return tx.CreateApp(v) },
			"command": func(tx store.Tx) error {
				v := slug(a, 1)
				v.Processes = []api.ProcessType{{Name: "web", Command: bad}}
				return tx.CreateSlug(v)
			},
			"process type": func(tx store.Tx) error {
				v := slug(a, 1)
				v.Processes = []api.ProcessType{{Name: bad, Command: "x"}}
				return tx.CreateSlug(v)
			},
			"config value": func(tx store.Tx) error {
				return tx.CreateRelease(release(a, 2, api.Succeeded), api.ConfigVars{"SECRET": "s3cret" + bad})
			},
			"config name": func(tx store.Tx) error {
				return tx.CreateRelease(release(a, 2, api.Succeeded), api.ConfigVars{bad: ""})
			},
		} {
			err := attempt(t, s, step)
			if err == nil {
				t.Errorf("%s %q was kept", what, bad)
			} else if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error tells a config var's value: %v", err)
			}
		}
	}
	equal(t, "apps", len(read(t, s, store.Tx.Apps)), 1)
	equal(t, "releases", len(read(t, s, func(tx store.Tx) ([]api.Release, error) { return tx.Releases(a.ID, 0) })), 1)
}

func times(t *testing.T, s store.Store) {
	for i, c := range []struct{ in, want time.Time }{
		{time.Time{}, time.Time{}},
		{time.UnixMilli(0), time.UnixMilli(0).UTC()},
		{time.Date(1969, 12, 31, 23, 59, 59, 999_000_000, time.UTC), time.Date(1969, 12, 31, 23, 59, 59, 999_000_000, time.UTC)},
		{t0.Add(999 * time.Microsecond), t0},
		{time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)},
		{t0.In(time.FixedZone("", 5*3600)), t0},
	} {
		a := account(i)
		a.CreatedAt, a.UpdatedAt = c.in, c.in
		update(t, s, func(tx store.Tx) error { return tx.CreateAccount(a) })
		got := read(t, s, func(tx store.Tx) (api.Account, error) { return tx.Account(a.ID) })
		equal(t, "created", got.CreatedAt, c.want)
		equal(t, "updated", got.UpdatedAt, c.want)
	}
}

func bigValues(t *testing.T, s store.Store) {
	a := seed(t, s, 1)[0]
	config := api.ConfigVars{"BIG": strings.Repeat("x", api.MaxConfigBytes)}
	v := slug(a, 1)
	v.Size = 1<<63 - 1
	for range 200 {
		v.Processes = append(v.Processes, api.ProcessType{Name: "p", Command: strings.Repeat("c", 1000)})
	}
	update(t, s, func(tx store.Tx) error {
		if err := tx.CreateSlug(v); err != nil {
			return err
		}
		return tx.CreateRelease(release(a, 2, api.Succeeded), config)
	})
	if got := read(t, s, func(tx store.Tx) (api.Slug, error) { return tx.Slug(v.ID) }); got.Size != v.Size || len(got.Processes) != len(v.Processes) {
		t.Errorf("slug: size %d, %d processes", got.Size, len(got.Processes))
	}
	got := read(t, s, func(tx store.Tx) (api.ConfigVars, error) { return tx.ReleaseConfig(release(a, 2, "").ID) })
	if !equalVars(got, config) {
		t.Error("big config var changed")
	}
}
