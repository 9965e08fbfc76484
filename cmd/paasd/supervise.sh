#!/usr/bin/env bash
# Keeps paasd running where no service manager does, and its log bounded.
#
#   supervise RUN_DIR LOG COMMAND...
#
# Starts the command again whenever it ends. SIGTERM ends the command, then
# this. RUN_DIR/supervise.pid names the process.
set -u

readonly log_limit=$((20 << 20)) # bytes; one older log of this size is kept

main() {
	local run=$1 log=$2
	shift 2
	echo $$ >"$run/supervise.pid"

	local child='' pause=1 started
	stopping=''
	trap 'stopping=yes; [[ -z $child ]] || kill -TERM "$child" 2>/dev/null' TERM INT
	trap '' HUP

	while [[ -z $stopping ]]; do
		started=$SECONDS
		"$@" >>"$log" 2>&1 </dev/null &
		child=$!
		watch "$child" "$log"
		child=''
		[[ -z $stopping ]] || break
		echo "supervise: $1 ended, starting it again in $pause s" >>"$log"
		nap "$pause"
		# One that keeps dying young is started less and less often.
		if ((SECONDS - started > 60)); then
			pause=1
		elif ((pause < 30)); then
			pause=$((pause * 2))
		fi
	done
	rm -f "$run/supervise.pid"
}

# watch PID LOG waits until the process has ended.
watch() {
	local pid=$1 log=$2
	while kill -0 "$pid" 2>/dev/null; do
		if [[ $(stat -c %s "$log") -gt $log_limit ]]; then
			# The process appends to the file that it has open: empty that one.
			cp "$log" "$log.1"
			: >"$log"
		fi
		nap 30 "$pid"
	done
	wait "$pid" 2>/dev/null
}

# nap SECONDS [PID] sleeps, but not longer than the process runs or until a
# signal comes.
nap() {
	sleep "$1" &
	local sleeper=$!
	wait -n "$sleeper" ${2:+"$2"} 2>/dev/null
	kill "$sleeper" 2>/dev/null
	wait "$sleeper" 2>/dev/null
}

main "$@"
