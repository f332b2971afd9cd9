#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A private Mosquitto with the plugin, in the foreground, to try things on: PORT=1883 tools/run.sh. CONFIG=FILE
# tries a configuration of your own, with its embedded store moved into build/run.
# What it remembers is kept in build/run between runs; `make clean` forgets it.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/broker.sh
. tools/broker.sh

port=${PORT:-1883}
plugin=$PWD/build/mosquitto_idem.so
dir=$PWD/build/run
config=${CONFIG:-examples/mqtt-quickstart.yaml}

if ! [[ $port =~ ^[1-9][0-9]{0,4}$ ]] || ((port > 65535)); then
  die "PORT=$port is no port: give a number from 1 to 65535"
fi
[ -f "$config" ] || die "CONFIG=$config: there is no such file"
[ -f "$plugin" ] || die "build/mosquitto_idem.so is missing: run make first"
if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
  die "port $port of 127.0.0.1 is taken, perhaps by another broker. Choose another: make run PORT=$((port % 65535 + 1))"
fi

mkdir -p "$dir"
chmod 700 "$dir"
escaped=${dir//[\\&|]/\\&}
sed "s|embedded://[^\"' ]*|embedded://$escaped/store|" "$config" >"$dir/idem.yaml"
broker_conf "$dir/mosquitto.conf" "$port" "$plugin" "$dir/idem.yaml"

at=
[ "$port" = 1883 ] || at=" -p $port"
echo
echo "  Mosquitto with Idem on 127.0.0.1:$port. Ctrl-C stops it."
if [ -n "${CONFIG:-}" ]; then
  echo "  It runs $config as build/run/idem.yaml, and takes a change of it when it is started again."
else
  cat <<END
  In a second terminal:

    mosquitto_sub$at -v -t 'orders/#' -t '\$idem/duplicate/#' -t '\$idem/quarantine/#'

  and in a third one the same order, twice:

    mosquitto_pub$at -V 5 -q 1 -t orders/berlin -D publish user-property idempotency-key order-1 -m '{"id":1}'

  It arrives once; its copy is seen on \$idem/duplicate only. Later copies are copies too, over restarts:
  \`make clean\` forgets them.
END
fi
echo
exec mosquitto -c "$dir/mosquitto.conf"
