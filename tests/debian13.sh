#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The whole of `make check`, and all of the valgrind check, in a Debian 13 chroot: newer brokers,
# libraries and compilers. Needs root. The chroot is kept between runs; --fresh makes a new one.
#
# Everything runs in mount and process name spaces of its own: when this script ends, however it ends,
# the kernel takes the mounts out and ends what still runs, and nothing is left behind on the machine.
set -euo pipefail
cd "$(dirname "$0")/.."

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

# The first Debian archive among the machine's own sources that is not the security one.
mirror() {
  # shellcheck disable=SC2016 # apt's own variables
  apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' |
    sort -u | grep -v security | grep -m1 '/debian/*$'
}

# What this machine needs to reach its mirror, the chroot needs too: proxy, certificates, passwords.
copy_apt_settings() {
  apt-config dump | grep -E '^(Acquire::(http|https|Check|Retries|ForceIPv)|Dir::Etc::netrc)' |
    sed '/ "";$/d' >"$root/etc/apt/apt.conf.d/90host" || true
  cp -a /etc/apt/auth.conf.d/. "$root/etc/apt/auth.conf.d/"
  if [ -f /etc/apt/auth.conf ]; then
    cp -a /etc/apt/auth.conf "$root/etc/apt/"
  fi
  if [ -f /etc/ssl/certs/ca-certificates.crt ]; then
    mkdir -p "$root/etc/ssl/certs"
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  fi
  cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
}

make_chroot() {
  local from
  from=${IDEM_MIRROR:-$(mirror)} || die "no Debian mirror among apt's sources: give IDEM_MIRROR=URL"
  echo "debian13: making $root from $from"
  rm -rf "$root"
  debootstrap --variant=minbase "$suite" "$root" "$from" >"$root.log" 2>&1 ||
    { tail -n 20 "$root.log" >&2; die "debootstrap failed; its whole log is $root.log"; }
  # No package may start a service in there.
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
  touch "$root/.idem-complete"
}

mount_system() {
  local node
  mount -t proc proc "$root/proc"
  mount -t sysfs -o ro sysfs "$root/sys"
  mount -t tmpfs -o mode=755 tmpfs "$root/dev"
  for node in null zero full random urandom tty; do
    touch "$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
  done
  ln -s /proc/self/fd "$root/dev/fd"
  mkdir -m 1777 "$root/dev/shm"
  mkdir "$root/dev/pts"
  mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
  ln -s pts/ptmx "$root/dev/ptmx"
  mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
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
copy_apt_settings
mount_system
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
