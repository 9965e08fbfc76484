// Package supervisor is the dyno.Scheduler for hosts of our own, on top of any
// dyno.Runtime.
//
// # Design
//
// Everything is level-triggered. An app has a manifest (what should run) and
// instances (what does). Whenever either changes, or a time comes, reconcile
// compares them with the pure function plan and carries out its answer, under
// one lock, without I/O. The I/O of one dyno is done by one goroutine, its
// runner, an explicit state machine; it reports each new phase under the lock,
// which reconciles again. Nothing is written to disk: the manifests come from
// the database and the instances from Runtime.Recover.
//
// Invariants, property-tested in plan_test.go:
//   - an up dyno of the current release whose slot is wanted is stopped only
//     when another dyno of the same slot is up (ps:stop aside);
//   - a slot of the current release has at most two dynos that are not retired,
//     one of the candidate at most one;
//   - a dyno that fits its slot is never replaced for a restart of paasd;
//   - a candidate takes nothing away from the current release.
//
// # Crashes
//
// Any exit of a dyno of the formation is a crash, status 0 as well. It is
// started again at once the first time, then after 10 s, 20 s, 40 s ... up to
// 10 minutes. (Heroku waits 10 minutes after the second crash and up to a day:
// that suits a fleet, but on one's own host a database that needs a minute to
// come up should not cost ten.) A new release, ps:restart, and 10 minutes up
// without a crash start the count anew.
//
// # Restarts of paasd
//
// When Supervise's context ends, dynos are left running; the next paasd's
// Supervise adopts them.
// Dynos of apps that have no manifest yet are kept as they are until Apply,
// Remove or Sweep says what becomes of them.
package supervisor
