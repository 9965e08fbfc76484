package storetest

import (
	"testing"

	"paas/api"
	"paas/api/store"
)

func reopen(t *testing.T, open func(*testing.T, string) store.Store) {
	dir := t.TempDir()
	s := open(t, dir)
	a := seed(t, s, 2)[0]
	update(t, s, func(tx store.Tx) error {
		if err := tx.CreateSlug(slug(a, 1)); err != nil {
			return err
		}
		r := release(a, 2, api.Succeeded)
		r.SlugID = slug(a, 1).ID
		if err := tx.CreateRelease(r, api.ConfigVars{"K": "v"}); err != nil {
			return err
		}
		return tx.CreateBuild(build(a, 1, api.Pending))
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s := open(t, dir)
		equal(t, "apps", read(t, s, store.Tx.Apps), []api.App{app(1), app(2)})
		equal(t, "slug", read(t, s, func(tx store.Tx) (api.Slug, error) { return tx.Slug(slug(a, 1).ID) }), slug(a, 1))
		config := read(t, s, func(tx store.Tx) (api.ConfigVars, error) { return tx.ReleaseConfig(release(a, 2, "").ID) })
		equal(t, "config var", config["K"], "v")
		conflicts(t, "rules hold", attempt(t, s, func(tx store.Tx) error { return tx.CreateBuild(build(a, 2, api.Pending)) }), store.RulePendingBuild)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// twoAtOnce: two stores over the same data, as of two processes.
func twoAtOnce(t *testing.T, open func(*testing.T, string) store.Store) {
	dir := t.TempDir()
	one := open(t, dir)
	two := open(t, dir)
	defer one.Close() //nolint:errcheck // the last lines here check it
	a := seed(t, one, 1)[0]
	equal(t, "seen by the other", read(t, two, store.Tx.Apps), []api.App{a})

	const rounds = 20
	done := make(chan error, 2)
	for _, s := range []store.Store{one, two} {
		go func() {
			for range rounds {
				err := s.Update(t.Context(), func(tx store.Tx) error {
					r, err := tx.LatestRelease(a.ID)
					if err != nil {
						return err
					}
					return tx.CreateRelease(release(a, r.Version+1, api.Succeeded), nil)
				})
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	equal(t, "writer", <-done, nil)
	equal(t, "other writer", <-done, nil)
	if err := two.Close(); err != nil {
		t.Fatal(err)
	}
	last := read(t, one, func(tx store.Tx) (api.Release, error) { return tx.LatestRelease(a.ID) })
	equal(t, "releases", last.Version, 1+2*rounds)
}
