// Package golang is the built-in buildpack heroku/go: apps with a go.mod.
//
// # Design
//
// The toolchain is used in place from the build cache, where it lies in the
// layout of Heroku's own buildpack (.heroku/go/<version>/go, .heroku/go-path,
// .heroku/go-build-cache). So a build with a warm cache costs what `go list`
// and `go install` cost.
//
// Where we differ from Heroku's buildpack, on purpose:
//   - a toolchain line that asks for a newer Go than the go line is honoured,
//     as the go command itself does; GOTOOLCHAIN is "local" during the build,
//     so nothing else is fetched behind the app's back;
//   - -trimpath and -buildvcs=false: build directories have random names, and
//     without -trimpath Go would compile every package of the app anew each
//     time and the same source would give a different slug;
//   - the Procfile that is written names the binaries that really come out
//     (the module example.com/app/v2 gives bin/app).
//
// Third-party packages: golang.org/x/mod/modfile, the Go team's parser of
// go.mod.
package golang
