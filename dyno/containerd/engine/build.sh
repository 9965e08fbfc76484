#!/usr/bin/env bash
# Builds the pinned container engine into a directory: containerd,
# containerd-shim-runc-v2, ctr and runc. Does nothing when the directory holds
# what the same sources, tool chain and recipe would give.
#
#   build.sh DIRECTORY
#
# Needs Go on PATH, and gcc, libc6-dev, pkg-config and libseccomp-dev for runc.
set -euo pipefail

main() {
	local dest=${1:?usage: build.sh DIRECTORY}
	cd "$(dirname "${BASH_SOURCE[0]}")"

	# The operator's module proxy applies; flags meant for other builds do not.
	export GOFLAGS=-mod=readonly GOWORK=off

	local stamp
	stamp=$({ cat go.mod go.sum build.sh && go version && dpkg-query -W -f '${Version}\n' libseccomp-dev; } |
		sha256sum | cut -d' ' -f1)
	local names=(containerd containerd-shim-runc-v2 ctr runc)
	if [[ -r $dest/engine.stamp && $(<"$dest/engine.stamp") == "$stamp" ]] && have "$dest" "${names[@]}"; then
		echo "engine unchanged"
		return
	fi

	mkdir -p "$dest"
	tmp=$(mktemp -d "$dest/.engine.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT

	local containerd=github.com/containerd/containerd/v2
	local version
	version=$(go list -m -f '{{.Version}}' "$containerd")
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -o "$tmp/" \
		-tags no_cri,no_btrfs,no_devmapper,no_zfs \
		-ldflags "-s -w -X $containerd/version.Version=${version#v}" \
		"$containerd/cmd/containerd" "$containerd/cmd/containerd-shim-runc-v2" "$containerd/cmd/ctr"
	CGO_ENABLED=1 go build -trimpath -buildvcs=false -o "$tmp/" \
		-tags seccomp,urfave_cli_no_docs,netgo,osusergo \
		-ldflags "-s -w -linkmode external -extldflags -static-pie" -buildmode=pie \
		github.com/opencontainers/runc

	local name
	for name in "${names[@]}"; do
		"$tmp/$name" --version >/dev/null 2>&1 || "$tmp/$name" -v >/dev/null
		# A rename: what runs keeps its own file.
		mv -f "$tmp/$name" "$dest/$name"
	done
	echo "$stamp" >"$dest/engine.stamp"
	"$dest/containerd" --version
	"$dest/runc" --version
}

# have DIRECTORY NAME... says whether all of the programs are there.
have() {
	local dir=$1 name
	shift
	for name in "$@"; do
		[[ -x $dir/$name ]] || return 1
	done
}

main "$@"
