// Package dyno holds the vocabulary of what runs, and the two cuts at which a
// scheduler can be put in.
//
// # Design
//
// Scheduler is declarative and per app: it is told what should run and makes
// it so, for ever. dyno/supervisor implements it for hosts of our own. Below
// it, Runtime is imperative and per dyno: start this, tell me when it ended.
// dyno/containerd implements it. Both cuts have conformance suites in
// dyno/dynotest.
//
// No engine holds state that cannot be rebuilt: the Scheduler is given every
// manifest again after a start, and the Runtime reports what still runs.
package dyno
