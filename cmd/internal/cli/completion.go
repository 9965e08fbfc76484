package cli

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

var completionCommand = &Command{
	Name: "completion", Args: "bash|zsh|fish", Short: "print a completion script for a shell",
	Long: `Examples:
  $ paas completion bash > /etc/bash_completion.d/paas
  $ paas completion zsh > "${fpath[1]}/_paas"
  $ paas completion fish > ~/.config/fish/completions/paas.fish`,
	Run: func(_ context.Context, c *Call) error {
		if err := c.args(1, 1); err != nil {
			return err
		}
		script, ok := completionScripts[c.Args[0]]
		if !ok {
			return usagef("%s is not a shell that is known: bash, zsh or fish.", c.Args[0])
		}
		c.print("%s", script)
		return nil
	},
}

// complete is what the scripts call, with the words typed so far: it prints
// what the last one may become.
func complete(ctx context.Context, c *Call) error {
	words := c.Args
	if len(words) == 0 {
		words = []string{""}
	}
	last := words[len(words)-1]
	for _, w := range c.offers(ctx, words[:len(words)-1], last) {
		if strings.HasPrefix(w, last) {
			c.print("%s\n", w)
		}
	}
	return nil
}

// offers lists words that may follow before. Nothing to offer is no error
// while somebody types.
func (c *Call) offers(ctx context.Context, before []string, last string) []string {
	name, args := commandName(before)
	cmd := find(name)
	if n := len(before); n > 0 && (before[n-1] == "-a" || before[n-1] == "--app") && (cmd == nil || cmd.App) {
		return c.offerApps(ctx)
	}
	var words []string
	switch {
	case cmd == nil && strings.HasPrefix(last, "-"):
		words = []string{"--app", "--help", "--version"}
	case cmd == nil && name == "", name == "help":
		for _, known := range commands() {
			if !known.Hidden {
				words = append(words, append([]string{known.Name}, known.Aliases...)...)
			}
		}
	case cmd == nil:
	case strings.HasPrefix(last, "-"):
		flagsOf(cmd).VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				words = append(words, "--"+f.Name)
			}
		})
		words = append(words, "--help")
	case cmd == completionCommand:
		words = slices.Sorted(maps.Keys(completionScripts))
	case cmd == configGetCommand || cmd == configUnsetCommand:
		words = c.offerConfig(ctx, cmd, args)
	}
	return words
}

func (c *Call) offerApps(ctx context.Context) []string {
	cl, err := c.Client()
	if err != nil {
		return nil
	}
	apps, err := cl.Apps(ctx, false)
	if err != nil {
		return nil
	}
	names := make([]string, len(apps))
	for i, a := range apps {
		names[i] = a.Name
	}
	return names
}

// offerConfig lists names of config vars of the app that the command line so
// far is about.
func (c *Call) offerConfig(ctx context.Context, cmd *Command, args []string) []string {
	typed := &Call{cmd: cmd, flags: flagsOf(cmd), settings: c.settings}
	if typed.flags.Parse(args) != nil {
		return nil
	}
	app, cl, err := typed.appClient(ctx)
	if err != nil {
		return nil
	}
	config, err := cl.Config(ctx, app)
	if err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(config))
}

// The shells' own scripts are fixed texts; what they complete comes from
// __complete. Bash splits words at colons, so its script reads the line itself
// and takes what stands before the last colon off the answers.
var completionScripts = map[string]string{
	"bash": `_paas() {
  local line="${COMP_LINE:0:COMP_POINT}" last IFS=$' \t\n'
  local -a words
  read -ra words <<<"$line"
  [[ $line == *[[:blank:]] ]] && words+=("")
  last="${words[${#words[@]}-1]}"
  IFS=$'\n'
  COMPREPLY=($("$1" __complete -- "${words[@]:1}" 2>/dev/null))
  if [[ $last == *:* && $COMP_WORDBREAKS == *:* ]]; then
    COMPREPLY=("${COMPREPLY[@]#"${last%"${last##*:}"}"}")
  fi
}
complete -o default -F _paas paas
`,
	"zsh": `#compdef paas
_paas() {
  local -a found
  found=("${(@f)$("${words[1]}" __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "$found" ]]; then
    compadd -a found
  else
    _files
  fi
}
if [[ "$funcstack[1]" = "_paas" ]]; then
  _paas "$@"
else
  compdef _paas paas
fi
`,
	"fish": `complete -c paas -a '(paas __complete -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
`,
}
