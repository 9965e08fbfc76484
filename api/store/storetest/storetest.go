// Package storetest is the conformance suite of store.Store.
//
// # Design
//
// Run proves what package store promises through the interface alone, one file
// of checks per noun. RunDurable adds what needs the same data to be opened
// again. Every check gets an empty store of its own and may run in parallel
// with others.
package storetest

import (
	"testing"

	"paas/api/store"
)

// Run checks the store that open returns. open is called once per check, has
// to return an empty store, and closes it with t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, c := range []struct {
		name  string
		check func(*testing.T, store.Store)
	}{
		{"accounts", accounts},
		{"account e-mail without case", accountEmail},
		{"password hash", passwordHash},
		{"keys", keys},
		{"authorizations", authorizations},
		{"apps", apps},
		{"app name", appName},
		{"delete app", deleteApp},
		{"collaborators", collaborators},
		{"formations", formations},
		{"builds", builds},
		{"pending build", pendingBuild},
		{"slugs", slugs},
		{"slug in use", slugInUse},
		{"releases", releases},
		{"release versions", releaseVersions},
		{"release config", releaseConfig},
		{"pending releases", pendingReleases},
		{"orphans", orphans},
		{"not found", notFound},
		{"empty lists", emptyLists},
		{"odd text", oddText},
		{"refused text", refusedText},
		{"times", times},
		{"big values", bigValues},
		{"update commits", updateCommits},
		{"update undone on error", undoneOnError},
		{"update undone on panic", undoneOnPanic},
		{"update undone after a failed step", undoneAfterFailedStep},
		{"update goes on after conflict", goesOnAfterConflict},
		{"view cannot write", viewCannotWrite},
		{"view is a snapshot", viewIsSnapshot},
		{"view inside update", readersDoNotWait},
		{"writers take turns", writersTakeTurns},
		{"one of many pending builds", onePendingBuild},
		{"waiting writer gives up", waitingWriterGivesUp},
		{"cancelled transaction", cancelledTransaction},
		{"changes", changes},
		{"changes fold", changesFold},
		{"changes end", changesEnd},
		{"close", closes},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.check(t, open(t))
		})
	}
}

// RunDurable checks that data outlive a store. open opens the store kept in
// dir, which is empty at first, and does not close it: the checks do.
func RunDurable(t *testing.T, open func(t *testing.T, dir string) store.Store) {
	t.Run("reopen", func(t *testing.T) { t.Parallel(); reopen(t, open) })
	t.Run("two at once", func(t *testing.T) { t.Parallel(); twoAtOnce(t, open) })
}
