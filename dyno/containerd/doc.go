// Package containerd starts dynos and build sandboxes on one host: it
// implements dyno.Runtime and slug.Sandbox.
//
// # Design
//
// The engine is a containerd of our own (own binaries, root, state, socket),
// started and brought back by Runtime.Run, left running when paasd ends, and
// adopted by the next paasd. Nothing of importance lives in its directories:
// the root file system of a container is one overlay mount that we compose from
// layer directories, without snapshotter, images or leases, and what there is
// to know about a dyno is in its record below Options.DataDir. So containerd's
// directories may be wiped at any time.
//
// Invariants:
//
//   - A directory <data>/dynos/<id> exists before anything else of a container
//     does, and is removed after everything else of it. What has no such
//     directory (containers, cgroups, mounts, addresses) is a leftover: Recover
//     kills and removes it.
//   - A container's address is released only after all its processes are dead
//     and its network interface is gone.
//   - A dyno is either supervised (its shim lives, its output flows, its end is
//     seen) or dead. Losing the shim kills the dyno, through its cgroup.
//   - The end of a dyno is learned from the kernel (pidfd), never by polling,
//     so it is not missed while the engine is down.
//
// Isolation: every container has its own user namespace with a range of 65536
// ids of its own (lower layers and binds are idmapped, nothing is chowned), own
// pid, ipc, uts, mount, cgroup and network namespaces, runs as uid 1000 without
// any capability, with no_new_privs and containerd's default seccomp profile.
// The network is one bridge with isolated ports; see network.go for the rules.
//
// # Third-party libraries
//
//   - github.com/containerd/containerd/v2: the client of the engine, its default
//     OCI spec and seccomp profile.
//   - github.com/containernetworking/cni (libcni): calls the bridge and
//     host-local plugins of the distribution as their specification demands.
//   - github.com/vishvananda/netlink: routes, rules and bridge ports, which the
//     standard library cannot set.
//   - github.com/google/nftables: asks in 0.1 ms whether our table is still
//     there; the table itself is written as text for nft(8), which reads better.
//   - github.com/fsnotify/fsnotify: wakes the readers of dynos' output.
//   - golang.org/x/time/rate: the token bucket that limits a flooding dyno.
package containerd
