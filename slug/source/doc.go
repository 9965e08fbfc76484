// Package source keeps one bare git repository per app and speaks git's wire
// protocol with those who push to and fetch from it. A push to main or master
// is a deploy: a Hook is asked before the ref moves, and its error rejects the
// push.
//
// # Design
//
// The protocol is spoken here, with the wire formats of go-git (packp,
// pktline, sideband, capability); objects are git's own work: a pack goes
// straight from the client into `git index-pack --stdin --fix-thin`, and a
// fetch is `git upload-pack`. go-git's server session was not enough (no
// side-band, no hooks, one shallow line, no thin packs) and its pack parser
// takes half as much CPU again as git's and several times its memory.
//
// What must hold:
//
//   - A received pack lives in a quarantine directory (receivepack.go,
//     quarantine.go) and is moved into the repository, by rename, only once it
//     is connected and every hook has agreed. A push that is rejected, broken
//     off or killed leaves nothing behind but that directory, which is swept.
//   - The ref moves last and by compare-and-swap, so whoever is told
//     "rejected" can push the same commit again.
//   - One push at a time per repository; a second one is told, not queued.
//     Maintenance (maintain.go) gives way to a push.
//   - A client that leaves does not stop what has begun: the hook's context
//     goes on, and Push.ClientGone tells it.
//   - A client that does not read cannot stall a build: output waits in a
//     bounded buffer, then is dropped, and the drop is counted in the stream.
//   - git runs with argv only, with a configuration file of ours alone and an
//     environment made from nothing, in a process group that dies with its
//     context, under limits of memory and file size.
//
// # Third-party packages
//
// github.com/go-git/go-git/v5 (with go-billy, its file system interface):
// pkt-lines, advertised refs, capabilities, report-status, the decoding of
// commits, and reading refs without a process. golang.org/x/sys/unix: resource
// limits and priorities of the git processes.
package source
