package boot

import (
	"fmt"
	"strings"
)

// Options are the command line of a boot script.
type Options struct {
	ServerInclude string   // -C
	ServerConfig  string   // -c
	FPMInclude    string   // -F
	FPMConfig     string   // -f
	PHPConfig     string   // -i
	Logs          []string // -l
	Port          string   // -p
	Test          int      // -t, counted
	Verbose       bool     // -v
	Help          bool     // -h
	Root          string   // the document root, relative to the app
}

// UsageError is a command line that cannot be understood.
type UsageError struct{ Message string }

func (e *UsageError) Error() string { return e.Message }

// ParseOptions reads a command line as getopts does: options first, short
// ones may be joined ("-tv"), "--" ends them.
func ParseOptions(args []string) (Options, error) {
	var o Options
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "-" {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			break
		}
		if strings.HasPrefix(arg, "--") {
			if err := o.long(arg); err != nil {
				return o, err
			}
			continue
		}
		rest, err := o.short(arg[1:], args)
		if err != nil {
			return o, err
		}
		args = rest
	}
	if len(args) > 1 {
		return o, &UsageError{"too many arguments. If you're using options,\nmake sure to list them before any document root argument you're providing."}
	}
	if len(args) == 1 {
		o.Root = args[0]
	}
	return o, nil
}

func (o *Options) long(arg string) error {
	switch arg {
	case "--verbose":
		o.Verbose = true
	case "--test":
		o.Test++
	case "--help":
		o.Help = true
	default:
		return &UsageError{"Invalid option: " + arg}
	}
	return nil
}

// short reads the letters of one argument; a letter that takes a value takes
// what follows it, or the next argument. It returns the arguments left.
func (o *Options) short(letters string, rest []string) ([]string, error) {
	for i := 0; i < len(letters); i++ {
		switch letters[i] {
		case 'v':
			o.Verbose = true
			continue
		case 't':
			o.Test++
			continue
		case 'h':
			o.Help = true
			continue
		}
		set := o.valueOf(letters[i])
		if set == nil {
			return nil, &UsageError{fmt.Sprintf("Invalid option: -%c", letters[i])}
		}
		value := letters[i+1:]
		if value == "" {
			if len(rest) == 0 {
				return nil, &UsageError{fmt.Sprintf("Option -%c requires an argument", letters[i])}
			}
			value, rest = rest[0], rest[1:]
		}
		set(value)
		return rest, nil
	}
	return rest, nil
}

func (o *Options) valueOf(letter byte) func(string) {
	text := map[byte]*string{
		'C': &o.ServerInclude, 'c': &o.ServerConfig, 'F': &o.FPMInclude,
		'f': &o.FPMConfig, 'i': &o.PHPConfig, 'p': &o.Port,
	}[letter]
	switch {
	case text != nil:
		return func(v string) { *text = v }
	case letter == 'l':
		return func(v string) { o.Logs = append(o.Logs, v) }
	}
	return nil
}

// help is the text of -h.
func help(s Server) string {
	return fmt.Sprintf(`
Boots PHP-FPM together with %[2]s on Heroku and for local development.

Usage:
  %[1]s [options] [<DOCUMENT_ROOT>]

Options:
  -C <include.conf>       File to include inside the %[3]s section. Recommended
                          for most changes to %[2]s's configuration.
  -c <server.conf>        File in the place of the whole default configuration
                          of the site; it must listen on the port in $PORT.
  -F <php-fpm.inc.conf>   File to include at the end of the [www] pool.
  -f <php-fpm.conf>       File in the place of the default PHP-FPM configuration.
  -h, --help              Show this help and exit.
  -i <php.ini>            The php.ini to use.
  -l <tailme.log>         Another log file to show. It is made if it does not
                          exist. Wildcards must be quoted and match files that
                          exist. Can be repeated.
  -p <PORT>               Port to listen on; default $PORT, else a random one.
  -t, --test              Test the configuration of PHP-FPM and %[2]s, and exit.
                          Repeated: also show PHP-FPM's (-tt), %[2]s's (-ttt),
                          or both (-tttt).
  -v, --verbose           Say more during startup.

All file paths are relative to the current directory. A file whose name ends
in '.php' is run through PHP first, and what it prints is used.
`, s.Command, s.Name, s.Section)
}
