package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// The figures that compare with another program on the same machine.
var benchmarks = []struct {
	about string
	args  []string
}{
	{"dyno start next to the bare containerd client (target: ≤ 1.5 ×)", []string{"test", "-run", "^$", "-bench", "^BenchmarkStart$", "-benchtime", "30x", "./dyno/containerd"}},
	{"receiving a push next to stock git + OpenSSH (target: ≤ 1.1 ×)", []string{"test", "-run", "^$", "-bench", "^BenchmarkReceive$", "-benchtime", "9x", "./api/gitssh"}},
}

// goBenchmarks runs them, or says how.
func goBenchmarks(ctx context.Context, o options, w io.Writer) error {
	for _, b := range benchmarks {
		fmt.Fprintf(w, "\n%s:\n\n```\n$ %s\n", b.about, commandLine(append([]string{"go"}, b.args...)))
		if o.goBench {
			cmd := exec.CommandContext(ctx, "go", b.args...)
			cmd.Dir, cmd.Stdout, cmd.Stderr = o.source, w, os.Stderr
			if err := cmd.Run(); err != nil {
				return fmt.Errorf("go test: %w", err)
			}
		}
		fmt.Fprint(w, "```\n")
	}
	return nil
}

// commandLine is a command as people type it.
func commandLine(args []string) string {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = a
		if strings.ContainsAny(a, "^$()|* ") {
			words[i] = "'" + a + "'"
		}
	}
	return strings.Join(words, " ")
}
