# Installs packages over a lower tree and leaves what changed in ./upper.
#
#   layer.sh DIRECTORY PACKAGE...
#
# DIRECTORY holds lower (a link), upper, work, root, and apt: sources.list,
# apt.conf, keys, and finish, a script to run inside at the end. Runs as the
# first process of private mount and process namespaces: what it mounts and
# starts ends with it.
set -euo pipefail
cd "$1"
shift

mount --make-rprivate /
mount -t proc proc /proc
# Renames of directories and bare changes of metadata must not be recorded as
# attributes of the upper tree: it will be used on its own.
mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work,index=off,redirect_dir=off,metacopy=off root
mount -t proc proc root/proc
mount -t tmpfs -o mode=0755,size=1m tmpfs root/dev
for node in null zero full random urandom tty; do
	: >"root/dev/$node"
	mount --bind "/dev/$node" "root/dev/$node"
done
ln -s /proc/self/fd root/dev/fd
ln -s /proc/self/fd/0 root/dev/stdin
ln -s /proc/self/fd/1 root/dev/stdout
ln -s /proc/self/fd/2 root/dev/stderr
mount -t tmpfs -o mode=1777 tmpfs root/tmp
mount -t tmpfs -o mode=0755 tmpfs root/run
mkdir root/run/lock root/run/apt
mount --bind apt root/run/apt
for file in resolv.conf hosts; do
	[[ ! -e /etc/$file ]] || mount --bind "/etc/$file" "root/etc/$file"
done
# No package may start a service while it is installed.
printf '#!/bin/sh\nexit 101\n' >root/usr/sbin/policy-rc.d
chmod 0755 root/usr/sbin/policy-rc.d

export APT_CONFIG=/run/apt/apt.conf
chroot root apt-get update
chroot root apt-get install --yes --no-install-recommends -- "$@"
chroot root bash -eu /run/apt/finish

rm root/usr/sbin/policy-rc.d
umount -R root
