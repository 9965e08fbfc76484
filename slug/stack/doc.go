// Package stack makes and keeps stacks: the root file systems that apps are
// built on and run on, out of the packages of the host's own distribution.
//
// # Design
//
// A stack is two layers: run, what dynos see, and build, the compilers and
// headers on top of it. A language layer ("php") is a third kind, over run
// alone: a language whose programs cannot be carried inside a slug is installed
// where its packages expect to be, once per host and when first needed, and
// both build containers and the dynos of releases that name it mount it.
//
// run comes from mmdebstrap, the others from apt-get in an overlay over run
// whose upper directory is the layer. All three are handed to slug/layers,
// which packs them as OCI layers and keeps the tree. They can be made again bit
// by bit from the same packages: times are one constant, and what differs from
// run to run (logs, caches, host keys, backups of dpkg) is taken out. What is
// recorded of a layer is a hash of its recipe (package list, scripts,
// distribution), so an unchanged recipe is not built twice; Update builds
// anyway, for the distribution's security fixes. Slugs name layers by digest:
// those built before keep what they were built on.
//
// The package sources are those of the host's apt that its distribution itself
// signs ("Origin: Debian"); a third party's repository never gets a say, and
// neither mirrors, proxies, certificates nor name servers of this host get into
// a tree. The proxy and CA of the host are used while packages are fetched.
//
// Trees hold no set-user-id bits and no file capabilities: no_new_privs makes
// them void in a dyno, and on the host they would be one open directory away
// from harm.
//
// Every command that mounts or changes root runs as the first process of mount
// and process namespaces of its own, and is killed with its starter: whatever
// happens, no mount and no process stays behind.
package stack
