package stack

import (
	"fmt"
	"io"
	"time"
)

// narrator tells what happens to layers: as plain lines to an operator, or as
// part of a build to somebody who pushes.
type narrator struct {
	w    io.Writer
	push bool
}

func (n narrator) waiting(stack string) {
	if n.push {
		fmt.Fprintf(n.w, "       Waiting for the %s stack, which is being built\n", stack)
	} else {
		fmt.Fprintf(n.w, "waiting for another build of stack %s\n", stack)
	}
}

func (n narrator) unchanged(layer string) {
	if !n.push {
		fmt.Fprintf(n.w, "layer %s is unchanged\n", layer)
	}
}

func (n narrator) begins(layer string, packages int, d distribution) {
	if n.push {
		fmt.Fprintf(n.w, "-----> Preparing %s (once for all apps on this host)\n", layer)
		fmt.Fprintf(n.w, "       Installing packages of %s\n", d.Title)
	} else {
		fmt.Fprintf(n.w, "building layer %s: %d packages of %s, and what they need\n", layer, packages, d.Title)
	}
}

func (n narrator) done(layer string, r record, took time.Duration) {
	if n.push {
		fmt.Fprintf(n.w, "       done (%.1fs)\n", took.Seconds())
	} else {
		fmt.Fprintf(n.w, "built layer %s: %d packages, %.0f MB compressed, %.1f s\n",
			layer, len(r.Packages), float64(r.Layer.Size)/1e6, took.Seconds())
	}
}
