// Package nodejs is the built-in buildpack heroku/nodejs: apps with a
// package.json, by npm, yarn (classic and Berry) or pnpm.
//
// # Design
//
// Node.js and the package managers come from an npm registry, verified, and
// stay in the build cache; each build copies them into the app's
// .heroku/node (a copy and not a link: a slug must not share files with a
// cache that the next build can write to). Package managers are unpacked
// directly instead of through `npm install --global`: they hold all they need.
//
// The package managers' own caches are used in place, in the build cache,
// instead of being moved into the build and back. What the next build can
// reuse is the same; a warm build costs the package manager's own commands
// and little else.
//
// Where we differ from Heroku's buildpack, on purpose:
//   - without a lockfile the npm cache is kept, not node_modules: keeping
//     node_modules means copying it out at the end of each build;
//   - the headers of Node.js stay in the cache, where node-gyp finds them
//     during the build; they are 3,300 files that no dyno reads;
//   - pnpm copies from its store instead of linking, for the reason above.
//
// Third-party packages: Masterminds/semver, to compare versions (ranges are
// runtimes.Range).
package nodejs
