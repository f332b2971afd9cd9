#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Mosquitto with the plugin under valgrind, traffic of every kind over it: tests/valgrind.sh [--quick].
# Fails on any invalid access and on any lost block. A bare broker loses none, so what is lost was lost by
# the plugin, topics and properties included, which brokers before 2.0.15 leave to the plugin to free.
# shellcheck disable=SC2016 # a topic that begins with a dollar sign is no variable
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/broker.sh
. tools/broker.sh

# Of Redis, the word in front says how the plugin waits for it.
case ${1:-} in
'') readonly messages=400 stores="embedded://DIR/store memory: park=unix://DIR/redis.sock block=unix://DIR/redis.sock" ;;
--quick) readonly messages=40 stores="embedded://DIR/store park=unix://DIR/redis.sock" ;;
*) die "usage: tests/valgrind.sh [--quick]" ;;
esac
plugin=${IDEM_PLUGIN:-$PWD/build/mosquitto_idem.so}
dir=$(mktemp -d)
subscriber_pid='' redis_pid=''

redis_stop() {
  [ -n "$redis_pid" ] || return 0
  kill "$redis_pid" 2>/dev/null || true
  wait "$redis_pid" 2>/dev/null || true
  redis_pid=''
}

clean_up() {
  [ -z "$subscriber_pid" ] || kill "$subscriber_pid" 2>/dev/null || true
  redis_stop
  broker_stop KILL || true
  rm -rf "$dir"
}
trap clean_up EXIT

redis_start() {
  redis-server --port 0 --unixsocket "$dir/redis.sock" --unixsocketperm 700 --dir "$dir" --save '' --appendonly no \
    >"$dir/redis.log" 2>&1 &
  redis_pid=$!
  wait_until 20 test -S "$dir/redis.sock" || die "no Redis: $(tail -n 3 "$dir/redis.log")"
}

write_config() { # STORE
  cat >"$dir/idem.yaml" <<END
instance: valgrind
store: {$1}
rules:
  - {name: natural, match: {topic: "natural/#"}, strategy: natural}
  - name: property
    match: {topic: "property/#"}
    key: [property:idempotency-key]
    scope: principal
    on_missing_key: quarantine
    propagate: {as: idempotency-key, hop: next}
  - name: json
    match: {topic: "json/+/#"}
    key: {all: [topic:2, json:/order/id]}
    scope: rule
    fingerprint: payload
    on_missing_key: reject
    on_conflict: quarantine
    propagate: {as: idempotency-key}
  - name: requests
    match: {topic: "requests/#"}
    key: [property:idempotency-key]
    scope: rule
    on_duplicate: replay
    result: {max: 2000, failed: {header: status, values: ["5*"]}}
  - {name: content, match: {topic: "content/#"}, key: [payload], scope: rule, on_duplicate: quarantine}
END
}

# publish OPTION...: some of these are refused on purpose, so the exit status tells nothing.
publish() {
  mosquitto_pub -h 127.0.0.1 -p "$broker_port" -V "$version" -q "$qos" "$@" >/dev/null 2>&1 || true
}

orders() { seq -f "{\"order\":{\"id\":\"$version-$qos-%g\"}}" "$messages"; }

# request, response ID CORRELATION
request() {
  publish -t requests/a -m "payload $1" -D publish user-property idempotency-key "request-$qos-$1" \
    -D publish response-topic "answers/$qos/$1" -D publish correlation-data "$2"
}
response() {
  local body=answer
  [ "$1" != 3 ] || body=$(printf '%03000d' 0)
  publish -t "answers/$qos/$1" -m "$body" -D publish user-property status "$((200 + 300 * ($1 == 2)))" \
    -D publish user-property other value -D publish content-type text/plain -D publish correlation-data "$2"
}

traffic() {
  local id streams
  for _ in 1 2; do
    streams=()
    orders | publish -l -t json/a/created & streams+=($!)
    orders | publish -l -t content/a -r & streams+=($!)
    orders | publish -l -t natural/a & streams+=($!)
    orders | publish -l -t unmatched & streams+=($!)
    wait "${streams[@]}"
    publish -t json/a/created -m "{\"order\":{\"id\":\"$version-$qos-1\"},\"changed\":true}" # a conflict
    publish -t json/a/created -m "{\"order\":" # no key
    publish -t json/a/created -n
    publish -t property/a -m "no key" -r
    publish -t property/a -n -r # a retained delete
    publish -t '$idem/duplicate/forged' -m "refused"
    publish -t "json/$(printf 'long/%.0s' {1..2000})" -m "{\"order\":{\"id\":\"$version-$qos-long\"}}"
  done
  [ "$version" = 5 ] || return 0
  for id in 1 2 3; do # asked twice, answered (well, badly, at length), asked again
    request "$id" a
    request "$id" b
    response "$id" a
    request "$id" c
  done
  for id in 1 2 3 1 2 3; do
    publish -i device -t property/a -m "payload $id" -D publish user-property idempotency-key "key-$qos-$id" \
      -D publish user-property other value -D publish content-type text/plain
  done
}

all_seen() { grep -aq '^marker' "$dir/seen"; }

one_broker() { # STORE
  local status=0 version qos url=${1#*=} store
  broker_port=''
  store="url: '${url//DIR/$dir}'"
  case $1 in
  *=unix:*)
    redis_start
    store+=", wait: ${1%%=*}, deadline: 10s" # valgrind is slow; an answer that is not waited for proves nothing
    ;;
  esac
  write_config "$store"
  broker_start "$dir" "$plugin" "$dir/idem.yaml" \
    valgrind --quiet --leak-check=full --errors-for-leak-kinds=definite --show-leak-kinds=definite \
    --keep-debuginfo=yes --error-exitcode=99
  : >"$dir/seen"
  mosquitto_sub -h 127.0.0.1 -p "$broker_port" -V 5 -D connect receive-maximum 60000 -q 2 -v -t '#' -t '$idem/#' \
    >"$dir/seen" 2>&1 &
  subscriber_pid=$!
  wait_until 20 grep -q '2 \$idem/#' "$broker_log" || die "the subscriber got no answer"

  for version in mqttv311 5; do
    for qos in 0 1 2; do
      traffic
      kill -s HUP "$broker_pid" # read the configuration again
    done
  done
  publish -t marker -m end
  wait_until 60 all_seen || die "the broker did not come to an end with its traffic"
  kill "$subscriber_pid"
  wait "$subscriber_pid" 2>/dev/null || true
  subscriber_pid=''
  broker_stop TERM || status=$?
  redis_stop

  # A run in which the plugin did nothing would prove nothing.
  local duplicates answers
  duplicates=$(grep -ac '^$idem/duplicate/json/a/created' "$dir/seen") || true
  answers=$(grep -ac '^answers/' "$dir/seen") || true # 9 are first ones, the others replays
  if [ "$status" != 0 ] || [ "$duplicates" != $((6 * messages)) ] || [ "$answers" -le 9 ]; then
    { grep '^==' "$broker_log" || tail -n 20 "$broker_log"; } >&2
    die "store $1: broker's status $status, $duplicates duplicates seen of $((6 * messages)), $answers answers"
  fi
  echo "valgrind: store ${1%%:*}: no invalid access, nothing lost ($(wc -l <"$dir/seen") deliveries," \
    "$duplicates duplicates, $answers answers, $(mosquitto -h | head -n 1))"
}

for store in $stores; do
  one_broker "$store"
done
