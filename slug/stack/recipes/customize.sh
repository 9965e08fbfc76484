#!/bin/sh
# mmdebstrap's last hook: $1 is the tree of the run image, complete but for what
# no package brings.
set -eu
root=$1

echo 'en_US.UTF-8 UTF-8' >"$root/etc/locale.gen"
chroot "$root" locale-gen >/dev/null

chroot "$root" groupadd --gid 1000 app
# --no-create-home: a skeleton's .profile would pass for the app's own.
chroot "$root" useradd --uid 1000 --gid 1000 --no-create-home --home-dir /app --shell /bin/bash app
install -d -o 1000 -g 1000 -m 0755 "$root/app"

# Debian's /etc/profile sets PATH anew; a login shell in a dyno must find what
# the app's buildpacks have put on it.
cat >"$root/etc/profile.d/00-app.sh" <<'PROFILE'
for script in /app/.profile.d/*.sh; do
	if [ -r "$script" ]; then
		. "$script"
	fi
done
unset script
PROFILE
