// Package build turns a source tree into a slug with buildpacks: the Builder of
// the platform.
//
// # Design
//
// A build is a fixed list of phases (phases.go) over a work directory of its
// own. Everything that comes from the app or from a buildpack runs in one
// sandbox container, whose program is the runner of package buildpacks; the
// host only reads what it left behind, as hostile data: by os.Root, without
// following links, bounded.
//
//	<data>/builds/<id>/
//	    b/            mounted at /tmp/b, one mount, so that mv within it is a rename
//	      build/      BUILD_DIR
//	      cache/      CACHE_DIR, the app's own, moved in from <data>/cache/<app>/tree
//	      env/        ENV_DIR
//	      result/     what the runner found out
//	    packs/        the buildpacks' private copies, mounted at /buildpacks
//	    plan/         what the runner is told, mounted read-only
//	    layer/        becomes the slug's layer; build/ is renamed to app/ in it
//
// BUILD_DIR is the same path in every build: compilers write it into what they
// make, and a slug must not depend on the build that made it.
//
// # Caches
//
// A build gets the app's cache itself, by rename: copying a gigabyte takes
// longer than most builds. In the background after the build before, its files
// were hard-linked into a second tree, whose names, sizes and times were hashed.
// After a success the cache is renamed back and the second tree made anew; after
// a failure, or a crash, the second tree becomes the cache. So what a failed build did to the cache never
// counts, and a poisoned one does not outlive its build. When the hash shows
// that the build wrote into old files in place, or when there are too many
// files to link, a failure costs the cache: the next build is cold. A change of
// stack drops it too.
//
// # Reuse
//
// A build's key is a hash of all that goes into it: the tree, the buildpacks at
// their versions, the stack's layers, the config vars (buildpacks read them)
// and the operator's build environment. When a slug with that key is there, it
// is taken and nothing is built. An app that lists its buildpacks is asked
// before its source is even exported.
//
// Before that its layers are unpacked and verified, if they were not; a damaged
// slug is built again, which puts good bytes in the place of the bad ones.
package build
