#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs the packages of build/deb in a Debian 12 chroot of their own, uses, upgrades, removes and purges them.
# Needs root. Mounts and processes are in name spaces of their own and end with this script, however it ends.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/debian-root.sh

[ "$(id -u)" = 0 ] || { echo "deb-test: a chroot needs root" >&2; exit 1; }
if [ "${IDEM_UNSHARED:-}" != yes ]; then
  tools/deps.sh chroot
  IDEM_UNSHARED=yes exec unshare --mount --propagation private --pid --fork --kill-child "$0" "$@"
fi

work=$(mktemp -d /var/tmp/idem-deb-XXXXXX)
readonly work root=$work/root
tidy() {
  umount -R "$root"/{proc,sys,dev,tmp} 2>/dev/null || true
  rm -rf --one-file-system "$work"
}
trap tidy EXIT
trap 'exit 130' INT TERM
count=0

inside() {
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} chroot "$root" sh -c "$1"
}

# check WHAT COMMAND: the command succeeds in the chroot. refuse WHAT COMMAND: it does not.
check() {
  if ! inside "$2" >"$work/out" 2>&1; then
    echo "not ok - $1: $2" >&2
    tail -n 30 "$work/out" >&2
    exit 1
  fi
  count=$((count + 1))
  echo "ok $count - $1"
}
refuse() { check "$1" "! { $2; }"; }

# The same packages under an older version.
make_older() {
  local deb name
  mkdir -p "$root/old" "$root/new"
  for name in idem idem-mosquitto idem-bridge libidem0 libidem-dev; do
    deb=$(ls build/deb/"${name}"_*.deb)
    cp "$deb" "$root/new/"
    rm -rf "$work/unpacked"
    dpkg-deb -R "$deb" "$work/unpacked"
    sed -i 's/^Version: .*/Version: 0.0.9/; s/(= [^)]*)/(= 0.0.9)/' "$work/unpacked/DEBIAN/control"
    dpkg-deb --root-owner-group -b "$work/unpacked" "$root/old/$name.deb" >/dev/null
  done
}

start=$SECONDS
make_debian_root bookworm "$root"
copy_apt_settings "$root"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
mount_system "$root"
make_older
check "apt finds its packages" "apt-get -q update"

check "they install" "apt-get -qy install --no-install-recommends /old/*.deb systemd"
check "the programs run" "idem-bridge --version && idemctl --version"
check "the configurations that come with them are right" \
  "idemctl -c /etc/idem/mosquitto.yaml check && idem-bridge -c /etc/idem/orders.yaml --check"
check "the bridge has a user of its own" "getent passwd idem && ! getent shadow idem | grep -q '[$]'"
check "the plugin's store belongs to the broker" "[ \"\$(stat -c %U:%a /var/lib/idem/mosquitto)\" = mosquitto:700 ]"
refuse "the plugin is not active by itself" "grep -q '^plugin' /etc/mosquitto/conf.d/idem.conf"
check "systemd accepts the unit" "systemd-analyze verify --man=no idem-bridge@orders.service"
check "the unit leaves a service little to harm" \
  "systemd-analyze security --offline=true --threshold=20 idem-bridge@orders.service"
# shellcheck disable=SC2016 # expanded inside
check "the broker takes the plugin, and drops a copy" '
  sed -i "s/^#plugin/plugin/" /etc/mosquitto/conf.d/idem.conf
  printf "listener 18830 127.0.0.1\nallow_anonymous true\ninclude_dir /etc/mosquitto/conf.d\n" >/tmp/m.conf
  apt-get -qy install --no-install-recommends mosquitto-clients
  mosquitto -c /tmp/m.conf & pid=$!
  sub() { mosquitto_sub -p 18830 -t "orders/#" -t "\$idem/duplicate/#" -v -C 2 -W 20 >/tmp/seen; }
  until mosquitto_pub -p 18830 -t ready -n 2>/dev/null; do sleep 0.1; done
  sub & sub=$! tries=0
  until [ "$(grep -c . /tmp/seen)" = 2 ] || [ $((tries += 1)) = 200 ]; do
    mosquitto_pub -p 18830 -q 1 -t orders/1 -m "{\"id\":1}"; sleep 0.1
  done
  wait $sub; kill $pid; wait $pid || true
  cat /tmp/seen; grep -q "^.idem/duplicate/orders/1" /tmp/seen'
check "root's words in a configuration are kept by an upgrade" '
  echo "# mine" >>/etc/idem/orders.yaml
  install -d -o idem /var/lib/idem/orders && touch /var/lib/idem/orders/store
  apt-get -qy -o Dpkg::Options::=--force-confold install --no-install-recommends /new/*.deb
  grep -q "^# mine" /etc/idem/orders.yaml && [ -e /var/lib/idem/orders/store ]'
check "the upgrade has happened" "! dpkg-query -W -f '\${Version}\n' 'idem*' 'libidem*' | grep -q '^0\.0\.9'"
# shellcheck disable=SC2016 # expanded inside
check "a program builds on the library" '
  apt-get -qy install --no-install-recommends gcc libc6-dev pkgconf
  printf "#include <idem/version.h>\n#include <idem/log.h>\nint main(void) { return idem_log_level_name(0) == 0; }\n" >/tmp/t.c
  gcc -o /tmp/t /tmp/t.c $(pkg-config --cflags --libs idem) && /tmp/t'
check "they can be removed" "apt-get -qy remove idem idem-mosquitto idem-bridge libidem0 libidem-dev"
refuse "no program is left" "ls /usr/bin/idem* /usr/lib/*/idem /usr/lib/*/libidem*"
check "configuration and keys are left" "[ -e /etc/idem/orders.yaml ] && [ -e /var/lib/idem/orders/store ]"
check "they can be purged" "apt-get -qy purge idem-mosquitto idem-bridge"
refuse "nothing is left" "ls -d /etc/idem /var/lib/idem /etc/mosquitto/conf.d/idem.conf /usr/share/doc/*idem*"
echo "deb-test: $count passed, 0 failed, in $((SECONDS - start)) s"
