package cli

import (
	"context"
	"strings"
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

// complete is what the scripts call: it prints what may come next.
func complete(ctx context.Context, c *Call) error {
	words := c.Args
	last := ""
	if len(words) > 0 {
		last = words[len(words)-1]
	}
	if len(words) >= 2 && (words[len(words)-2] == "-a" || words[len(words)-2] == "--app") {
		api, err := c.Client()
		if err != nil {
			return nil // nothing to offer is no error while typing
		}
		apps, err := api.Apps(ctx, false)
		if err != nil {
			return nil
		}
		for _, a := range apps {
			if strings.HasPrefix(a.Name, last) {
				c.print("%s\n", a.Name)
			}
		}
		return nil
	}
	if len(words) > 1 {
		return nil
	}
	for _, cmd := range commands() {
		for _, n := range append([]string{cmd.Name}, cmd.Aliases...) {
			if !cmd.Hidden && strings.HasPrefix(n, last) {
				c.print("%s\n", n)
			}
		}
	}
	return nil
}

// The shells' own scripts are fixed texts; what they complete comes from
// __complete. Bash splits words at colons, so its script joins them again.
var completionScripts = map[string]string{
	"bash": `_paas() {
  local cur words cword prefix
  if declare -F _get_comp_words_by_ref >/dev/null; then
    _get_comp_words_by_ref -n : cur words cword
  else
    cur="${COMP_WORDS[COMP_CWORD]}" words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
  fi
  local IFS=$'\n'
  COMPREPLY=($(paas __complete "${words[@]:1:cword}" 2>/dev/null))
  if [[ $cur == *:* ]]; then
    prefix="${cur%"${cur##*:}"}"
    COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
  fi
}
complete -F _paas paas
`,
	"zsh": `#compdef paas
_paas() {
  local -a found
  found=("${(@f)$(paas __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  compadd -a found
}
compdef _paas paas
`,
	"fish": `complete -c paas -f -a '(paas __complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
`,
}
