package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"paas/api"
)

// report shows an error as Heroku's CLI does, on stderr, and returns the exit
// status.
func report(w io.Writer, err error) int {
	var usage *usageError
	var known *api.Error
	switch {
	case errors.As(err, &usage):
		show(w, usage.message)
		return exitUsage
	case errors.As(err, &known):
		show(w, known.Message)
	default:
		show(w, err.Error())
	}
	return exitFail
}

func show(w io.Writer, message string) {
	for line := range strings.Lines(message) {
		fmt.Fprintf(w, " ▸    %s\n", strings.TrimRight(line, "\n"))
	}
}

// listings say where what was not found would be listed.
var listings = map[string]string{
	"release": "releases", "build": "builds", "slug": "slugs", "dyno": "ps", "formation": "ps:scale",
}

// explain adds the next step to what the server says.
func (c *Call) explain(err error) error {
	var e *api.Error
	if !errors.As(err, &e) {
		return err
	}
	step := ""
	switch listing := listings[e.Resource]; {
	case e.ID == api.Unauthorized && c.cmd == loginCommand:
	case e.ID == api.Unauthorized && os.Getenv("PAAS_API_KEY") != "":
		step = "The token is that of the environment: see PAAS_API_KEY."
	case e.ID == api.Unauthorized:
		step = "Log in: paas login"
		if c.settings.APIURL == defaultAPIURL {
			step += " [--api-url URL]"
		}
	case e.ID != api.NotFound:
	case e.Resource == "app" && c.app != "":
		step = fmt.Sprintf("There is no %s that you may see. Yours: paas apps", c.app)
	case e.Resource == "key":
		step = "See all: paas keys"
	case listing != "":
		step = fmt.Sprintf("See all: paas %s -a %s", listing, c.app)
	}
	if step == "" {
		return err
	}
	return &api.Error{ID: e.ID, Resource: e.Resource, Message: e.Message + "\n" + step, Err: e.Err}
}

// unknown suggests the command that was probably meant.
func unknown(name string) error {
	best, distance := "", 3
	if len(name) < 5 {
		distance = 2 // of a short word, two other letters make another word
	}
	for _, cmd := range commands() {
		if cmd.Hidden {
			continue
		}
		for _, n := range append([]string{cmd.Name}, cmd.Aliases...) {
			if d := editDistance(n, name); d < distance {
				best, distance = n, d
			}
		}
	}
	if best != "" {
		return usagef("%s is not a paas command. Did you mean %s?\nSee all: paas help", name, best)
	}
	return usagef("%s is not a paas command. See all: paas help", name)
}

// editDistance counts insertions, deletions, substitutions and swaps of
// neighbours (optimal string alignment).
func editDistance(a, b string) int {
	rows := [3][]int{}
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
	}
	before, row, next := rows[0], rows[1], rows[2]
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j-1]+cost, row[j]+1, next[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
