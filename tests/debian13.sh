#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The whole of `make check`, and all of the valgrind check, in a Debian 13 chroot: newer brokers,
# libraries and compilers. Needs root. The chroot is kept between runs; --fresh makes a new one.
#
# Everything runs in mount and process name spaces of its own: when this script ends, however it ends,
# the kernel takes the mounts out and ends what still runs, and nothing is left behind on the machine.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/debian-root.sh

readonly suite=trixie
readonly root=${IDEM_CHROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/idem/$suite}

die() {
  echo "debian13: $*" >&2
  exit 1
}

[ "$(id -u)" = 0 ] || die "a chroot needs root: run it as root, or as: sudo make check-debian13"
command -v apt-get >/dev/null || die "this is not a Debian system: its mirror is taken from apt"

if [ "${IDEM_UNSHARED:-}" != yes ]; then
  tools/deps.sh chroot
  mkdir -p "$root"
  exec 9>"$root.lock"
  flock -n 9 || die "another run uses $root"
  IDEM_UNSHARED=yes exec unshare --mount --propagation private --pid --fork --kill-child "$0" "$@"
fi

make_chroot() {
  echo "debian13: making $root"
  make_debian_root "$suite" "$root" || die "debootstrap failed; its whole log is $root.log"
  touch "$root/.idem-complete"
}

# The tree as it stands, changes included, without what git ignores.
copy_tree() {
  rm -rf "$root/src/idem"
  mkdir -p "$root/src/idem"
  git -c safe.directory="$PWD" ls-files -z --cached --others --exclude-standard --deduplicate |
    { while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done; } |
    tar -c --null -T - | tar -x -C "$root/src/idem" --no-same-owner
}

inside() {
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 CI=true \
    ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
    chroot "$root" sh -c "cd /src/idem && $1"
}

if [ ! -e "$root/.idem-complete" ] || [ "${1:-}" = --fresh ]; then
  make_chroot
fi
copy_apt_settings "$root"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
mount_system "$root"
copy_tree

status=0
# shellcheck disable=SC2016 # expanded inside
inside '. /etc/os-release && echo "debian13: $PRETTY_NAME" && tools/deps.sh build run test &&
  mosquitto -h | head -n 1 && cc --version | head -n 1 &&
  make -j2 check && tests/valgrind.sh' || status=$?
if [ $status = 0 ]; then
  echo "debian13: passed"
else
  echo "debian13: FAILED (status $status)" >&2
fi
exit $status
