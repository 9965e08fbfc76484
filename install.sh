#!/usr/bin/env bash
# Installs paas on this machine, shows it, tests it, and takes it away again.
# "./install.sh help" tells how.
#
# Every step can be repeated: what is there and unchanged is left alone. A step
# that fails says which one it was and why, and nothing goes on after it.
set -Eeuo pipefail

# What the platform needs on a host.
readonly PACKAGES=(
	ca-certificates containernetworking-plugins curl gcc git iproute2 libc6-dev libseccomp-dev
	mmdebstrap nftables openssh-client pkg-config procps tini unzip util-linux zstd
)
# What the tests need on top of it.
readonly TEST_PACKAGES=(bzip2 iptables jq openssh-server shellcheck skopeo tmux)

readonly BIN=/usr/local/bin
# Whose registries the go command and npm ask unless told otherwise.
readonly GO_DOMAIN=golang.org NPM_DOMAIN=npmjs.org
readonly PROGRAMS=(paas paasd paas-buildpack)
readonly UNIT_DIR=/etc/systemd/system
# Notes of what was made here that is not recognised by its name.
readonly NOTES=/etc/paas/installed

# The settings that are one value each; default values are those of paasd.
declare -rA DEFAULTS=(
	[data_dir]=/var/lib/paas
	[run_dir]=/run/paas
	[engine_dir]=/usr/local/lib/paas
	[cni_dir]=/usr/lib/cni
	[domain]=localhost
	[router_addr]=:80
	[ssh_addr]=:2222
	[api_addr]=127.0.0.1:5000
	[containerd_address]=''
	[network]=10.209.0.0/16
	[bridge]=paas0
	[stack]=heroku-22
	[stack_profile]=''
	[ca_bundle]=''
)

usage() {
	cat <<'USAGE'
Usage: sudo ./install.sh [COMMAND] [OPTIONS]

Commands
  (none)                 install paas, or bring an installed one up to date
  demo [SAMPLE]          the same, then push a sample app (go, node, php, static
                         or procfile) twice, and roll it back
  test                   install what the tests need, and run all of them
  uninstall [--purge]    take paas away; with --purge all apps, too
  help                   this text

Options, each also a variable (PAAS_DATA_DIR ...) and a key of the configuration
file (data_dir ...):
  --data-dir DIR         apps, slugs, releases, database (/var/lib/paas)
  --run-dir DIR          what a reboot may clear (/run/paas)
  --engine-dir DIR       the container engine's programs (/usr/local/lib/paas)
  --cni-dir DIR          network plugins (/usr/lib/cni)
  --domain NAME          apps answer at http://APP.NAME (localhost)
  --router-addr ADDR     where apps answer (:80)
  --ssh-addr ADDR        where git pushes to (:2222)
  --api-addr ADDR        API and console, unencrypted: keep it on loopback
                         (127.0.0.1:5000)
  --containerd-address SOCKET
                         use this containerd and not one of our own
  --network CIDR         addresses of dynos (10.209.0.0/16)
  --bridge NAME          their bridge (paas0)
  --stack NAME           stack of new apps (heroku-22)
  --stack-profile lite   a small stack that is made quickly, for trying out
  --ca-bundle FILE       certificates that builds trust

And
  --config FILE          the configuration file (/etc/paas/paasd.toml)
  --email ADDRESS        of the first account

Behind a proxy or with registries of your own: the module proxy of "go env", the
registry of "npm config", http_proxy, https_proxy, no_proxy and the certificates
of this machine become the [build_env] of a new configuration file, so builds
reach what this machine reaches. With sudo, use "sudo -E" to hand variables on.
USAGE
}

main() {
	SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
	readonly SOURCE
	local command=install
	CONFIG=${PAAS_CONFIG:-/etc/paas/paasd.toml}
	EMAIL=${PAAS_EMAIL:-}
	PURGE=''
	SAMPLE=go
	GIVEN=() # settings that were asked for: they go into the configuration file

	case ${1:-} in
	install | demo | test | uninstall | help)
		command=$1
		shift
		;;
	-h | --help)
		command=help
		shift
		;;
	esac
	if [[ $command == demo && $# -gt 0 && $1 != -* ]]; then
		SAMPLE=$1
		shift
	fi
	options "$@"

	case $command in
	help)
		usage
		return
		;;
	demo)
		[[ -d $SOURCE/cmd/paas-bench/samples/$SAMPLE ]] || die "there is no sample $SAMPLE"
		;;
	esac

	[[ $(id -u) -eq 0 ]] || die "this must be done as root: sudo $0 $command"
	trap 'failed $? $LINENO "$BASH_COMMAND"' ERR
	WORK=$(mktemp -d)
	trap 'rm -rf "$WORK"' EXIT
	chmod 0711 "$WORK" # the invoking user has a directory in it
	begun=$(now)
	cd "$SOURCE"
	invoking_user

	case $command in
	install)
		install_all
		next_steps
		;;
	demo)
		install_all
		demo
		;;
	test) run_tests ;;
	uninstall) uninstall ;;
	esac
}

# options reads what follows the command.
options() {
	local name value key
	while [[ $# -gt 0 ]]; do
		name=$1
		shift
		case $name in
		--purge)
			PURGE=yes
			continue
			;;
		-h | --help)
			usage
			exit 0
			;;
		--*=*)
			value=${name#*=}
			name=${name%%=*}
			;;
		--*)
			[[ $# -gt 0 ]] || die "$name needs a value"
			value=$1
			shift
			;;
		*) die "there is no command or option $name; try ./install.sh help" ;;
		esac
		case $name in
		--config) CONFIG=$value ;;
		--email) EMAIL=$value ;;
		*)
			key=${name#--}
			key=${key//-/_}
			[[ -v DEFAULTS[$key] ]] || die "there is no option $name; try ./install.sh help"
			printf -v "PAAS_${key^^}" '%s' "$value"
			;;
		esac
	done
	[[ $CONFIG == /* ]] || CONFIG=$PWD/$CONFIG
	for key in "${!DEFAULTS[@]}"; do
		name=PAAS_${key^^}
		if [[ -n ${!name:-} ]]; then
			GIVEN+=("$key")
			export "${name?}"
		fi
	done
}

# --- Saying what happens ----------------------------------------------------

die() {
	echo " !     install.sh: $*" >&2
	exit 1
}

failed() {
	trap - ERR
	echo " !     install.sh: failed at \"${STEP:-start}\": line $2, status $1: $3" >&2
	exit 1
}

# now prints milliseconds.
now() {
	local t=${EPOCHREALTIME/[.,]/}
	echo $((t / 1000))
}

seconds() {
	printf '%d.%d s' $(($1 / 1000)) $(($1 % 1000 / 100))
}

# step TITLE FUNCTION [ARGUMENT...] does one step and says how long it took.
step() {
	STEP=$1
	local start
	start=$(now)
	echo "-----> $STEP"
	shift
	"$@"
	echo "       ($(seconds $(($(now) - start))))"
}

say() { echo "       $*"; }

indented() { sed -u 's/^/       /'; }

# --- Settings ---------------------------------------------------------------

# setting KEY prints a setting: of a flag or variable, else of the
# configuration file, else the default one.
setting() {
	local variable=PAAS_${1^^} line
	if [[ -n ${!variable:-} ]]; then
		echo "${!variable}"
		return
	fi
	if [[ -r $CONFIG ]]; then
		# Top-level keys come before the first table. Only strings are asked for.
		line=$(awk -v key="$1" '
			/^[[:space:]]*\[/ { exit }
			match($0, "^[[:space:]]*" key "[[:space:]]*=[[:space:]]*") {
				rest = substr($0, RLENGTH + 1)
				quote = substr(rest, 1, 1)
				rest = substr(rest, 2)
				print "=" substr(rest, 1, index(rest, quote) - 1)
				exit
			}' "$CONFIG")
		if [[ -n $line ]]; then
			echo "${line#=}"
			return
		fi
	fi
	echo "${DEFAULTS[$1]}"
}

# quoted VALUE prints a TOML string.
quoted() {
	[[ $1 != *[[:cntrl:]]* ]] || die "a setting must not have control characters: $1"
	local v=${1//\\/\\\\}
	printf '"%s"' "${v//\"/\\\"}"
}

# local_address ADDR prints host:port by which this machine reaches a listener.
local_address() {
	local host=${1%:*} port=${1##*:}
	case $host in
	'' | 0.0.0.0 | '[::]' | '*') host=127.0.0.1 ;;
	esac
	echo "$host:$port"
}

port_of() { echo "${1##*:}"; }

# set_keys writes the settings that were asked for into the configuration file.
set_keys() {
	local key draft
	[[ ${#GIVEN[@]} -gt 0 ]] || return 0
	for key in "${GIVEN[@]}"; do
		[[ $(unset "PAAS_${key^^}" && setting "$key") != "$(setting "$key")" ]] || continue
		draft=$(mktemp "$CONFIG.XXXXXX")
		line="$key = $(quoted "$(setting "$key")")" awk -v key="$key" '
			function put() { if (!done) print ENVIRON["line"]; done = 1 }
			/^[[:space:]]*\[/ && !table { put(); table = 1 }
			!table && $0 ~ "^[[:space:]]*" key "[[:space:]]*=" { put(); next }
			{ print }
			END { put() }' "$CONFIG" >"$draft"
		chmod 0600 "$draft"
		mv "$draft" "$CONFIG"
		say "set $key to $(setting "$key")"
	done
}

# --- Installing -------------------------------------------------------------

install_all() {
	step "Looking at this machine" check_machine
	step "Debian packages" packages "${PACKAGES[@]}"
	step "Go" find_go
	step "Container engine" engine
	step "Programs" programs
	step "Configuration" configuration
	step "Stopping the paasd that runs" stop_daemon
	step "What paasd needs" needs
	step "Stack" stack
	step "Starting paasd" start_daemon
	step "First account" account
	local took
	took=$(seconds $(($(now) - begun)))
	mkdir -p "$(dirname "$NOTES")"
	echo "took $took" >>"$NOTES" # paas-bench tells it
	say ""
	say "All of it took $took."
}

check_machine() {
	[[ -r /etc/os-release ]] || die "cannot tell which system this is: there is no /etc/os-release"
	local id codename pretty
	id=$(os_release ID)
	codename=$(os_release VERSION_CODENAME)
	pretty=$(os_release PRETTY_NAME)
	case "$id:$codename" in
	debian:bookworm | debian:trixie | ubuntu:noble) ;;
	debian:* | ubuntu:*) say "$pretty is not one of those this was made for (Debian 12, Debian 13, Ubuntu 24.04); trying all the same" ;;
	*) die "paas runs on Debian 12, Debian 13 and Ubuntu 24.04; this is $pretty" ;;
	esac
	case $(uname -m) in
	x86_64 | aarch64) ;;
	*) die "paas runs on x86_64 and aarch64; this is $(uname -m)" ;;
	esac
	local major minor
	IFS=.- read -r major minor _ <<<"$(uname -r)"
	((major > 5 || (major == 5 && minor >= 19))) ||
		die "Linux 5.19 or newer is needed (idmapped overlay layers); this is $(uname -r)"
	say "$pretty, Linux $(uname -r), $(nproc) cores, $(awk '/^MemTotal/ { printf "%.1f GB", $2 / 1e6 }' /proc/meminfo) of memory"
}

os_release() {
	(
		# shellcheck source=/dev/null
		. /etc/os-release
		echo "${!1:-}"
	)
}

# packages NAME... installs those that are missing.
packages() {
	local name missing=()
	for name in "$@"; do
		[[ $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) == installed ]] || missing+=("$name")
	done
	# The stack is made of the distribution's packages, so its lists are needed.
	if [[ ${#missing[@]} -gt 0 || -z $(apt-get indextargets 'Created-By: Packages') ]]; then
		apt_get update || say "apt-get update did not go well; trying with what there is"
	fi
	if [[ ${#missing[@]} -eq 0 ]]; then
		say "all there"
		return
	fi
	say "installing ${missing[*]}"
	apt_get install --yes --no-install-recommends -- "${missing[@]}" ||
		die "apt-get could not install: ${missing[*]}"
	mkdir -p "$(dirname "$NOTES")"
	printf 'package %s\n' "${missing[@]}" >>"$NOTES"
}

# apt_get shows its output only when it fails.
apt_get() {
	local out status=0
	out=$(DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" 2>&1 </dev/null) || status=$?
	[[ $status -eq 0 ]] || tail -n 20 <<<"$out" >&2
	return "$status"
}

# --- Go ---------------------------------------------------------------------

# find_go puts a Go on PATH that is new enough, fetched if there is none, and
# leaves nothing in root's home that was not there.
find_go() {
	local wanted dir
	wanted=$(awk '$1 == "go" { print $2; exit }' go.mod)
	local own
	own=$(setting engine_dir)/go
	for dir in '' /usr/local/go/bin /usr/lib/go/bin "$own/bin"; do
		if PATH=${dir:+$dir:}$PATH go_at_least "$wanted"; then
			PATH=${dir:+$dir:}$PATH
			break
		fi
	done
	if ! go_at_least "$wanted"; then
		fetch_go "$wanted" "$own"
		PATH=$own/bin:$PATH
		go_at_least "$wanted" || die "the fetched Go does not work"
	fi
	# It is new enough: no other one is to be fetched behind our back.
	export PATH GOTOOLCHAIN=local
	local cache
	for cache in GOCACHE GOMODCACHE; do
		dir=$(go env "$cache")
		[[ -d $dir ]] || export "$cache=/var/cache/paas/${cache,,}"
	done
	say "$(go version) in $(go env GOROOT)"
}

go_at_least() {
	local have
	have=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) || return 1
	have=${have#go}
	[[ $(printf '%s\n' "$1" "${have%%[!0-9.]*}" | sort -V | head -n 1) == "$1" ]]
}

# go_proxy prints the first module proxy that is an address.
go_proxy() {
	local list=${GOPROXY:-} file
	for file in "$(home_of "$USER_NAME")/.config/go/env" /root/.config/go/env; do
		if [[ -z $list && -r $file ]]; then
			list=$(sed -n 's/^GOPROXY=//p' "$file" | tail -n 1)
		fi
	done
	local entry
	for entry in ${list//[,|]/ } "https://proxy.$GO_DOMAIN"; do
		case $entry in
		http://* | https://*)
			echo "${entry%/}"
			return
			;;
		esac
	done
}

# fetch_go VERSION DIRECTORY gets a tool chain from the module proxy, where Go
# itself gets its newer ones from.
fetch_go() {
	local version=$1 dest=$2 proxy arch module tmp
	proxy=$(go_proxy)
	arch=$(dpkg --print-architecture)
	module=golang.org/toolchain@v0.0.1-go$version.linux-$arch
	say "no Go $version or newer here; fetching it"
	mkdir -p "$(dirname "$dest")"
	tmp=$WORK/go
	mkdir "$tmp"
	curl -fsSL --retry 3 -o "$tmp/go.zip" "$proxy/${module%@*}/@v/${module#*@}.zip" ||
		die "cannot fetch Go $version from the module proxy $(redacted "$proxy")"
	unzip -q "$tmp/go.zip" -d "$tmp"
	verify_module "$tmp" "$module" "$proxy"
	local root=$tmp/$module file
	# A module's zip cannot hold another go.mod, nor modes.
	while IFS= read -r -d '' file; do
		cp "$file" "${file%/_go.mod}/go.mod"
	done < <(find "$root" -name _go.mod -print0)
	chmod 0755 "$root"/bin/* "$root"/pkg/tool/*/*
	rm -rf "$dest"
	mv "$root" "$dest"
}

# verify_module DIRECTORY MODULE PROXY compares an unpacked module with the
# checksum database: its "h1" is the hash of the list of its files' hashes.
verify_module() {
	local sum database=${GOSUMDB:-sum.$GO_DOMAIN} known
	if [[ $database == off ]]; then
		say "GOSUMDB=off: the tool chain is not verified"
		return
	fi
	sum=h1:$(cd "$1" && find "$2" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | openssl dgst -sha256 -binary | base64)
	database=${database%%[ +]*}
	known=$(curl -fsSL --retry 3 "$3/sumdb/$database/lookup/$2" || curl -fsSL --retry 3 "https://$database/lookup/$2") ||
		die "cannot ask the checksum database $database for $2"
	grep -qF "${2/@/ } $sum" <<<"$known" || die "$2 is not what the checksum database says: $sum"
}

redacted() { sed -E 's#//[^/@]*@#//***@#' <<<"$1"; }

# --- Building ---------------------------------------------------------------

engine() {
	local dir
	dir=$(setting engine_dir)
	dyno/containerd/engine/build.sh "$dir" | indented
	place /usr/bin/tini-static "$dir/tini-static"
	place cmd/paasd/supervise.sh "$dir/supervise"
}

# place FROM TO installs a program. What runs keeps its own file.
place() {
	cmp -s "$1" "$2" && return
	install -m 0755 -T "$1" "$2.new"
	mv -f "$2.new" "$2"
}

programs() {
	local version name
	version=$(sed -n 's/^## \[\([0-9][^]]*\)\].*/\1/p' CHANGELOG.md | head -n 1)
	version=${version:-0.0.0}+$(git -c safe.directory='*' rev-parse --short HEAD 2>/dev/null || echo unknown)
	for name in "${PROGRAMS[@]}"; do
		CGO_ENABLED=0 go build -trimpath -buildvcs=false -o "$WORK/$name" \
			-ldflags "-s -w -X paas/cmd/internal/daemon.Version=$version -X paas/cmd/internal/cli.Version=$version" \
			"./cmd/$name"
		place "$WORK/$name" "$BIN/$name"
	done
	say "${PROGRAMS[*]} $version in $BIN"
}

needs() {
	"$BIN/paasd" check --config "$CONFIG" 2>&1 | indented || die "paasd cannot run here"
}

stack() {
	"$BIN/paasd" stack:build --config "$CONFIG" 2>&1 | indented
}

# --- Configuration ----------------------------------------------------------

configuration() {
	if [[ -e $CONFIG ]]; then
		say "$CONFIG is there"
		set_keys
		return
	fi
	local draft key
	mkdir -p "$(dirname "$CONFIG")"
	draft=$(mktemp "$CONFIG.XXXXXX")
	{
		echo "# Settings of paasd. README.md has all of them with their default values."
		echo "# After a change: sudo ./install.sh, or start paasd again."
		for key in "${!DEFAULTS[@]}"; do
			if [[ -n $(setting "$key") && $(setting "$key") != "${DEFAULTS[$key]}" ]]; then
				echo "$key = $(quoted "$(setting "$key")")"
			fi
		done | sort
		[[ -n $(setting ca_bundle) ]] || ca_bundle
		echo
		echo "# Added to the environment of builds, never to that of dynos."
		echo "[build_env]"
		build_env
	} >"$draft"
	chmod 0600 "$draft" # a proxy's address may hold a password
	mv "$draft" "$CONFIG"
	say "wrote $CONFIG"
}

# ca_bundle prints the setting for a machine that trusts more than its
# distribution does.
ca_bundle() {
	local file
	for file in "${NODE_EXTRA_CA_CERTS:-}" "${SSL_CERT_FILE:-}" "${CURL_CA_BUNDLE:-}" "${GIT_SSL_CAINFO:-}"; do
		if [[ -n $file && -r $file ]]; then
			echo "ca_bundle = $(quoted "$file")"
			return
		fi
	done
	if compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null; then
		echo "ca_bundle = $(quoted /etc/ssl/certs/ca-certificates.crt)"
	fi
}

# build_env prints what builds need to reach the registries this machine
# reaches: of the environment, of go's and npm's configuration. First come,
# first served.
build_env() {
	declare -A values=()
	local name value
	for name in GOPROXY GOSUMDB GONOSUMDB GOPRIVATE GONOPROXY GOFLAGS; do
		value=$(go env "$name")
		[[ -n $value && $value != "$(default_of "$name")" ]] || value=$(as_user go env "$name" 2>/dev/null) || value=''
		[[ $value == "$(default_of "$name")" ]] || values[$name]=$value
	done
	# GOPRIVATE is the default of GONOSUMDB and GONOPROXY.
	for name in GONOSUMDB GONOPROXY; do
		[[ ${values[$name]:-} != "${values[GOPRIVATE]:-}" ]] || unset "values[$name]"
	done
	value=$(npm_registry)
	if [[ -n $value ]]; then
		values[NPM_CONFIG_REGISTRY]=$value
		values[YARN_NPM_REGISTRY_SERVER]=$value
	fi
	for name in PIP_INDEX_URL BUNDLE_MIRROR__ALL; do
		[[ -z ${!name:-} ]] || values[$name]=${!name}
	done
	for name in http_proxy https_proxy no_proxy; do
		value=${!name:-}
		[[ -n $value ]] || value=$(printenv "${name^^}" || true)
		[[ -n $value || ! -r /etc/environment ]] ||
			value=$(sed -nE "s/^(export )?(${name}|${name^^})=[\"']?([^\"']*)[\"']?\$/\\3/p" /etc/environment | tail -n 1)
		[[ -n $value ]] || continue
		values[$name]=$value
		values[${name^^}]=$value
	done
	for name in "${!values[@]}"; do
		[[ -z ${values[$name]} ]] || echo "$name = $(quoted "${values[$name]}")"
	done | sort
}

default_of() {
	case $1 in
	GOPROXY) echo "https://proxy.$GO_DOMAIN,direct" ;;
	GOSUMDB) echo "sum.$GO_DOMAIN" ;;
	esac
}

# npm_registry prints the registry that npm is configured to use, if it is not
# the public one.
npm_registry() {
	local registry=${NPM_CONFIG_REGISTRY:-${npm_config_registry:-}} file
	if [[ -z $registry ]] && command -v npm >/dev/null; then
		registry=$(as_user npm config get registry 2>/dev/null || true)
	fi
	for file in "$(home_of "$USER_NAME")/.npmrc" /root/.npmrc /etc/npmrc; do
		if [[ -z $registry && -r $file ]]; then
			registry=$(sed -nE 's/^[[:space:]]*registry[[:space:]]*=[[:space:]]*"?([^"]*)"?$/\1/p' "$file" | tail -n 1)
		fi
	done
	case $registry in
	'' | undefined | "https://registry.$NPM_DOMAIN" | "https://registry.$NPM_DOMAIN/") ;;
	*) echo "$registry" ;;
	esac
}

# --- paasd as a service -----------------------------------------------------

with_systemd() { [[ -d /run/systemd/system && $(ps -o comm= -p 1) == systemd ]]; }

# service_name is one for each configuration file, so that several can run.
service_name() {
	if [[ $CONFIG == /etc/paas/paasd.toml ]]; then
		echo paasd
	else
		local name
		name=$(basename "$CONFIG" .toml)
		echo "paasd-${name//[^A-Za-z0-9_.-]/-}"
	fi
}

log_file() { echo "$(setting data_dir)/paasd.log"; }

stop_daemon() {
	local pid_file pid service
	service=$(service_name)
	if with_systemd; then
		if systemctl is-active --quiet "$service"; then
			systemctl stop "$service"
			say "stopped; dynos go on running"
			return
		fi
	fi
	pid_file=$(setting run_dir)/supervise.pid
	if [[ ! -r $pid_file ]] || ! pid=$(supervisor_pid "$pid_file"); then
		say "none runs"
		return
	fi
	kill -TERM "$pid"
	wait_gone "$pid" 60 || die "paasd (supervised by process $pid) does not stop"
	say "stopped; dynos go on running"
}

# supervisor_pid FILE prints the process that the file names, if it is ours: a
# number may have been given to another since.
supervisor_pid() {
	local pid
	pid=$(<"$1")
	[[ $pid =~ ^[0-9]+$ && -r /proc/$pid/cmdline ]] || return 1
	tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qxF "$(setting engine_dir)/supervise" || return 1
	echo "$pid"
}

wait_gone() {
	local pid=$1 until=$((SECONDS + $2))
	# One that nobody has waited for yet is gone, too.
	while grep -q '^State:[[:space:]]*[^Z[:space:]]' "/proc/$pid/status" 2>/dev/null; do
		((SECONDS < until)) || return 1
		sleep 0.1
	done
}

start_daemon() {
	local service
	service=$(service_name)
	if with_systemd; then
		write_unit "$service"
		systemctl daemon-reload
		systemctl enable --quiet "$service"
		systemctl start "$service"
	else
		local run
		run=$(setting run_dir)
		mkdir -p "$run" "$(setting data_dir)"
		# What is in them is closed; passing through must be open to the ids that
		# dynos run as.
		chmod 0711 "$run" "$(setting data_dir)"
		touch "$(log_file)"
		chmod 0600 "$(log_file)"
		# A session of its own: this one may end. No PAAS_* variable goes along,
		# so that the next start, without them, is the same.
		env --ignore-environment PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
			setsid --fork "$(setting engine_dir)/supervise" "$run" "$(log_file)" \
			"$BIN/paasd" serve --config "$CONFIG" </dev/null >/dev/null 2>&1
	fi
	wait_for_api || {
		say "the last lines of its log:"
		last_log | sed 's/^/         /'
		die "paasd does not answer at $(local_address "$(setting api_addr)")"
	}
	if with_systemd; then
		say "runs as service $service; its log: journalctl -u $service"
	else
		say "runs in the background, with its log in $(log_file)"
		say "there is no systemd here: after a reboot, run install.sh again"
	fi
}

write_unit() {
	cat >"$UNIT_DIR/$1.service" <<UNIT
[Unit]
Description=paas: git push to deploy
After=network-online.target
Wants=network-online.target

[Service]
ExecStart=$BIN/paasd serve --config $CONFIG
Restart=always
RestartSec=1
# Dynos and the container engine outlive paasd, which finds them again.
KillMode=process
Delegate=yes
LimitNOFILE=1048576
TasksMax=infinity

[Install]
WantedBy=multi-user.target
UNIT
}

wait_for_api() {
	local address until=$((SECONDS + 60))
	address=$(local_address "$(setting api_addr)")
	# Any answer will do: the API wants a token.
	until curl -s -o /dev/null --noproxy '*' --max-time 2 "http://$address/"; do
		((SECONDS < until)) || return 1
		sleep 0.2
	done
}

last_log() {
	if with_systemd; then
		journalctl --no-pager -n 20 -u "$(service_name)"
	else
		tail -n 20 "$(log_file)"
	fi
}

# --- The invoking user ------------------------------------------------------

invoking_user() {
	USER_NAME=${SUDO_USER:-root}
	getent passwd "$USER_NAME" >/dev/null || USER_NAME=root
}

home_of() { getent passwd "$1" | cut -d: -f6; }

# as_user COMMAND... runs it as the person who called sudo.
as_user() {
	local home
	home=$(home_of "$USER_NAME")
	if [[ $USER_NAME == root ]]; then
		HOME=$home "$@"
	else
		# From a directory that they may enter.
		(cd / && runuser -u "$USER_NAME" -- env HOME="$home" USER="$USER_NAME" LOGNAME="$USER_NAME" PATH="$PATH" "$@")
	fi
}

account() {
	local token
	token=$(setting data_dir)/admin-token
	if [[ -z $EMAIL ]]; then
		EMAIL=$(as_user git config --global user.email 2>/dev/null || true)
	fi
	[[ $EMAIL == *@* ]] || EMAIL=$USER_NAME@$(setting domain)
	"$BIN/paasd" account:create --config "$CONFIG" --email "$EMAIL" --admin --token-file "$token" 2>&1 | indented

	as_user "$BIN/paas" login --api-url "http://$(local_address "$(setting api_addr)")" --token-file - <"$token" 2>&1 | indented
	ssh_key
	if ! as_user "$BIN/paas" keys --json | grep -qF "$(cut -d' ' -f2 "$SSH_KEY.pub")"; then
		as_user "$BIN/paas" keys:add "$SSH_KEY.pub" 2>&1 | indented
	fi
	pin_host_key
}

# ssh_key finds the user's key, or makes one.
ssh_key() {
	local dir name
	dir=$(home_of "$USER_NAME")/.ssh
	for name in id_ed25519 id_ecdsa id_rsa; do
		SSH_KEY=$dir/$name
		[[ ! -r $SSH_KEY || ! -r $SSH_KEY.pub ]] || return 0
	done
	SSH_KEY=$dir/id_ed25519
	as_user mkdir -p -m 0700 "$dir"
	as_user ssh-keygen -q -t ed25519 -N '' -C "$USER_NAME@$(uname -n)" -f "$SSH_KEY"
	mkdir -p "$(dirname "$NOTES")"
	echo "key $dir" >>"$NOTES"
	say "made an SSH key: $SSH_KEY"
}

# git_hosts prints the names in known_hosts that the git endpoint has here.
git_hosts() {
	local port host
	port=$(port_of "$(setting ssh_addr)")
	for host in localhost 127.0.0.1 "$(setting domain)"; do
		if [[ $port == 22 ]]; then echo "$host"; else echo "[$host]:$port"; fi
	done | sort -u
}

# pin_host_key makes the user's ssh trust the git endpoint, whose key is read
# over the loopback interface.
pin_host_key() {
	local file key host address
	file=$(home_of "$USER_NAME")/.ssh/known_hosts
	address=$(local_address "$(setting ssh_addr)")
	key=$(ssh-keyscan -t ed25519 -p "${address##*:}" "${address%:*}" 2>/dev/null | awk '$2 == "ssh-ed25519" { print $2, $3; exit }')
	[[ -n $key ]] || die "the git endpoint does not answer at $address"
	forget_host_key
	for host in $(git_hosts); do
		as_user tee -a "$file" <<<"$host $key" >/dev/null
	done
}

forget_host_key() {
	local file host
	file=$(home_of "$USER_NAME")/.ssh/known_hosts
	[[ -e $file ]] || return 0
	local old=$file.old had=''
	[[ ! -e $old ]] || had=yes
	for host in $(git_hosts); do
		as_user ssh-keygen -q -R "$host" -f "$file" >/dev/null 2>&1 || true
	done
	# ssh-keygen leaves a copy of what it has changed.
	[[ -n $had ]] || as_user rm -f "$old"
	[[ -s $file ]] || as_user rm -f "$file"
}

app_url() {
	local port
	port=$(port_of "$(setting router_addr)")
	if [[ $port == 80 ]]; then port=''; else port=:$port; fi
	echo "http://$1.$(setting domain)$port/"
}

git_url() {
	echo "ssh://git@$(setting domain):$(port_of "$(setting ssh_addr)")/$1.git"
}

next_steps() {
	cat <<NEXT

       paas is ready, and $USER_NAME is logged in as $EMAIL.
       In the directory of an app that is a git repository, type:

         paas create hello
         git push paas main
         curl $(app_url hello)

       "sudo ./install.sh demo" shows all of it with a sample.
       "paas help" tells what else there is.

NEXT
}

# --- The demo ---------------------------------------------------------------

demo() {
	local app=demo file
	DEMO=$WORK/demo
	cp -r "cmd/paas-bench/samples/$SAMPLE" "$DEMO"
	chown -R "$USER_NAME" "$DEMO"
	file=$(grep -rlw --include='main.go' --include='index.*' --include='server.pl' v1 "$DEMO" | head -n 1)

	step "Demo: making the app $app" demo_create "$app"
	step "Demo: git push of the first version" demo_push "$app" "Say v1"
	demo_answer "$app" v1
	as_user sed -i s/v1/v2/ "$file"
	step "Demo: git push of a second version" demo_push "$app" "Say v2"
	demo_answer "$app" v2
	step "Demo: paas rollback" demo_rollback "$app"
	demo_answer "$app" v1
	as_user "$BIN/paas" releases -a "$app" | indented
	cat <<DONE

       What you saw: an app was made; a git push over SSH sent its source; the
       $SAMPLE buildpack made a slug of it; a release with that slug was started
       in a fresh dyno, and the router took it as soon as it answered. The second
       push did the same beside the running dyno. The rollback made a new release
       of the first slug, without a build.

         curl $(app_url "$app")
         paas logs -a $app
         paas destroy -a $app --confirm $app

DONE
}

demo_git() { as_user git -C "$DEMO" -c user.name=demo -c user.email="$EMAIL" -c init.defaultBranch=main "$@"; }

demo_create() {
	if as_user "$BIN/paas" info -a "$1" >/dev/null 2>&1; then
		say "it is there from an earlier time"
	else
		as_user "$BIN/paas" create "$1" --no-remote 2>&1 | indented
	fi
	demo_git init -q
	demo_git remote add paas "$(git_url "$1")"
}

demo_push() {
	demo_git add --all
	demo_git commit -q -m "$2"
	# --force: the app may have the history of an earlier demo.
	local ssh='ssh -o BatchMode=yes'
	if ! ssh-keygen -y -P '' -f "$SSH_KEY" >/dev/null 2>&1; then
		ssh='ssh' # the key has a passphrase: ask for it
	fi
	GIT_SSH_COMMAND=$ssh demo_git push --force paas HEAD:refs/heads/main
}

demo_rollback() { as_user "$BIN/paas" rollback -a "$1" 2>&1 | indented; }

# demo_answer APP WANT asks the app through the router.
demo_answer() {
	local answer address
	address=$(local_address "$(setting router_addr)")
	answer=$(curl -fsS --noproxy '*' --max-time 30 -H "Host: $1.$(setting domain)" "http://$address/") ||
		die "$(app_url "$1") does not answer"
	say "curl $(app_url "$1")"
	local line
	while IFS= read -r line; do
		say "  $line"
	done <<<"$answer"
	[[ $answer == *"$2"* ]] || die "$(app_url "$1") does not answer with $2"
}

# --- Tests ------------------------------------------------------------------

run_tests() {
	step "Looking at this machine" check_machine
	step "Debian packages" packages "${PACKAGES[@]}" "${TEST_PACKAGES[@]}"
	step "Go" find_go
	step "Container engine" engine
	step "Building" go build -buildvcs=false ./...
	step "gofmt" check_format
	step "shellcheck" check_scripts
	step "go vet" go vet -buildvcs=false ./...
	step "go test" go test -buildvcs=false -race -timeout 40m ./...
	say "All of it took $(seconds $(($(now) - begun)))."
}

check_format() {
	local files
	files=$(gofmt -l .)
	[[ -z $files ]] || die "these files are not as gofmt has them: ${files//$'\n'/, }"
}

check_scripts() {
	shellcheck install.sh .ci/run dyno/containerd/engine/build.sh cmd/paasd/supervise.sh
}

# --- Uninstalling -----------------------------------------------------------

uninstall() {
	local data run engine
	data=$(setting data_dir)
	run=$(setting run_dir)
	engine=$(setting engine_dir)
	if [[ -n $PURGE && -x $BIN/paas ]]; then
		step "Logging $USER_NAME out" forget_user
	fi
	step "Stopping paasd" stop_daemon
	if with_systemd && [[ -e $UNIT_DIR/$(service_name).service ]]; then
		step "Removing the service" remove_unit
	fi
	if [[ -x $BIN/paasd ]]; then
		step "Stopping dynos, removing network and mounts" "$BIN/paasd" teardown --config "$CONFIG"
	fi
	step "Removing files" remove_files "$data" "$run" "$engine"
	if [[ -z $PURGE ]]; then
		say "Apps, slugs and releases are still in $data, settings in $(dirname "$CONFIG")."
		say "To remove them, too: sudo ./install.sh uninstall --purge"
	fi
}

remove_unit() {
	local service
	service=$(service_name)
	systemctl disable --quiet "$service"
	rm -f "$UNIT_DIR/$service.service"
	systemctl daemon-reload
}

# forget_user takes out of the user's home what the installer put there: login
# and host key. An SSH key that it made stays: it may open other doors by now.
forget_user() {
	local credentials
	credentials=$(home_of "$USER_NAME")/.config/paas/credentials.json
	if grep -qsF "\"http://$(local_address "$(setting api_addr)")\"" "$credentials"; then
		as_user "$BIN/paas" logout 2>&1 | indented || say "nobody was there to tell"
		as_user rm -f "$credentials"
		as_user rmdir --ignore-fail-on-non-empty "$(dirname "$credentials")"
	fi
	forget_host_key
	local dir
	dir=$(home_of "$USER_NAME")/.ssh
	if grep -qsxF "key $dir" "$NOTES"; then
		say "the SSH key that was made for $USER_NAME stays: $dir/id_ed25519"
	fi
}

# remove_files DATA RUN ENGINE removes by name what was put into directories
# that others may use, too.
remove_files() {
	local name
	remove_tree "$2"
	if pgrep -x paasd >/dev/null || pgrep -f "^$3/" >/dev/null; then
		say "another paasd or its dynos run here: the programs stay"
	else
		for name in "${PROGRAMS[@]}"; do
			rm -f "$BIN/$name"
		done
		for name in containerd containerd-shim-runc-v2 ctr runc engine.stamp tini-static supervise; do
			rm -f "$3/$name"
		done
		rm -rf "$3/go" /var/cache/paas
		[[ ! -d $3 ]] || rmdir --ignore-fail-on-non-empty "$3"
	fi
	[[ -n $PURGE ]] || return 0
	if [[ -r $NOTES ]]; then
		name=$(sed -n 's/^package //p' "$NOTES" | sort -u | paste -sd' ')
		[[ -z $name ]] || say "these Debian packages were installed for paas, and stay: $name"
		rm -f "$NOTES"
	fi
	if [[ -d $1 && ! -e $1/paas.db ]]; then
		say "$1 has no database of paas, and stays"
	else
		remove_tree "$1"
	fi
	rm -f "$CONFIG"
	[[ ! -d /etc/paas ]] || rmdir --ignore-fail-on-non-empty /etc/paas
}

# remove_tree DIRECTORY removes one of our directories, never across a mount.
remove_tree() {
	[[ -e $1 ]] || return 0
	case $1 in
	/ | /bin | /boot | /dev | /etc | /home | /lib* | /opt | /proc | /root | /run | /sbin | /srv | /sys | /tmp | /usr | /usr/* | /var | /var/lib | /var/log)
		die "will not remove $1"
		;;
	esac
	if grep -qE "^[^ ]+ $1(/[^ ]*)? " /proc/self/mounts; then
		die "something is still mounted below $1"
	fi
	rm -rf --one-file-system "$1"
}

main "$@"
