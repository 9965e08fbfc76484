package dynotest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"paas/dyno"
)

// shell runs the part of bash in which the suites' commands are written:
// simple commands joined by ";", quotes, $NAME, ">&2", and
//
//	: true false echo printf seq exit exec sleep read cat stty trap kill perl
//
// where perl means Listen's program and nothing else. Everything else is a
// command not found.
type shell struct {
	p    *process
	vars map[string]string
}

// errEnded says that the process has to end, whatever the script says.
var errEnded = errors.New("the process was ended")

// exitError ends the script.
type exitError int

func (e exitError) Error() string { return "exit " + strconv.Itoa(int(e)) }

// run returns the script's status; ok is false if it was ended from outside.
func (s *shell) run(script string) (status int, ok bool) {
	status, err := s.statements(script)
	var exit exitError
	switch {
	case errors.As(err, &exit):
		return int(exit), true
	case err != nil:
		return 0, false
	}
	return status, true
}

func (s *shell) statements(script string) (status int, err error) {
	for _, words := range s.parse(script) {
		if status, err = s.command(words); err != nil {
			return status, err
		}
		// Bash runs a trap when the command in the foreground has ended.
		select {
		case <-s.p.ending:
			return 0, errEnded
		case <-s.p.term:
			if status, err = s.statements(*s.p.trap.Load()); err != nil {
				return status, err
			}
		default:
		}
	}
	return status, nil
}

// word is one word of a command; raw keeps variables for their time.
type word struct {
	text    string
	literal bool // in single quotes
}

func (s *shell) parse(script string) [][]word {
	var commands [][]word
	var words []word
	var text strings.Builder
	started, literal := false, false
	endWord := func() {
		if started {
			words = append(words, word{text.String(), literal})
		}
		text.Reset()
		started, literal = false, false
	}
	endCommand := func() {
		endWord()
		if len(words) > 0 {
			commands = append(commands, words)
		}
		words = nil
	}
	quote := rune(0)
	for _, r := range script {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			text.WriteRune(r)
		case r == '\'' || r == '"':
			quote, started, literal = r, true, literal || r == '\''
		case r == ';' || r == '\n':
			endCommand()
		case r == ' ' || r == '\t':
			endWord()
		default:
			started = true
			text.WriteRune(r)
		}
	}
	endCommand()
	return commands
}

func (s *shell) expand(words []word) []string {
	args := make([]string, len(words))
	for i, w := range words {
		args[i] = w.text
		if !w.literal {
			args[i] = expandVars(w.text, s.variable)
		}
	}
	return args
}

func expandVars(text string, value func(string) string) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "$")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		braced := strings.HasPrefix(rest, "{")
		rest = strings.TrimPrefix(rest, "{")
		n := strings.IndexFunc(rest, func(r rune) bool {
			return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
		})
		if n < 0 {
			n = len(rest)
		}
		out.WriteString(value(rest[:n]))
		text = rest[n:]
		if braced {
			text = strings.TrimPrefix(text, "}")
		}
	}
}

func (s *shell) variable(name string) string {
	if v, ok := s.vars[name]; ok {
		return v
	}
	return s.p.spec.Env[name]
}

func (s *shell) command(words []word) (int, error) {
	args := s.expand(words)
	out := s.p.stdout
	if i := slices.Index(args, ">&2"); i >= 0 {
		args, out = slices.Delete(args, i, i+1), s.p.stderr
	}
	if len(args) > 1 && args[0] == "exec" {
		args = args[1:]
	}
	name, args := args[0], args[1:]
	arg := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	switch name {
	case ":", "true":
		return 0, nil
	case "false":
		return 1, nil
	case "echo":
		return s.print(out, strings.Join(args, " ")+"\n")
	case "printf":
		return s.printf(out, arg(0), args[min(1, len(args)):])
	case "seq":
		return s.seq(out, arg(0), arg(1))
	case "exit":
		n, err := strconv.Atoi(arg(0))
		if err != nil && arg(0) != "" {
			n = 2
		}
		return 0, exitError(n & 255)
	case "sleep":
		return s.sleep(arg(0))
	case "read":
		line, err := s.readLine()
		if s.vars == nil {
			s.vars = map[string]string{}
		}
		s.vars[arg(0)] = strings.TrimSuffix(line, "\n")
		return status(err), s.interrupted(err)
	case "cat":
		return s.cat(out)
	case "stty":
		size := s.p.size.Load()
		if size == nil {
			return s.print(s.p.stderr, "stty: 'standard input': Inappropriate ioctl for device\n")
		}
		return s.print(out, fmt.Sprintf("%d %d\n", size.Rows, size.Cols))
	case "trap":
		body := arg(0)
		s.p.trap.Store(&body)
		return 0, nil
	case "kill":
		n, _ := strconv.Atoi(strings.TrimPrefix(arg(0), "-"))
		s.p.signal(dyno.Signal(n))
		return 0, nil
	case "perl":
		if arg(0) == "-e" && arg(1) == listenProgram {
			return s.p.serve(), nil
		}
	}
	_, err := s.print(s.p.stderr, "bash: line 1: "+name+": command not found\n")
	return 127, err
}

func status(err error) int {
	if err != nil {
		return 1
	}
	return 0
}

// interrupted is err if the process was ended, else nil.
func (s *shell) interrupted(err error) error {
	if errors.Is(err, errEnded) {
		return err
	}
	return nil
}

func (s *shell) print(w io.Writer, text string) (int, error) {
	if w == nil {
		return 0, nil
	}
	_, err := io.WriteString(w, text)
	return status(err), nil
}

// printf knows %s, %d with flags, and \n.
func (s *shell) printf(w io.Writer, format string, args []string) (int, error) {
	values := make([]any, 0, len(args))
	for _, a := range args {
		if n, err := strconv.Atoi(a); err == nil && strings.Contains(format, "d") {
			values = append(values, n)
			continue
		}
		values = append(values, a)
	}
	text := strings.ReplaceAll(format, `\n`, "\n")
	if len(values) > 0 {
		text = fmt.Sprintf(text, values...)
	}
	return s.print(w, text)
}

func (s *shell) seq(w io.Writer, from, to string) (int, error) {
	first, err1 := strconv.Atoi(from)
	last, err2 := strconv.Atoi(to)
	if err1 != nil || err2 != nil {
		return 1, nil
	}
	for i := first; i <= last; i++ {
		if s.p.ended() {
			return 0, errEnded
		}
		if n, err := s.print(w, strconv.Itoa(i)+"\n"); err != nil || n != 0 {
			return n, err
		}
	}
	return 0, nil
}

// sleep ends early, as every child of the shell, by a signal that it traps.
func (s *shell) sleep(seconds string) (int, error) {
	var timer <-chan time.Time
	if seconds != "infinity" {
		n, err := strconv.ParseFloat(seconds, 64)
		if err != nil {
			return 1, nil
		}
		t := time.NewTimer(time.Duration(n * float64(time.Second)))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-timer:
		return 0, nil
	case <-s.p.term:
		s.p.interrupt() // for statements
		return 143, nil
	case <-s.p.ending:
		return 0, errEnded
	}
}

func (s *shell) readLine() (string, error) {
	if s.p.stdin == nil {
		return "", io.EOF
	}
	type read struct {
		line string
		err  error
	}
	done := make(chan read, 1)
	// Left behind, until the other side closes, if the process ends meanwhile.
	go func() {
		line, err := s.p.stdin.ReadString('\n')
		done <- read{line, err}
	}()
	select {
	case r := <-done:
		return r.line, r.err
	case <-s.p.ending:
		return "", errEnded
	}
}

func (s *shell) cat(w io.Writer) (int, error) {
	for {
		line, err := s.readLine()
		if err := s.interrupted(err); err != nil {
			return 0, err
		}
		if n, perr := s.print(w, line); perr != nil || n != 0 {
			return n, perr
		}
		if err != nil {
			return 0, nil
		}
	}
}

// WaitListening waits until a dyno of the Fake listens.
func (f *Fake) WaitListening(ctx context.Context, id string) error {
	for {
		p, err := f.process(id)
		if err != nil {
			return err
		}
		if p.listening.Load() {
			return nil
		}
		select {
		case <-p.gone:
			return fmt.Errorf("dyno %s ended with %d", id, p.exit.Status)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Millisecond):
		}
	}
}
