package server

// Path is a line of the route table for tests.
type Path struct {
	Method, Path string
	Open         bool
}

// Paths lists the route table.
func Paths() []Path {
	var out []Path
	for _, r := range routes() {
		out = append(out, Path{r.method, r.path, r.action == open})
	}
	return out
}

// ParseRange parses a Range header of a list by version.
func ParseRange(s string) (max int, err error) {
	p, err := parseRange(s, "version", "version", "id", "name")
	return p.max, err
}
