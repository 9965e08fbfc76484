package build

import (
	"regexp"
	"strings"

	"paas/api"
)

// ignoreFile names what is not for the slug.
const ignoreFile = ".slugignore"

// maxPatterns bounds what is matched against every file of a source.
const maxPatterns = 500

// ignore is a parsed .slugignore: the syntax of .gitignore, but for negation,
// which Heroku does not have either.
type ignore struct {
	any  *regexp.Regexp // nil = matches nothing
	dirs *regexp.Regexp // patterns that end in "/"
}

func parseIgnore(text string) (*ignore, error) {
	var anything, dirs []string
	for line := range strings.Lines(text) {
		expr, dirOnly := translate(strings.TrimRight(line, "\r\n"))
		switch {
		case expr == "":
		case dirOnly:
			dirs = append(dirs, expr)
		default:
			anything = append(anything, expr)
		}
	}
	if len(anything)+len(dirs) > maxPatterns {
		return nil, api.Errorf(api.InvalidParams, "%s has more than %d patterns.", ignoreFile, maxPatterns)
	}
	i := &ignore{}
	var err error
	if len(anything) > 0 {
		if i.any, err = regexp.Compile(`^(?s:` + strings.Join(anything, "|") + `)$`); err != nil {
			return nil, api.Errorf(api.InvalidParams, "%s cannot be understood: %v.", ignoreFile, err)
		}
	}
	if len(dirs) > 0 {
		if i.dirs, err = regexp.Compile(`^(?s:` + strings.Join(dirs, "|") + `)$`); err != nil {
			return nil, api.Errorf(api.InvalidParams, "%s cannot be understood: %v.", ignoreFile, err)
		}
	}
	return i, nil
}

// match asks for one path; what lies below a directory that matches is not
// asked for.
func (i *ignore) match(rel string, dir bool) bool {
	return i.any != nil && i.any.MatchString(rel) || dir && i.dirs != nil && i.dirs.MatchString(rel)
}

// translate turns one line into a regular expression, "" if it has no pattern.
func translate(line string) (expr string, dirOnly bool) {
	if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "!") {
		return "", false
	}
	for strings.HasSuffix(line, " ") && !strings.HasSuffix(line, `\ `) {
		line = line[:len(line)-1]
	}
	line, dirOnly = strings.CutSuffix(line, "/")
	if line == "" {
		return "", false
	}
	anchored := strings.Contains(line, "/")
	line = strings.TrimPrefix(line, "/")
	var b strings.Builder
	if !anchored {
		b.WriteString(`(?:.*/)?`)
	}
	for i := 0; i < len(line); i++ {
		rest := line[i:]
		atStart := i == 0 || line[i-1] == '/'
		switch {
		case atStart && strings.HasPrefix(rest, "**/"):
			b.WriteString(`(?:.*/)?`)
			i += 2
		case atStart && rest == "**":
			b.WriteString(`.+`)
			i++
		case line[i] == '*':
			b.WriteString(`[^/]*`)
			for i+1 < len(line) && line[i+1] == '*' { // more of them are one
				i++
			}
		case line[i] == '?':
			b.WriteString(`[^/]`)
		case line[i] == '[':
			class, n := translateClass(rest)
			b.WriteString(class)
			i += n - 1
		case line[i] == '\\' && i+1 < len(line):
			i++
			b.WriteString(quoteByte(line[i]))
		default:
			b.WriteString(quoteByte(line[i]))
		}
	}
	return b.String(), dirOnly
}

// translateClass turns "[a-z]" into the same of regexp, and tells its length.
// Without an end it is a plain "[".
func translateClass(s string) (string, int) {
	i := 1
	negate := i < len(s) && (s[i] == '!' || s[i] == '^')
	if negate {
		i++
	}
	var items []string
	for first := true; i < len(s); first = false {
		if s[i] == ']' && !first {
			set := strings.Join(items, "")
			if negate {
				return "[^/" + set + "]", i + 1
			}
			return "[" + set + "]", i + 1
		}
		low, next := classByte(s, i)
		if next+1 < len(s) && s[next] == '-' && s[next+1] != ']' {
			high, after := classByte(s, next+1)
			if low <= high {
				items = append(items, escapeByte(low)+"-"+escapeByte(high))
			} else {
				items = append(items, escapeByte(low))
			}
			i = after
			continue
		}
		items = append(items, escapeByte(low))
		i = next
	}
	return `\[`, 1
}

func classByte(s string, i int) (byte, int) {
	if s[i] == '\\' && i+1 < len(s) {
		i++
	}
	return s[i], i + 1
}

func escapeByte(c byte) string {
	if c < 0x80 {
		return `\x` + string("0123456789abcdef"[c>>4]) + string("0123456789abcdef"[c&15])
	}
	return string([]byte{c})
}

func quoteByte(c byte) string {
	if c < 0x80 {
		return regexp.QuoteMeta(string(rune(c)))
	}
	return string([]byte{c}) // a part of a longer character
}
