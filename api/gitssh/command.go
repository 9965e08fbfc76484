package gitssh

import (
	"errors"
	"strings"
)

// verb is what a client may ask for.
type verb string

const (
	push  verb = "git-receive-pack"
	fetch verb = "git-upload-pack"
)

// errCommand says that a command is none of git's.
var errCommand = errors.New("not a git command")

// parseCommand reads what git makes ssh say: git-receive-pack 'name.git', with
// or without the quotes, a leading slash (ssh:// URLs) and the suffix. The
// name is not checked.
func parseCommand(line string) (verb, string, error) {
	words, err := split(line)
	if err != nil {
		return "", "", err
	}
	if len(words) == 3 && words[0] == "git" {
		words = []string{"git-" + words[1], words[2]}
	}
	if len(words) != 2 {
		return "", "", errCommand
	}
	v := verb(words[0])
	if v != push && v != fetch {
		return "", "", errCommand
	}
	name := strings.TrimPrefix(words[1], "/")
	name = strings.TrimSuffix(name, "/")
	return v, strings.TrimSuffix(name, ".git"), nil
}

// maxCommand bounds a command line: names are short.
const maxCommand = 1024

// split cuts a line into words by the quoting rules that git and other clients
// use: '...', "..." and \ outside of quotes. It is no shell: nothing is
// expanded, and whatever a shell would act on is just a character.
func split(line string) ([]string, error) {
	if len(line) > maxCommand {
		return nil, errCommand
	}
	var words []string
	var word strings.Builder
	begun := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == ' ' || c == '\t':
			if begun {
				words = append(words, word.String())
				word.Reset()
				begun = false
			}
			continue
		case c == '\'' || c == '"':
			end := strings.IndexByte(line[i+1:], c)
			if end < 0 {
				return nil, errCommand
			}
			word.WriteString(line[i+1 : i+1+end])
			i += end + 1
		case c == '\\':
			if i++; i == len(line) {
				return nil, errCommand
			}
			word.WriteByte(line[i])
		case c < ' ' || c == 0x7f:
			return nil, errCommand
		default:
			word.WriteByte(c)
		}
		begun = true
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}
