// Package catalog finds buildpacks: the built-in ones, those of a registry, and
// any git repository or archive.
//
// # Design
//
// A reference is resolved, in this order:
//
//  1. heroku/<name> and urn:buildpack:heroku/<name> of a built-in buildpack;
//  2. <ns>/<name>: <registry>/<ns>/<name>.tgz, and if the registry has none
//     https://github.com/<ns>/heroku-buildpack-<name>;
//  3. a URL that ends in .tgz, .tar.gz, .tbz, .tar.bz2 or .tar: an archive;
//  4. any other URL: a git repository, with #ref for a branch, tag or commit.
//
// What was fetched is kept by what it is, the commit or the archive's hash, so
// an unchanged buildpack costs one question to its server, and a full commit
// hash none. A build gets a copy of its own, without any hard link, because
// buildpacks write into their own directory.
//
// Fetching runs on the host and treats the other side as hostile. git is called
// without a shell, with an empty configuration, no hooks, no credentials or
// keys of the host, and a list of protocols it may speak; archives are unpacked
// through os.Root. Time, bytes and numbers of files are bounded. Secrets in a
// URL's user part reach git by its environment, never by argv, and are cut from
// all names and messages.
//
// The built-in buildpacks are directories of symbolic links to the one program
// that holds them, at the path where a build container has it.
package catalog
