# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Sourced: a Debian of its own in a directory, from wherever this machine's apt takes its packages.

# The first Debian archive among the machine's own sources that is not the security one; IDEM_MIRROR= chooses another.
debian_mirror() {
  if [ -n "${IDEM_MIRROR:-}" ]; then
    echo "$IDEM_MIRROR"
    return
  fi
  # shellcheck disable=SC2016 # apt's own variables
  apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' |
    sort -u | grep -v security | grep -m1 '/debian/*$'
}

# What this machine needs to reach its mirror, ROOT needs too: proxy, certificates, passwords.
copy_apt_settings() { # ROOT
  apt-config dump | grep -E '^(Acquire::(http|https|Check|Retries|ForceIPv)|Dir::Etc::netrc)' |
    sed '/ "";$/d' >"$1/etc/apt/apt.conf.d/90host" || true
  if [ -d /etc/apt/auth.conf.d ]; then
    cp -a /etc/apt/auth.conf.d/. "$1/etc/apt/auth.conf.d/"
  fi
  if [ -f /etc/apt/auth.conf ]; then
    cp -a /etc/apt/auth.conf "$1/etc/apt/"
  fi
  if [ -f /etc/ssl/certs/ca-certificates.crt ]; then
    mkdir -p "$1/etc/ssl/certs"
    cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/"
  fi
}

# Makes ROOT; its log is ROOT.log.
make_debian_root() { # SUITE ROOT
  local mirror
  if ! mirror=$(debian_mirror); then
    echo "no Debian mirror among apt's sources: give IDEM_MIRROR=URL" >&2
    return 1
  fi
  rm -rf "$2"
  if ! debootstrap --variant=minbase "$1" "$2" "$mirror" >"$2.log" 2>&1; then
    tail -n 20 "$2.log" >&2
    return 1
  fi
  # No package may start a service in there.
  printf '#!/bin/sh\nexit 101\n' >"$2/usr/sbin/policy-rc.d"
  chmod 755 "$2/usr/sbin/policy-rc.d"
}

mount_system() { # ROOT
  local node
  mount -t proc proc "$1/proc"
  mount -t sysfs -o ro sysfs "$1/sys"
  mount -t tmpfs -o mode=755 tmpfs "$1/dev"
  for node in null zero full random urandom tty; do
    touch "$1/dev/$node"
    mount --bind "/dev/$node" "$1/dev/$node"
  done
  ln -s /proc/self/fd "$1/dev/fd"
  mkdir -m 1777 "$1/dev/shm"
  mkdir "$1/dev/pts"
  mount -t devpts -o newinstance,ptmxmode=0666 devpts "$1/dev/pts"
  ln -s pts/ptmx "$1/dev/ptmx"
  mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
}
