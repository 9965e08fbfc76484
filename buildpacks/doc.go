// Package buildpacks is the classic buildpack API: what a buildpack is, and the
// program that runs a list of them inside a build container.
//
// # Design
//
// The host resolves buildpacks to directories, writes a Plan and starts one
// container whose program is RunMain. Everything that comes from outside, the
// buildpacks' scripts and the app's source, is read and run in there only. What
// the host learns is the container's output and a Result file, which it treats
// as hostile: ParseResult bounds and checks everything in it.
//
// For each buildpack in order: bin/detect, bin/compile, bin/release,
// bin/report, then its export script is sourced for those that follow. The
// working directory is the buildpack's own. With a list given, every buildpack
// must detect; without one the first of the built-in buildpacks that detects is
// used. The last buildpack's bin/release gives the default process types; the
// Procfile is read when all have compiled, because buildpacks write one.
//
// A built-in buildpack may need stack layers (PHP's interpreter). With a list
// the host knows that beforehand; after detection the runner stops early with
// Result.NeedsLayers and is started again with the layers in place.
//
// The runner may be process 1 or not: it makes itself the reaper of all
// processes below it, reaps what is orphaned, and kills what is left at the
// end, so that nothing writes to the build directory after the Result.
//
// go.yaml.in/yaml/v3: bin/release speaks YAML, and the order of its process
// types matters, which only a node tree keeps.
package buildpacks
