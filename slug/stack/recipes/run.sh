# Starts mmdebstrap with the given arguments. Runs as the first process of
# private mount and process namespaces: what it mounts and starts ends with it.
set -euo pipefail
mount --make-rprivate /
mount -t proc proc /proc
mmdebstrap "$@"
