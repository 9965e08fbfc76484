package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"paas/api"
)

// report shows an error as Heroku's CLI does, on stderr, and returns the exit
// status.
func report(w io.Writer, err error) int {
	var usage *usageError
	if errors.As(err, &usage) {
		show(w, usage.message)
		return exitUsage
	}
	var known *api.Error
	if errors.As(err, &known) {
		show(w, known.Message)
		switch known.ID {
		case api.Unauthorized:
			show(w, "Log in again: paas login")
		case api.NotFound, api.InvalidParams, api.Conflict, api.Forbidden, api.Unavailable:
		default:
			show(w, "Error ID: "+string(known.ID))
		}
		return exitFail
	}
	show(w, err.Error())
	return exitFail
}

func show(w io.Writer, message string) {
	for line := range strings.Lines(message) {
		fmt.Fprintf(w, " ▸    %s\n", strings.TrimRight(line, "\n"))
	}
}

// unknown suggests the command that was probably meant.
func unknown(name string) error {
	best, distance := "", 3
	for _, cmd := range commands() {
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

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
