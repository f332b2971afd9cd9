#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/bench/park.sh BUILD: the plugin with a Redis behind a proxy that adds a delay, beside the bare broker.
# DELAY (1) in milliseconds each way, MESSAGES (100000), ROUNDS (5), WAIT (park).
set -euo pipefail
build=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."
# shellcheck source=tools/broker.sh
. tools/broker.sh

dir=$(mktemp -d "${TMPDIR:-/tmp}/idem-bench.XXXXXX")
pids=()
finish() {
  local pid
  [ -z "${redis_pid:-}" ] || kill -CONT "$redis_pid" 2>/dev/null || true
  for pid in "${pids[@]}"; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  rm -rf "$dir"
}
trap finish EXIT
mkdir "$dir/bare" "$dir/plugin"

redis_port=$((20000 + RANDOM % 12000))
redis-server --port "$redis_port" --bind 127.0.0.1 --dir "$dir" --save '' --appendonly no \
  >"$dir/redis.log" 2>&1 &
redis_pid=$!
pids+=("$redis_pid")
wait_until 10 redis-cli -p "$redis_port" ping >"$dir/ping" 2>&1 || die "Redis did not start"
"$build/tests/bench/bench_park" proxy "$redis_port" "${DELAY:-1}" >"$dir/proxy" 2>&1 &
pids+=($!)
wait_until 10 test -s "$dir/proxy" || die "the proxy did not start"

cat >"$dir/idem.yaml" <<END
store: {url: "redis://127.0.0.1:$(cat "$dir/proxy")", wait: ${WAIT:-park}, deadline: 1s}
rules:
  - name: orders
    match: {topic: "bench/#"}
    key: json:/id
    scope: global
END
broker_start "$dir/bare" '' ''
pids+=("$broker_pid")
bare_port=$broker_port bare_pid=$broker_pid
broker_pid='' broker_port=''
broker_start "$dir/plugin" "$build/mosquitto_idem.so" "$dir/idem.yaml"
pids+=("$broker_pid")
"$build/tests/bench/bench_park" run "$bare_port" "$bare_pid" "$broker_port" "$broker_pid" "$redis_pid" \
  "${MESSAGES:-100000}" "${ROUNDS:-5}"
if [ -n "${SHOW_LOG:-}" ]; then
  cat "$broker_log"
fi
