package storetest

import (
	"testing"

	"paas/api"
	"paas/api/store"
)

func apps(t *testing.T, s store.Store) {
	update(t, s, func(tx store.Tx) error {
		if err := tx.CreateAccount(account(1)); err != nil {
			return err
		}
		return tx.CreateAccount(account(2))
	})
	b, a := app(2), app(1)
	update(t, s, func(tx store.Tx) error {
		if err := tx.CreateApp(b); err != nil {
			return err
		}
		return tx.CreateApp(a)
	})
	equal(t, "App", read(t, s, func(tx store.Tx) (api.App, error) { return tx.App(a.ID) }), a)
	equal(t, "AppByName", read(t, s, func(tx store.Tx) (api.App, error) { return tx.AppByName(b.Name) }), b)
	equal(t, "Apps by name", read(t, s, store.Tx.Apps), []api.App{a, b})

	changed := api.App{
		ID: b.ID, Name: "aaa", OwnerID: account(2).ID, Stack: "heroku-24", Maintenance: true, Current: 7,
		CreatedAt: at(99), UpdatedAt: at(8), ReleasedAt: at(9),
	}
	update(t, s, func(tx store.Tx) error { return tx.UpdateApp(changed) })
	changed.CreatedAt = b.CreatedAt // never changes
	equal(t, "Apps after update", read(t, s, store.Tx.Apps), []api.App{changed, a})
}

func appName(t *testing.T, s store.Store) {
	made := seed(t, s, 2)
	taken := app(3)
	taken.Name = made[0].Name
	conflicts(t, "create", attempt(t, s, func(tx store.Tx) error { return tx.CreateApp(taken) }), store.RuleAppName)
	taken.ID = made[1].ID
	conflicts(t, "rename", attempt(t, s, func(tx store.Tx) error { return tx.UpdateApp(taken) }), store.RuleAppName)
	taken = app(3)
	taken.ID = made[0].ID
	conflicts(t, "same id", attempt(t, s, func(tx store.Tx) error { return tx.CreateApp(taken) }), store.RuleOther)

	// A name is free again at once.
	freed := app(3)
	freed.Name = made[0].Name
	update(t, s, func(tx store.Tx) error {
		if err := tx.DeleteApp(made[0].ID); err != nil {
			return err
		}
		return tx.CreateApp(freed)
	})
}

func deleteApp(t *testing.T, s store.Store) {
	made := seed(t, s, 2)
	for _, a := range made {
		update(t, s, func(tx store.Tx) error {
			for _, step := range []error{
				tx.CreateAccount(api.Account{ID: "guest of " + a.ID, Email: a.ID + "@example.com"}),
				tx.AddCollaborator(api.Collaborator{AppID: a.ID, AccountID: "guest of " + a.ID}),
				tx.PutFormation(api.Formation{ID: "f " + a.ID, AppID: a.ID, Type: "web", Quantity: 1}),
				tx.CreateBuild(build(a, 1, api.Pending)),
				tx.CreateSlug(slug(a, 1)),
				tx.CreateRelease(release(a, 2, api.Pending), api.ConfigVars{"SECRET": "of " + a.ID}),
			} {
				if step != nil {
					return step
				}
			}
			return nil
		})
	}
	gone, kept := made[0], made[1]
	update(t, s, func(tx store.Tx) error { return tx.DeleteApp(gone.ID) })

	for _, a := range made {
		want := 1
		if a.ID == gone.ID {
			want = 0
		}
		view(t, s, func(tx store.Tx) error {
			_, err := tx.App(a.ID)
			present(t, a.ID, err, want)
			_, err = tx.AppByName(a.Name)
			present(t, a.Name, err, want)
			_, err = tx.Build(build(a, 1, "").ID)
			present(t, "build", err, want)
			_, err = tx.Release(release(a, 2, "").ID)
			present(t, "release", err, want)
			_, err = tx.ReleaseConfig(release(a, 2, "").ID)
			present(t, "config", err, want)
			_, err = tx.LatestRelease(a.ID)
			present(t, "latest", err, want)
			for what, n := range map[string]int{
				"collaborators": count(tx.Collaborators(a.ID)),
				"formation":     count(tx.Formation(a.ID)),
				"builds":        count(tx.Builds(a.ID, 0)),
				"slugs":         count(tx.Slugs(a.ID, 0)),
				"releases":      count(tx.Releases(a.ID, 0)) / 2,
			} {
				equal(t, a.ID+" "+what, n, want)
			}
			return nil
		})
	}
	view(t, s, func(tx store.Tx) error {
		equal(t, "pending builds", count(tx.PendingBuilds()), 1)
		equal(t, "pending releases", count(tx.PendingReleases()), 1)
		equal(t, "slug digests", count(tx.SlugDigests()), 1)
		equal(t, "accounts", count(tx.Accounts()), 3)
		return nil
	})
	missing(t, "again", attempt(t, s, func(tx store.Tx) error { return tx.DeleteApp(gone.ID) }))
	equal(t, "the other app", read(t, s, store.Tx.Apps), []api.App{kept})
}

// present checks that a row was found or, with want 0, not.
func present(t *testing.T, what string, err error, want int) {
	t.Helper()
	if want == 0 {
		missing(t, what, err)
	} else if err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// count is the length of a list that could be read, else -1.
func count[T any](list []T, err error) int {
	if err != nil {
		return -1
	}
	return len(list)
}

func collaborators(t *testing.T, s store.Store) {
	a := seed(t, s, 2)[0]
	update(t, s, func(tx store.Tx) error {
		if err := tx.CreateAccount(account(3)); err != nil {
			return err
		}
		return tx.CreateAccount(account(2))
	})
	first := api.Collaborator{AppID: a.ID, AccountID: account(3).ID, CreatedAt: at(5)}
	second := api.Collaborator{AppID: a.ID, AccountID: account(2).ID, CreatedAt: at(4)}
	again := first
	again.CreatedAt = at(50)
	for _, c := range []api.Collaborator{first, second, again} {
		update(t, s, func(tx store.Tx) error { return tx.AddCollaborator(c) })
	}
	list := func(tx store.Tx) ([]api.Collaborator, error) { return tx.Collaborators(a.ID) }
	equal(t, "Collaborators", read(t, s, list), []api.Collaborator{first, second})
	missing(t, "of another app", attempt(t, s, func(tx store.Tx) error { return tx.RemoveCollaborator(app(2).ID, account(3).ID) }))
	update(t, s, func(tx store.Tx) error { return tx.RemoveCollaborator(a.ID, account(3).ID) })
	equal(t, "after remove", read(t, s, list), []api.Collaborator{second})
}

func formations(t *testing.T, s store.Store) {
	made := seed(t, s, 2)
	a := made[0]
	worker := api.Formation{ID: "f2", AppID: a.ID, Type: "worker", Quantity: 3, Size: "Eco", UpdatedAt: at(1)}
	web := api.Formation{ID: "f1", AppID: a.ID, Type: "web", Quantity: 1, Size: "Standard-1X", UpdatedAt: at(2)}
	other := api.Formation{ID: "f3", AppID: made[1].ID, Type: "web", Quantity: 9, Size: "Eco", UpdatedAt: at(2)}
	for _, f := range []api.Formation{worker, web, other} {
		update(t, s, func(tx store.Tx) error { return tx.PutFormation(f) })
	}
	list := func(tx store.Tx) ([]api.Formation, error) { return tx.Formation(a.ID) }
	equal(t, "by type", read(t, s, list), []api.Formation{web, worker})
	web.Quantity, web.Size, web.UpdatedAt = 0, "Performance-M", at(3)
	update(t, s, func(tx store.Tx) error { return tx.PutFormation(web) })
	equal(t, "replaced", read(t, s, list), []api.Formation{web, worker})
	conflicts(t, "id of another entry", attempt(t, s, func(tx store.Tx) error {
		return tx.PutFormation(api.Formation{ID: other.ID, AppID: a.ID, Type: "clock"})
	}), store.RuleOther)
}
