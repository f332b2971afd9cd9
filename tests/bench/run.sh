#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# make bench: decisions on the caller's thread, the Redis store beside a bare hiredis loop, the bridge beside
# RabbitMQ's Shovel and into PostgreSQL, then Mosquitto with the plugin beside the bare broker, with the embedded store and with a
# Redis that is a millisecond away.
# KEYS (1000000), SAMPLES (100000), MESSAGES (100000) and ROUNDS (5) change how much.
set -euo pipefail
build=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."
# shellcheck source=tools/broker.sh
. tools/broker.sh

dir=$(mktemp -d "${TMPDIR:-/tmp}/idem-bench.XXXXXX")
bare_pid='' plugin_pid='' redis_pid=''
finish() {
  local pid
  for pid in $bare_pid $plugin_pid $redis_pid; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  tests/rabbitmq.sh stop "$dir/rabbitmq"
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
"$build/tests/bench/bench_decision" "embedded://$dir/numbers" "${KEYS:-1000000}" "${SAMPLES:-100000}" sequence
rm -f "$dir"/decision* "$dir"/numbers*
"$build/tests/bench/bench_replay" "embedded://$dir/replay" "$((${KEYS:-1000000} / 10))" "${SAMPLES:-100000}" "${ROUNDS:-5}"
rm -f "$dir"/replay*
echo

redis-server --port 0 --unixsocket "$dir/redis.sock" --dir "$dir" --save '' --appendonly no >"$dir/redis.log" 2>&1 &
redis_pid=$!
until redis-cli -s "$dir/redis.sock" ping >/dev/null 2>&1; do
  kill -0 $redis_pid || exit 1
  sleep 0.05
done
"$build/tests/bench/bench_redis" "$dir/redis.sock" "${MESSAGES:-100000}" "${ROUNDS:-5}"
echo

mkdir "$dir/rabbitmq"
tests/rabbitmq.sh start "$dir/rabbitmq" rabbitmq_shovel
"$build/tests/bench/bench_bridge" "$dir/rabbitmq" "$build/idem-bridge" "$dir/redis.sock" "$dir" \
  "${MESSAGES:-100000}" "${ROUNDS:-5}"
echo
"$build/tests/bench/bench_postgres" "$(cat "$dir/rabbitmq/port")" "$((${MESSAGES:-100000} / 5))" "${ROUNDS:-5}"
tests/rabbitmq.sh stop "$dir/rabbitmq"
kill $redis_pid
wait $redis_pid || true
redis_pid=''
echo

broker_start "$dir/bare" '' ''
bare_pid=$broker_pid bare_port=$broker_port
broker_pid='' broker_port=''
broker_start "$dir/plugin" "$build/mosquitto_idem.so" "$dir/idem.yaml"
plugin_pid=$broker_pid
"$build/tests/bench/bench_mqtt" "$bare_port" "$bare_pid" "$broker_port" "$plugin_pid" \
  "${MESSAGES:-100000}" "${ROUNDS:-5}"
echo
tests/bench/park.sh "$build"
