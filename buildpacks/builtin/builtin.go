// Package builtin lists the buildpacks that come with the platform.
//
// It holds data only, so that the catalog of buildpacks can know them without
// linking them: the buildpacks themselves run inside the build container, as
// the program cmd/paas-buildpack.
package builtin

// Builtin is one built-in buildpack.
type Builtin struct {
	Name    string   // its directory, and the name its program goes by
	Display string   // the shorthand users write and see
	Layers  []string // stack layers that builds and dynos of its apps need, in order
}

// Programs are the files in a built-in buildpack's bin directory; each is the
// same program, called by that name.
func Programs() []string {
	return []string{"compile", "detect", "release", "report", "test", "test-compile"}
}

// List returns the built-in buildpacks in the order of detection: Heroku's
// order for its languages, then static sites and apps that have a Procfile
// and nothing else.
func List() []Builtin {
	return []Builtin{
		{Name: "nodejs", Display: "heroku/nodejs"},
		{Name: "php", Display: "heroku/php", Layers: []string{"php"}},
		{Name: "go", Display: "heroku/go"},
		{Name: "static", Display: "heroku/static"},
		{Name: "procfile", Display: "heroku/procfile"},
	}
}

// Find returns the built-in buildpack of that name.
func Find(name string) (Builtin, bool) {
	for _, b := range List() {
		if b.Name == name {
			return b, true
		}
	}
	return Builtin{}, false
}
