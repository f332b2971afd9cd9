#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# make bench: decisions on the caller's thread, then Mosquitto with the plugin beside the bare broker.
# KEYS (1000000), SAMPLES (100000), MESSAGES (100000) and ROUNDS (5) change how much.
set -euo pipefail
build=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."
# shellcheck source=tools/broker.sh
. tools/broker.sh

dir=$(mktemp -d "${TMPDIR:-/tmp}/idem-bench.XXXXXX")
bare_pid='' plugin_pid=''
finish() {
  local pid
  for pid in $bare_pid $plugin_pid; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  rm -rf "$dir"
}
trap finish EXIT

cat >"$dir/idem.yaml" <<END
store: {url: "embedded://$dir/store"}
rules:
  - name: orders
    match: {topic: "bench/#"}
    key: json:/id
    scope: global
END
mkdir "$dir/bare" "$dir/plugin"

echo "bench: $(nproc) cores, $(uname -m), $(mosquitto -h | sed -n 's/^mosquitto version //p'), $(date +%F)" >&2
"$build/tests/bench/bench_decision" "embedded://$dir/decision" "${KEYS:-1000000}" "${SAMPLES:-100000}"
rm -f "$dir"/decision*
echo

broker_start "$dir/bare" '' ''
bare_pid=$broker_pid bare_port=$broker_port
broker_pid='' broker_port=''
broker_start "$dir/plugin" "$build/mosquitto_idem.so" "$dir/idem.yaml"
plugin_pid=$broker_pid
"$build/tests/bench/bench_mqtt" "$bare_port" "$broker_port" "${MESSAGES:-100000}" "${ROUNDS:-5}"
