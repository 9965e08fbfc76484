// Package dynotest has the conformance suites of dyno.Runtime and
// dyno.Scheduler, and Fake, a Runtime for tests of everything above it.
//
// # Design
//
// A suite is handed a harness and knows nothing of the engine behind it. Its
// commands (commands.go) are real bash snippets that need no more than bash,
// coreutils and perl-base, so they run in any stack; Fake understands the same
// snippets because it interprets the small part of bash they are written in
// (shell.go). So the suites hold Fake and the real engine to one behaviour.
//
// Fake keeps its dynos when the scheduler above it is replaced, as containers
// outlive paasd, and it works inside a testing/synctest bubble when it is told
// not to listen on sockets; Probe then says whether a dyno listens. It is never
// a product mode.
package dynotest
