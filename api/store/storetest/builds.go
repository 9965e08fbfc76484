package storetest

import (
	"testing"

	"paas/api"
	"paas/api/store"
)

func builds(t *testing.T, s store.Store) {
	made := seed(t, s, 2)
	a := made[0]
	var all []string
	for n := 1; n <= 4; n++ {
		b := build(a, n, api.Succeeded)
		b.CreatedAt = at(-n) // a clock that goes back does not matter
		update(t, s, func(tx store.Tx) error { return tx.CreateBuild(b) })
		all = append(all, b.ID)
	}
	update(t, s, func(tx store.Tx) error { return tx.CreateBuild(build(made[1], 1, api.Failed)) })
	for limit, want := range map[int][]string{0: reversed(all), 1: {all[3]}, 3: {all[3], all[2], all[1]}, 99: reversed(all)} {
		got := read(t, s, func(tx store.Tx) ([]api.Build, error) { return tx.Builds(a.ID, limit) })
		equal(t, "newest first", ids(got, func(b api.Build) string { return b.ID }), want)
	}
	full := build(a, 5, api.Failed)
	full.SlugID, full.ReleaseID, full.Reason = "s", "r", "compile failed"
	update(t, s, func(tx store.Tx) error { return tx.CreateBuild(full) })
	get := func(tx store.Tx) (api.Build, error) { return tx.Build(full.ID) }
	equal(t, "Build", read(t, s, get), full)

	changed := api.Build{
		ID: full.ID, AppID: a.ID, Status: api.Succeeded, Commit: "c", Stack: "heroku-24", Buildpacks: []string{"x", "y"},
		SlugID: "s2", ReleaseID: "r2", AuthorID: "by", AuthorEmail: "by@example.com", Reason: "", CreatedAt: at(99), UpdatedAt: at(7),
	}
	update(t, s, func(tx store.Tx) error { return tx.UpdateBuild(changed) })
	changed.CreatedAt = full.CreatedAt // never changes
	equal(t, "after update", read(t, s, get), changed)
	conflicts(t, "same id", attempt(t, s, func(tx store.Tx) error { return tx.CreateBuild(full) }), store.RuleOther)
}

func pendingBuild(t *testing.T, s store.Store) {
	made := seed(t, s, 2)
	a, other := made[0], made[1]
	pending := func() []string {
		t.Helper()
		return ids(read(t, s, store.Tx.PendingBuilds), func(b api.Build) string { return b.ID })
	}
	one, two := build(a, 1, api.Pending), build(a, 2, api.Pending)
	update(t, s, func(tx store.Tx) error { return tx.CreateBuild(one) })
	conflicts(t, "second", attempt(t, s, func(tx store.Tx) error { return tx.CreateBuild(two) }), store.RulePendingBuild)
	update(t, s, func(tx store.Tx) error { return tx.CreateBuild(build(other, 1, api.Pending)) })
	update(t, s, func(tx store.Tx) error { return tx.CreateBuild(build(a, 3, api.Failed)) })
	equal(t, "pending", pending(), []string{one.ID, build(other, 1, "").ID})

	one.Reason = "still at it"
	update(t, s, func(tx store.Tx) error { return tx.UpdateBuild(one) })
	conflicts(t, "reopened", attempt(t, s, func(tx store.Tx) error { return tx.UpdateBuild(build(a, 3, api.Pending)) }), store.RulePendingBuild)

	one.Status = api.Succeeded
	update(t, s, func(tx store.Tx) error {
		if err := tx.UpdateBuild(one); err != nil {
			return err
		}
		return tx.CreateBuild(two)
	})
	equal(t, "next pending", pending(), []string{build(other, 1, "").ID, two.ID})
}
