package cli

import (
	"errors"
	"fmt"
	"strings"

	"paas/api"
)

// shellQuote quotes for a POSIX shell: the dyno's, or that of people who paste
// it. Nothing here runs it.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:@%+,=", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return fmt.Sprintf("'%s'", strings.ReplaceAll(s, "'", `'\''`))
}

// assignment is one NAME=VALUE.
type assignment struct{ name, value string }

// parseAssignments reads NAME=VALUE lines as a shell would, without anything
// being expanded: blank lines, comments, a word "export" in front, quotes
// (which may hold newlines), a backslash outside of single quotes. Other than
// for a shell, an unquoted value may have blanks in it. Errors show nothing of
// the text: it holds secrets.
func parseAssignments(text string) ([]assignment, error) {
	var all []assignment
	rest := text
	for number := 1; rest != ""; {
		line, after, _ := strings.Cut(rest, "\n")
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || trimmed[0] == '#' {
			rest = after
			number++
			continue
		}
		name, _, ok := strings.Cut(trimmed, "=")
		name = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(name), "export "))
		if !ok || api.CheckConfigKey(name) != nil {
			return nil, fmt.Errorf("line %d is not NAME=VALUE, or NAME cannot be set", number)
		}
		value, left, err := unquote(rest[strings.Index(rest, "=")+1:])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		number += strings.Count(rest[:len(rest)-len(left)], "\n")
		rest = left
		all = append(all, assignment{name, value})
	}
	return all, nil
}

// unquote reads one value up to the end of its line and returns what follows.
func unquote(s string) (value, rest string, err error) {
	var b strings.Builder
	s = strings.TrimLeft(s, " \t")
	quote := byte(0)
	kept := 0 // length of the value up to the last byte that was quoted
	for i := 0; i < len(s); i++ {
		switch ch := s[i]; {
		case ch == '\\' && quote != '\'' && i+1 < len(s):
			i++
			if quote == '"' && !strings.ContainsRune("\"\\$`", rune(s[i])) {
				b.WriteByte('\\') // as a shell keeps it
			}
			b.WriteByte(s[i])
			kept = b.Len()
		case quote != 0 && ch == quote:
			quote = 0
			kept = b.Len()
		case quote == 0 && (ch == '\'' || ch == '"'):
			quote = ch
		case quote == 0 && ch == '#' && i > 0 && (s[i-1] == ' ' || s[i-1] == '\t'):
			_, rest, _ = strings.Cut(s[i:], "\n")
			return trimEnd(b.String(), kept), rest, nil
		case quote == 0 && ch == '\n':
			return trimEnd(b.String(), kept), s[i+1:], nil
		default:
			b.WriteByte(ch)
		}
	}
	if quote != 0 {
		return "", "", errors.New("a quote is not closed")
	}
	return trimEnd(b.String(), kept), "", nil
}

// trimEnd drops the blanks behind an unquoted end.
func trimEnd(s string, kept int) string {
	return s[:kept] + strings.TrimRight(s[kept:], " \t\r")
}
