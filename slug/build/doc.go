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
//	      cache/      CACHE_DIR, the app's own, moved in from <data>/cache/<app>
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
// The cache is moved, not copied: copying one of a gigabyte takes longer than
// most builds. So a build that fails leaves the cache as it left it, and the
// next build is colder at worst. Only a first build's cache is dropped when it
// fails, since some buildpacks take the half-filled cache of a failed first run
// for a good one. A change of stack drops it too.
//
// # Reuse
//
// A build's key is a hash of all that goes into it: the tree, the buildpacks at
// their versions, the stack's layers, the config vars (buildpacks read them)
// and the operator's build environment. When a slug with that key is there, it
// is taken and nothing is built.
//
// github.com/sabhiram/go-gitignore matches .slugignore, whose syntax is
// .gitignore's but for negation.
package build
