#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs what building and testing need, where it is missing: tools/deps.sh [build] [run] [test] ...
#
# Things are looked for by what they are (a command, a library, a header), not by package, so that
# this is quick, and right on systems other than Debian too. Only the remedy speaks of packages.
set -euo pipefail

chart_js=${CHART_JS:-/usr/share/javascript/chart.js/chart.min.js}
PATH=$PATH:/usr/sbin:/sbin # where Debian keeps the broker; not on every user's path
compiler=${CC:-cc}
compiler=${compiler%% *}

# group    what it is                     Debian package
catalogue() {
  local compiler_package=$compiler
  [ "$compiler" != cc ] || compiler_package=gcc
  cat <<END
build    command:$compiler               $compiler_package
build    command:make                    make
build    command:pkg-config              pkgconf
build    header:stdio.h                  libc6-dev
build    library:lmdb                    liblmdb-dev
build    library:libsodium               libsodium-dev
build    library:json-c                  libjson-c-dev
build    library:yaml-0.1                libyaml-dev
build    library:hiredis                 libhiredis-dev
build    library:openssl                 libssl-dev
build    library:libmosquitto            libmosquitto-dev
build    header:mosquitto_broker.h       mosquitto-dev
build    library:librabbitmq             librabbitmq-dev
build    library:libevent_extra          libevent-dev
build    library:ncursesw                libncurses-dev
build    library:libpq                   libpq-dev
build    file:$chart_js libjs-chart.js
run      command:mosquitto               mosquitto
run      command:mosquitto_pub           mosquitto-clients
demo     command:redis-server            redis-server
demo     command:redis-cli               redis-tools
demo     command:/usr/lib/rabbitmq/bin/rabbitmq-server rabbitmq-server
demo     command:amqp-publish            amqp-tools
test     command:redis-server            redis-server
test     command:openssl                 openssl
test     command-file:/usr/lib/postgresql/*/bin/postgres postgresql
test     command:/usr/lib/rabbitmq/bin/rabbitmq-server rabbitmq-server
test     library:cmocka                  libcmocka-dev
test     command:valgrind                valgrind
test     command:g++                     g++
test     command:nm                      binutils
test     command:python3                 python3
test     command:amqp-consume            amqp-tools
test     command:promtool                prometheus
test     command:chromium                chromium
test     command:chromedriver            chromium-driver
lint     command:clang                   clang
lint     command:clang-format            clang-format
lint     command:clang-tidy              clang-tidy
lint     command:cppcheck                cppcheck
lint     command:ctags                   universal-ctags
lint     command:shellcheck              shellcheck
lint     command:git                     git
fuzz     command:clang                   clang
fuzz     library-file:libclang_rt.fuzzer libclang-rt-dev
chroot   command:debootstrap             debootstrap
package  command:dpkg-buildpackage        dpkg-dev
package  command:dh                       debhelper
package  command:fakeroot                 fakeroot
package  command:lintian                  lintian
package  command:git                     git
package  file:/usr/share/build-essential/list build-essential
END
}

present() {
  local kind=${1%%:*} name=${1#*:}
  case $kind in
  command) command -v "$name" >/dev/null ;;
  file) [ -f "$name" ] ;;
  command-file) compgen -G "$name" >/dev/null ;;
  library) pkg-config --exists "$name" 2>/dev/null ;;
  header) # CC may be several words, such as `ccache gcc`
    # shellcheck disable=SC2086
    echo "#include <$name>" | ${CC:-cc} -E -o /dev/null - 2>/dev/null
    ;;
  library-file) compgen -G "$(clang -print-resource-dir 2>/dev/null)/lib/*/$name*" >/dev/null ;;
  esac
}

# Fills missing_things and missing_packages for the groups asked for.
find_missing() {
  local group thing package
  missing_things=() missing_packages=()
  while read -r group thing package; do
    if [[ " $groups " == *" $group "* ]] && ! present "$thing"; then
      missing_things+=("${thing#*:}")
      missing_packages+=("$package")
    fi
  done < <(catalogue)
}

# How to become root; fails where there is no way. Without a terminal sudo must not ask.
root_prefix() {
  if [ "$(id -u)" = 0 ]; then
    return 0
  fi
  command -v sudo >/dev/null || return 1
  if sudo -n true 2>/dev/null; then
    echo "sudo -n"
  elif [ -t 0 ] && [ -t 2 ]; then
    echo "sudo"
  else
    return 1
  fi
}

has_service() { command -v "$1" >/dev/null || [ -x "/etc/init.d/$1" ]; }

# A server's package starts a server of its own, now and at every boot. Only its program is wanted here,
# so a service that this script brought is put to rest again.
rest_service() {
  local service=$1
  if [ -d /run/systemd/system ]; then
    $as_root systemctl disable --quiet --now "$service" || return 0
    echo "deps: the package's own $service service is stopped and disabled;" \
      "'systemctl enable --now $service' brings it back"
  elif [ -x "/etc/init.d/$service" ]; then
    $as_root "/etc/init.d/$service" stop >/dev/null 2>&1 || true
  fi
}

# apt tells a long story: it is shown only where it ends badly.
apt() {
  # shellcheck disable=SC2086 # as_root is a command with its options, or nothing
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q "$@" >>"$log" 2>&1 </dev/null
}

install_packages() {
  local service new_services=()
  for service in mosquitto redis-server rabbitmq-server postgresql prometheus; do
    has_service "$service" || new_services+=("$service")
  done
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  echo "deps: installing ${missing_packages[*]}"
  apt update || echo "deps: apt-get update failed; trying with the lists that are there" >&2
  if ! apt install -y --no-install-recommends "${missing_packages[@]}"; then
    cat "$log" >&2
    return 1
  fi
  hash -r
  for service in "${new_services[@]}"; do
    if has_service "$service"; then
      rest_service "$service"
    fi
  done
}

groups=${*:-build run test}
find_missing
if [ ${#missing_things[@]} = 0 ]; then
  exit 0
fi
if ! command -v apt-get >/dev/null; then
  echo "deps: missing: ${missing_things[*]}" >&2
  echo "deps: this is not a Debian system; install them with its own package manager" >&2
  exit 1
fi
if ! as_root=$(root_prefix); then
  echo "deps: missing: ${missing_things[*]}" >&2
  echo "deps: not root, and sudo cannot be used here. As root, run:" >&2
  echo "  apt-get update && apt-get install -y --no-install-recommends ${missing_packages[*]}" >&2
  exit 1
fi
install_packages
find_missing
if [ ${#missing_things[@]} != 0 ]; then
  echo "deps: still missing after the installation: ${missing_things[*]}" >&2
  exit 1
fi
