package storetest

import (
	"fmt"
	"testing"

	"paas/api"
	"paas/api/store"
)

func releases(t *testing.T, s store.Store) {
	made := seed(t, s, 2)
	a := made[0]
	update(t, s, func(tx store.Tx) error { return tx.CreateSlug(slug(a, 1)) })
	var all []string
	for n := 1; n <= 4; n++ {
		all = append(all, release(a, n, "").ID)
		if n == 1 {
			continue // made with the app
		}
		r := release(a, n, api.Failed)
		r.SlugID, r.CreatedAt = slug(a, 1).ID, at(-n)
		update(t, s, func(tx store.Tx) error { return tx.CreateRelease(r, nil) })
	}
	for limit, want := range map[int][]string{0: reversed(all), 1: {all[3]}, 2: {all[3], all[2]}} {
		got := read(t, s, func(tx store.Tx) ([]api.Release, error) { return tx.Releases(a.ID, limit) })
		equal(t, "newest first", ids(got, func(r api.Release) string { return r.ID }), want)
	}
	want := release(a, 4, api.Failed)
	want.SlugID, want.CreatedAt = slug(a, 1).ID, at(-4)
	equal(t, "Release", read(t, s, func(tx store.Tx) (api.Release, error) { return tx.Release(want.ID) }), want)
	equal(t, "LatestRelease", read(t, s, func(tx store.Tx) (api.Release, error) { return tx.LatestRelease(a.ID) }), want)
	equal(t, "ReleaseByVersion", read(t, s, func(tx store.Tx) (api.Release, error) { return tx.ReleaseByVersion(a.ID, 4) }), want)
	equal(t, "of the other app", read(t, s, func(tx store.Tx) (api.Release, error) { return tx.LatestRelease(made[1].ID) }), release(made[1], 1, api.Succeeded))

	// Only these three change.
	update(t, s, func(tx store.Tx) error {
		return tx.UpdateRelease(api.Release{
			ID: want.ID, AppID: "x", Version: 9, SlugID: "x", Description: "x", Status: api.Succeeded, AuthorID: "x", AuthorEmail: "x",
			OutputID: "out", CreatedAt: at(98), UpdatedAt: at(99),
		})
	})
	want.Status, want.OutputID, want.UpdatedAt = api.Succeeded, "out", at(99)
	equal(t, "after update", read(t, s, func(tx store.Tx) (api.Release, error) { return tx.Release(want.ID) }), want)
}

func releaseVersions(t *testing.T, s store.Store) {
	made := seed(t, s, 2)
	a := made[0]
	create := func(r api.Release) error {
		return attempt(t, s, func(tx store.Tx) error { return tx.CreateRelease(r, nil) })
	}
	for _, version := range []int{-1, 0, 1, 3} {
		conflicts(t, fmt.Sprint("v", version), create(release(a, version, api.Succeeded)), store.RuleReleaseVersion)
	}
	equal(t, "v2", create(release(a, 2, api.Succeeded)), nil)
	conflicts(t, "v2 again", create(release(a, 2, api.Succeeded)), store.RuleReleaseVersion)
	equal(t, "v2 of the other app", create(release(made[1], 2, api.Succeeded)), nil)
	taken := release(a, 3, api.Succeeded)
	taken.ID = release(a, 1, "").ID
	conflicts(t, "same id", create(taken), store.RuleOther)

	fresh := app(3)
	update(t, s, func(tx store.Tx) error { return tx.CreateApp(fresh) })
	conflicts(t, "first is not v2", create(release(fresh, 2, api.Succeeded)), store.RuleReleaseVersion)
	equal(t, "first is v1", create(release(fresh, 1, api.Succeeded)), nil)
}

func releaseConfig(t *testing.T, s store.Store) {
	a := seed(t, s, 1)[0]
	config := api.ConfigVars{
		"EMPTY": "", "PLAIN": "value", "LINES": "a\nb\r\n\tc", "QUOTES": `"'\` + "`$(x)", "WIDE": "日本語 ✓ é \U0001F600", "HTML": "<&>\u2028",
	}
	want := api.ConfigVars{}
	for k, v := range config {
		want[k] = v
	}
	update(t, s, func(tx store.Tx) error { return tx.CreateRelease(release(a, 2, api.Succeeded), config) })
	config["PLAIN"] = "changed by the caller"
	get := func(version int) api.ConfigVars {
		t.Helper()
		return read(t, s, func(tx store.Tx) (api.ConfigVars, error) { return tx.ReleaseConfig(release(a, version, "").ID) })
	}
	got := get(2)
	if !equalVars(got, want) {
		t.Errorf("v2 has other config vars than were set: %v", got.Names())
	}
	if got := get(1); got == nil || len(got) != 0 {
		t.Errorf("v1: got %d config vars (nil: %v), want an empty map", len(got), got == nil)
	}
	got["PLAIN"] = "changed by a reader"
	if !equalVars(get(2), want) {
		t.Error("a reader changed the stored config vars")
	}
}

func equalVars(a, b api.ConfigVars) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return true
}

func pendingReleases(t *testing.T, s store.Store) {
	made := seed(t, s, 2)
	pending := func() []string {
		t.Helper()
		return ids(read(t, s, store.Tx.PendingReleases), func(r api.Release) string { return r.ID })
	}
	equal(t, "none", pending(), nil)
	for _, r := range []api.Release{
		release(made[1], 2, api.Pending), release(made[0], 2, api.Failed), release(made[0], 3, api.Pending),
	} {
		update(t, s, func(tx store.Tx) error { return tx.CreateRelease(r, nil) })
	}
	equal(t, "oldest first", pending(), []string{release(made[1], 2, "").ID, release(made[0], 3, "").ID})
	done := release(made[1], 2, api.Succeeded)
	update(t, s, func(tx store.Tx) error { return tx.UpdateRelease(done) })
	equal(t, "one done", pending(), []string{release(made[0], 3, "").ID})
}
