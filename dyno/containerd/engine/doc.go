// Package engine pins the container engine that paas brings along: containerd,
// its runc shim, ctr and runc, built from source by build.sh into one directory
// that nothing else on the host uses.
//
// # Design
//
// An engine of our own, and always the same one, because each distribution has
// another containerd, some too old for idmapped layers (every dyno has its own
// user namespace, which then costs no copy of any file), and because neither a
// distribution's upgrade nor Docker on the same host may disturb running dynos.
//
// It is a module of its own so that the some 150 modules of containerd's
// daemon and of runc never reach the product's go.mod. The programs are named
// as tools in go.mod; go.sum pins every byte of their source.
//
// containerd is built without the CRI plugin and the btrfs, devmapper and zfs
// snapshotters, which nothing here uses, and without cgo. runc needs cgo
// (nsexec) and libseccomp and is linked statically: it is started some ten
// times for each dyno and skips the dynamic loader every time.
package engine
