#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A private Mosquitto with the plugin, in the foreground, to try things on: PORT=1883 tools/run.sh.
# What it remembers is kept in build/run between runs; `make clean` forgets it.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/broker.sh
. tools/broker.sh

port=${PORT:-1883}
plugin=$PWD/build/mosquitto_idem.so
dir=$PWD/build/run

if ! [[ $port =~ ^[1-9][0-9]{0,4}$ ]] || ((port > 65535)); then
  die "PORT=$port is no port: give a number from 1 to 65535"
fi
[ -f "$plugin" ] || die "build/mosquitto_idem.so is missing: run make first"
if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
  die "port $port of 127.0.0.1 is taken, perhaps by another broker. Choose another: make run PORT=$((port % 65535 + 1))"
fi

mkdir -p "$dir"
chmod 700 "$dir"
escaped=${dir//[\\&|]/\\&}
sed "s|embedded://[^\"' ]*|embedded://$escaped/store|" examples/mqtt-quickstart.yaml >"$dir/idem.yaml"
broker_conf "$dir/mosquitto.conf" "$port" "$plugin" "$dir/idem.yaml"

at=
[ "$port" = 1883 ] || at=" -p $port"
cat <<END

  Mosquitto with Idem on 127.0.0.1:$port. Ctrl-C stops it. In a second and a third terminal:

    mosquitto_sub$at -v -t 'orders/#' -t '\$idem/#'

    for copy in 1 2; do mosquitto_pub$at -V 5 -q 1 -t orders/berlin/created \\
      -D publish user-property idempotency-key order-1 -m '{"id":1}'; done

  The order arrives once; its copy is seen on \$idem/duplicate only. Later copies are copies too, over
  restarts: \`make clean\` forgets them.

END
exec mosquitto -c "$dir/mosquitto.conf"
