#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A Docker engine for this tree: tools/docker-engine.sh start DIR | stop DIR | run CMD...
#
# One that runs already is used. Otherwise, as root on Debian, a private one is started: its images, its
# socket and its state are in DIR, and nothing of it is left when it is stopped. It makes debian:bookworm-slim itself
# where no registry can be asked, out of packages from the machine's own mirror.
#
# start leaves DIR/host, the DOCKER_HOST to use. run starts, sets DOCKER_HOST, runs CMD, and stops, however CMD
# ends. Exit status 69 where no engine can be had; the reason is on standard error.
set -euo pipefail

tree=$(cd "$(dirname "$0")/.." && pwd)
readonly tree
readonly base=debian:bookworm-slim unavailable=69
# shellcheck source=tools/debian-root.sh
. "$tree/tools/debian-root.sh"

say() { echo "docker: $*" >&2; }

no_engine() {
  say "no engine: $*"
  exit $unavailable
}

answers() { DOCKER_HOST=$1 docker version >/dev/null 2>&1; }

# What the user has set up, or the usual socket.
running_engine() {
  local host=${DOCKER_HOST:-unix:///var/run/docker.sock}
  command -v docker >/dev/null && answers "$host" && echo "$host"
}

# A package starts an engine of its own, which is not wanted here.
install_engine() {
  local missing=() policy=/usr/sbin/policy-rc.d made=
  command -v dockerd >/dev/null || missing+=(docker.io)
  command -v docker-compose >/dev/null || missing+=(docker-compose)
  command -v debootstrap >/dev/null || missing+=(debootstrap)
  if [ ${#missing[@]} = 0 ]; then
    return 0
  fi
  command -v apt-get >/dev/null || return 1
  say "installing ${missing[*]}"
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    made=$policy
  fi
  { apt-get -q update && DEBIAN_FRONTEND=noninteractive \
    apt-get -q install -y --no-install-recommends "${missing[@]}"; } >"$dir/apt.log" 2>&1 </dev/null || true
  [ -z "$made" ] || rm -f "$made"
  command -v dockerd >/dev/null && command -v docker-compose >/dev/null && command -v debootstrap >/dev/null
}

engine_pid() { cat "$dir/dockerd.pid" 2>/dev/null; }

# With the storage that is quick, or with the one that works on top of everything.
launch() {
  local driver=$1 tries
  mkdir -p "$dir/data" "$dir/exec"
  setsid dockerd --data-root "$dir/data" --exec-root "$dir/exec" -H "unix://$dir/docker.sock" \
    --pidfile "$dir/dockerd.pid" --iptables=false --ip6tables=false --bridge=none \
    --storage-driver="$driver" >"$dir/dockerd.log" 2>&1 </dev/null &
  local pid=$!
  for ((tries = 0; tries < 300; tries++)); do
    if answers "unix://$dir/docker.sock"; then
      return 0
    fi
    kill -0 "$pid" 2>/dev/null || return 1
    sleep 0.1
  done
  kill "$pid" 2>/dev/null || true
  return 1
}

ours() { DOCKER_HOST=unix://$dir/docker.sock docker "$@" 2>/dev/null; }

# Containers would leave mounts and processes behind, and networks a bridge on the machine.
remove_all() {
  local containers networks
  containers=$(ours ps -aq) || containers=
  # shellcheck disable=SC2086 # ids
  [ -z "$containers" ] || ours rm -fv $containers >/dev/null || true
  networks=$(ours network ls -q --filter type=custom) || networks=
  # shellcheck disable=SC2086 # ids
  [ -z "$networks" ] || ours network rm $networks >/dev/null || true
}

stop_engine() {
  local pid tries
  remove_all
  pid=$(engine_pid) || pid=
  if [ -n "$pid" ] && kill "$pid" 2>/dev/null; then
    for ((tries = 0; tries < 300; tries++)); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
  fi
  unmount_below
}

# The last first: they can lie in each other.
unmount_below() {
  local mounts
  mounts=$(awk -v dir="$dir/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | tac)
  while IFS= read -r mount; do
    [ -z "$mount" ] || umount "$mount" 2>/dev/null || umount -l "$mount" 2>/dev/null || true
  done <<<"$mounts"
}

start_private() {
  [ "$(id -u)" = 0 ] || no_engine "none is running, and starting one needs root"
  [ "$(uname -s)" = Linux ] || no_engine "none is running"
  install_engine || no_engine "none is running, and docker.io, docker-compose and debootstrap cannot be installed"
  if ! launch overlay2; then
    stop_engine
    launch vfs || { tail -n 5 "$dir/dockerd.log" >&2; stop_engine; no_engine "dockerd does not start here"; }
  fi
}

# As the image of that name is: packages leave no archives, no manuals and no documentation behind.
make_slim() {
  cat >"$dir/root/etc/apt/apt.conf.d/docker-clean" <<'END'
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
END
  printf 'path-exclude /usr/share/%s/*\n' doc info man locale >"$dir/root/etc/dpkg/dpkg.cfg.d/docker"
  rm -rf "$dir/root"/var/cache/apt/archives/*.deb "$dir/root"/var/cache/apt/*.bin \
    "$dir/root"/var/lib/apt/lists/* "$dir/root"/usr/share/{doc,info,man,locale}/*
}

# From a registry where one answers; else from the mirror. The apt settings are those of the machine.
need_base() {
  if docker image inspect $base >/dev/null 2>&1; then
    return 0
  fi
  if [ -z "${IDEM_NO_REGISTRY:-}" ] && timeout 30 docker pull -q $base >/dev/null 2>&1; then
    return 0
  fi
  say "making $base from this machine's mirror"
  if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null; then
    no_engine "$base can neither be pulled nor made"
  fi
  make_debian_root bookworm "$dir/root" || no_engine "$base cannot be made: $dir/root.log"
  copy_apt_settings "$dir/root"
  make_slim
  tar -C "$dir/root" -c . | docker import --change 'CMD ["bash"]' - $base >/dev/null
  rm -rf "$dir/root"
}

start() {
  local host
  mkdir -p "$dir"
  if host=$(running_engine); then
    say "using the engine at $host"
  else
    host=unix://$dir/docker.sock
    answers "$host" || start_private
  fi
  echo "$host" >"$dir/host"
  export DOCKER_HOST=$host
  need_base
}

stop() {
  [ -d "$dir" ] || return 0
  [ ! -e "$dir/dockerd.pid" ] || stop_engine
  rm -rf --one-file-system "$dir"
}

run() {
  local status=0
  dir=$(mktemp -d "${IDEM_ENGINE_TMP:-/var/tmp}/idem-engine-XXXXXX")
  trap stop EXIT
  trap 'exit 130' INT TERM HUP
  start
  DOCKER_HOST=$(cat "$dir/host") "$@" || status=$?
  exit $status
}

case ${1:-} in
start | stop)
  [ $# = 2 ] || { say "usage: $0 start DIR | stop DIR | run CMD..."; exit 2; }
  dir=$(mkdir -p "$2" && cd "$2" && pwd)
  trap '[ $? = 0 ] || stop' EXIT
  "$1"
  ;;
run)
  shift
  run "$@"
  ;;
*)
  say "usage: $0 start DIR | stop DIR | run CMD..."
  exit 2
  ;;
esac
