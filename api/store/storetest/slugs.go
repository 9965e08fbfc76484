package storetest

import (
	"testing"

	"paas/api"
	"paas/api/store"
)

func slugs(t *testing.T, s store.Store) {
	made := seed(t, s, 2)
	a := made[0]
	var all []string
	for n := 1; n <= 3; n++ {
		update(t, s, func(tx store.Tx) error { return tx.CreateSlug(slug(a, n)) })
		all = append(all, slug(a, n).ID)
	}
	equal(t, "Slug", read(t, s, func(tx store.Tx) (api.Slug, error) { return tx.Slug(all[0]) }), slug(a, 1))
	for limit, want := range map[int][]string{0: reversed(all), 2: {all[2], all[1]}} {
		got := read(t, s, func(tx store.Tx) ([]api.Slug, error) { return tx.Slugs(a.ID, limit) })
		equal(t, "newest first", ids(got, func(s api.Slug) string { return s.ID }), want)
	}

	// The same content and key, again and in another app.
	again := slug(a, 4)
	again.Key, again.Digest = slug(a, 1).Key, slug(a, 1).Digest
	elsewhere := slug(made[1], 1)
	keyless := slug(a, 5)
	keyless.Key = ""
	for _, v := range []api.Slug{again, elsewhere, keyless} {
		update(t, s, func(tx store.Tx) error { return tx.CreateSlug(v) })
	}
	byKey := func(key string) (v api.Slug, err error) {
		err = s.View(t.Context(), func(tx store.Tx) error {
			v, err = tx.SlugByKey(a.ID, key)
			return err
		})
		return v, err
	}
	got, err := byKey(again.Key)
	equal(t, "newest with that key", got, again)
	equal(t, "error", err, nil)
	_, err = byKey("")
	missing(t, "no key", err)
	_, err = byKey("other")
	missing(t, "unknown key", err)

	digests := []string{slug(a, 1).Digest, slug(a, 2).Digest, slug(a, 3).Digest, slug(a, 5).Digest}
	equal(t, "SlugDigests", read(t, s, store.Tx.SlugDigests), digests)
	update(t, s, func(tx store.Tx) error { return tx.DeleteSlug(again.ID) })
	got, _ = byKey(again.Key)
	equal(t, "older one with that key", got, slug(a, 1))
	equal(t, "digest with other rows", read(t, s, store.Tx.SlugDigests), digests)
	update(t, s, func(tx store.Tx) error { return tx.DeleteSlug(slug(a, 3).ID) })
	equal(t, "digest without rows", read(t, s, store.Tx.SlugDigests), append(digests[:2:2], digests[3]))
	missing(t, "deleted", attempt(t, s, func(tx store.Tx) error { return tx.DeleteSlug(again.ID) }))
	conflicts(t, "same id", attempt(t, s, func(tx store.Tx) error { return tx.CreateSlug(slug(a, 1)) }), store.RuleOther)
}

func slugInUse(t *testing.T, s store.Store) {
	a := seed(t, s, 1)[0]
	for n := 2; n <= 4; n++ {
		status := api.Succeeded
		if n == 4 {
			status = api.Pending
		}
		update(t, s, func(tx store.Tx) error {
			if err := tx.CreateSlug(slug(a, n)); err != nil {
				return err
			}
			r := release(a, n, status)
			r.SlugID = slug(a, n).ID
			return tx.CreateRelease(r, nil)
		})
	}
	a.Current = 3
	update(t, s, func(tx store.Tx) error { return tx.UpdateApp(a) })

	conflicts(t, "of the current release", attempt(t, s, func(tx store.Tx) error { return tx.DeleteSlug(slug(a, 3).ID) }), store.RuleSlugInUse)
	conflicts(t, "of a pending release", attempt(t, s, func(tx store.Tx) error { return tx.DeleteSlug(slug(a, 4).ID) }), store.RuleSlugInUse)
	update(t, s, func(tx store.Tx) error { return tx.DeleteSlug(slug(a, 2).ID) })
	old := read(t, s, func(tx store.Tx) (api.Release, error) { return tx.ReleaseByVersion(a.ID, 2) })
	equal(t, "old release keeps its words", old.SlugID, slug(a, 2).ID)
	equal(t, "digests", read(t, s, store.Tx.SlugDigests), []string{slug(a, 3).Digest, slug(a, 4).Digest})

	// Deleting the app is no different for it.
	update(t, s, func(tx store.Tx) error { return tx.DeleteApp(a.ID) })
	equal(t, "digests", read(t, s, store.Tx.SlugDigests), nil)
}
