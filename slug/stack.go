package slug

// Stack is a named base image pair.
type Stack struct {
	Name  string  // "heroku-22": buildpacks know only Heroku's names
	Title string  // "Heroku-22"
	Run   []Layer // lowest first
	Build []Layer // on top of Run
}

// DefaultStack is what new apps use. The images are Debian 12, whose libraries
// are a superset of what binaries made for heroku-22 need.
const DefaultStack = "heroku-22"
