// Package classic is what the built-in buildpacks share: one call of the
// classic buildpack API (bin/detect, bin/compile, bin/release, bin/report,
// bin/test-compile, bin/test) as a Go value, and the few things every such
// program does with it: print in Heroku's format, read ENV_DIR, run a
// command, move and copy trees, leave scripts for the dyno's start.
//
// # Design
//
// A built-in buildpack is a Pack. Main decides from the verb which method
// runs and turns its error into output and exit status, so a pack never
// prints a failure itself: it returns a *Failure with the cause and what to
// do about it.
//
// Invariants:
//   - config vars (ENV_DIR) never enter a command's environment unless the
//     pack asks for them, and never the variables that would change how the
//     build itself works (see Unsafe);
//   - nothing of the build outlives the call: a command that is left running
//     in the background cannot hold the call open (Command.Run);
//   - files go from the cache to the build by rename or by copy, never by
//     hard link: what a build tree holds becomes an immutable slug, and a
//     later build can write to everything in its cache.
package classic
