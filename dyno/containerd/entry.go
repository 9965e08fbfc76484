package containerd

// initPath is where tini is mounted: it is PID 1, reaps orphans, and ends with
// the status of the command.
const initPath = "/.paas/tini"

// entryScript starts a dyno's command as Heroku does: it sources the profile
// scripts of the slug, in the order of their bytes, then $HOME/.profile, then
// runs the command by bash. The command is $1, so nothing of it is ever part of
// a script of ours.
//
// The scripts are sourced at the top level, where `declare` makes globals. They
// see no arguments, and neither their `set --` nor the locale needed for
// sorting reaches anything else.
const entryScript = `__paas_command=$1
__paas_list() { local LC_ALL=C f; for f in "$HOME"/.profile.d/*.sh; do __paas_files+=("$f"); done; }
__paas_list
unset -f __paas_list
for __paas_file in "${__paas_files[@]}"; do
  set --
  if [ -r "$__paas_file" ]; then . "$__paas_file"; fi
done
set --
if [ -r "$HOME/.profile" ]; then . "$HOME/.profile"; fi
exec bash -c "$__paas_command"
`

// entry is the argv of a dyno. joined puts both outputs into one pipe, which
// keeps their order.
func entry(command string, joined bool) []string {
	script := entryScript
	if joined {
		script = "exec 2>&1\n" + script
	}
	return []string{initPath, "--", "bash", "--noprofile", "--norc", "-c", script, "bash", command}
}

// sandboxEntry runs a command with both outputs in one pipe.
func sandboxEntry(argv []string) []string {
	return append([]string{initPath, "--", "sh", "-c", `exec "$@" 2>&1`, "sh"}, argv...)
}
