# shellcheck shell=bash disable=SC2154 # dir, orders and the like are variables of demo.sh
# SPDX-License-Identifier: MIT
# The AMQP half of tools/demo.sh, which sources it: a private RabbitMQ, a private Redis, and idem-bridge
# between the queue orders.in and the exchange orders. Publisher and consumer are those of amqp-tools.

readonly stream_orders=1000 kill_after=300
bridge_pid='' bridge_log='' links_before=0 redis_pid='' rabbitmq_starter='' consumers=()

amqp_prepare() { # RabbitMQ begins to start
  tests/rabbitmq.sh start "$dir/rabbitmq" >"$dir/rabbitmq.out" 2>&1 &
  rabbitmq_starter=$!
}

amqp_clean_up() {
  local pid
  for pid in "${consumers[@]}" $redis_pid; do
    kill "$pid" 2>/dev/null || true
  done
  [ -z "$bridge_pid" ] || bridge_stop KILL || true
  [ -z "$rabbitmq_starter" ] || wait "$rabbitmq_starter" || true
  tests/rabbitmq.sh stop "$dir/rabbitmq"
  [ -z "$redis_pid" ] || wait "$redis_pid" 2>/dev/null || true
}

redis() { redis-cli -s "$dir/redis.sock" "$@"; }
keys() { redis dbsize; }
rabbitmqctl() { tests/rabbitmq.sh ctl "$dir/rabbitmq" -q "$@"; }

start_servers() {
  redis-server --port 0 --unixsocket "$dir/redis.sock" --unixsocketperm 700 --dir "$dir" --appendonly yes \
    >"$dir/redis.log" 2>&1 &
  redis_pid=$!
  wait_until 10 redis ping >/dev/null 2>&1 || die "Redis does not start: $(tail -n 3 "$dir/redis.log")"
  wait "$rabbitmq_starter" || die "RabbitMQ does not start: $(tail -n 3 "$dir/rabbitmq.out")"
  rabbitmq_starter=''
  amqp_url=amqp://guest:guest@127.0.0.1:$(cat "$dir/rabbitmq/port")
  echo "RabbitMQ $(rabbitmqctl version), $(redis-server --version | cut -d' ' -f1-3)"
}

# The fingerprint is of what is in the bodies: amqp-publish ends each with a newline, mosquitto_pub does not.
amqp_config() {
  cat >"$dir/bridge.yaml" <<END
http: {listen: off}
instance: demo-bridge
store: {url: "unix://$dir/redis.sock", deadline: 10s}
rules:
  - name: orders
    match: {queue: orders.in}
    key: [property:idempotency-key, json:/order/id]
    scope: global
    fingerprint: [json:/order/id, json:/total]
    on_store_failure: refuse
bridge:
  source: {url: "$amqp_url/%2f", queue: orders.in, prefetch: 200}
  sink: {url: "$amqp_url/%2f", exchange: orders}
  quarantine: {exchange: orders.quarantine}
  declare: true
END
}

# --- The bridge: a log for each phase, which a killed bridge shares with the one that takes over.

bridge_settled() {
  [ "$(grep -c 'link.up' "$bridge_log")" -ge $((links_before + 2)) ] || ! kill -0 "$bridge_pid" 2>/dev/null
}

bridge_start() { # LOG
  bridge_log=$dir/$1
  touch "$bridge_log"
  links_before=$(grep -c 'link.up' "$bridge_log" || true)
  build/idem-bridge -c "$dir/bridge.yaml" 2>>"$bridge_log" &
  bridge_pid=$!
  if ! wait_until 15 bridge_settled || ! kill -0 "$bridge_pid" 2>/dev/null; then
    cat "$bridge_log" >&2
    die "the bridge did not start"
  fi
}

bridge_stop() { # [SIGNAL]: returns the bridge's exit status
  local pid=$bridge_pid status=0
  bridge_pid=''
  kill -s "${1:-TERM}" "$pid"
  wait "$pid" 2>/dev/null || status=$?
  return "$status"
}

doubts() { grep -c 'copy.in_doubt' "$dir/$1" || true; }

# --- Publisher and consumers. The first text of a body says which row of the table it belongs to.

consume() { # FILE OPTION...: every message becomes a line "KIND BODY" of the file
  local file=$1
  shift
  # shellcheck disable=SC2016 # awk's own fields
  amqp-consume --url "$amqp_url" "$@" awk 'BEGIN {FS = "\""} {print $4, $0}' >>"$dir/$file" 2>>"$dir/consumers.log" &
  consumers+=($!)
  disown $!
}

consumers_ready() { [ "$(rabbitmqctl list_consumers --no-table-headers queue_name | grep -c .)" = 3 ]; } # the bridge is one

bodies() { seq -f "{\"kind\":\"$1\",\"order\":{\"id\":\"$1/%g\"}}" "$2" "$3"; } # KIND FIRST LAST

amqp_publish() { amqp-publish --url "$amqp_url" -r orders.in -p "$@" || die "a publisher was told of a failure"; }

amqp_send() { # LAST: one copy of each of these orders, with the key in the body, and in a header
  local id
  bodies body 1 "$1" | amqp_publish -l
  for id in $(seq 1 "$1"); do
    amqp_publish -H "idempotency-key: header/$id" -b "{\"kind\":\"header\",\"number\":$id}"
  done
}

# --- The story

# Every message of every queue is acknowledged; the bridge has told the source so only after the delivery.
queues_empty() { ! rabbitmqctl list_queues --no-table-headers messages | grep -qv '^0$'; }

amqp_settle() { # COUNT: of messages that are to come out
  wait_until 20 all_arrived "$1" || true
  wait_until 10 queues_empty || {
    echo "  Messages are left in a queue." >&2
    wrong
  }
  sleep 0.3
}

# A row: only a copy that was in doubt may come twice.
amqp_right() { [ "$1" -ge 0 ] && [ "$1" -le "$3" ]; }
amqp_row() { row amqp_right "$@"; }

amqp_first_phase() {
  local doubtful
  for _ in 1 2 3; do
    amqp_send "$orders"
  done
  amqp_publish -b '{"kind":"conflict","order":{"id":"changed"},"total":10}'
  amqp_publish -b '{"kind":"conflict","order":{"id":"changed"},"total":99}'
  amqp_settle $((2 * orders + 2))
  doubtful=$(doubts first.log)
  heading "Each order sent three times to a queue, idem-bridge behind it, its keys in Redis:" "in doubt"
  amqp_row "AMQP, key in the body" body $((3 * orders)) "$orders" 0 "$doubtful"
  amqp_row "AMQP, key in a header" header $((3 * orders)) "$orders" 0 "$doubtful"
  amqp_row "used key, other payload" conflict 2 1 1 "$doubtful"
}

keys_reach() { [ "$(keys)" -ge "$1" ]; }

# Which orders were under way when the bridge died nobody can know for certain: those are in doubt, the bridge
# counts each, and delivers it, since twice is better than never.
amqp_killed_phase() {
  local before after publisher
  next_phase
  bridge_stop || die "the bridge did not stop cleanly"
  bridge_start killed.log
  before=$(keys)
  { bodies stream 1 $stream_orders; bodies stream 1 $stream_orders; } | amqp_publish -l &
  publisher=$!
  wait_until 10 keys_reach $((before + kill_after)) || die "the bridge takes nothing"
  bridge_stop KILL || true
  after=$(keys)
  bridge_start killed.log
  wait "$publisher"
  amqp_settle $stream_orders
  heading "Each sent twice; kill -9 of the bridge when it had claimed $((after - before)), and a restart:" "in doubt"
  amqp_row "AMQP, bridge killed" stream $((2 * stream_orders)) $stream_orders 0 "$(doubts killed.log)"
}

amqp_again_phase() {
  local doubtful
  next_phase
  bridge_stop || die "the bridge did not stop cleanly"
  bridge_start again.log
  amqp_send $((orders + new_orders))
  bodies stream 1 $stream_orders | amqp_publish -l
  amqp_settle $((2 * new_orders))
  doubtful=$(doubts again.log)
  heading "After one more restart: the same orders once more, and some new ones:" "in doubt"
  amqp_row "AMQP, key in the body" body $((orders + new_orders)) "$new_orders" 0 "$doubtful"
  amqp_row "AMQP, key in a header" header $((orders + new_orders)) "$new_orders" 0 "$doubtful"
  amqp_row "AMQP, bridge killed" stream $stream_orders 0 0 "$doubtful"
}

amqp_story() {
  echo
  start_servers
  amqp_config
  bridge_start first.log
  consume delivered -e orders -r '#'
  consume quarantined -q orders.quarantine
  wait_until 10 consumers_ready || die "the consumers do not start: $(tail -n 3 "$dir/consumers.log")"
  amqp_first_phase
  amqp_killed_phase
  amqp_again_phase
  bridge_stop || die "the bridge did not stop cleanly"
}
