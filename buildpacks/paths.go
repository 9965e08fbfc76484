package buildpacks

// Where things are inside a build container.
const (
	// Root has a directory for each installed buildpack, writable.
	Root = "/buildpacks"
	// Program is cmd/paas-buildpack, read-only. The programs of built-in
	// buildpacks are links to it.
	Program = "/opt/paas/paas-buildpack"
)
