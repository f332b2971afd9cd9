# shellcheck shell=bash
# shellcheck disable=SC2016 # a topic that begins with a dollar sign is no variable
# shellcheck disable=SC2154 # dir, orders and the like are variables of demo.sh and broker.sh
# SPDX-License-Identifier: MIT
# The MQTT half of tools/demo.sh, which sources it: orders sent several times, by clients that know nothing of
# Idem, at every QoS and protocol version; the broker is killed in the middle.

subscribers=()

mqtt_config() {
  cat >"$dir/mqtt.yaml" <<END
instance: demo
store: {url: "embedded://$dir/store"}
rules:
  - name: orders
    match: {topic: "orders/#"}
    key: [property:idempotency-key, json:/order/id]
    scope: rule
    fingerprint: payload
    on_conflict: quarantine
END
}

subscribe() { # FILE FILTER: every message that arrives becomes a line "TOPIC PAYLOAD" of the file
  mosquitto_sub -h 127.0.0.1 -p "$broker_port" -V 5 -D connect receive-maximum 10000 -q 2 -v -t "$2" \
    >>"$1" 2>"$dir/subscriber.log" &
  subscribers+=($!)
  disown $!
  wait_until 5 grep -qF " 2 $2" "$broker_log" || die "no answer to a subscription"
}

start_subscribers() {
  subscribe "$dir/delivered" 'orders/#'
  subscribe "$dir/duplicates" '$idem/duplicate/#'
  subscribe "$dir/quarantined" '$idem/quarantine/#'
}

stop_subscribers() {
  [ ${#subscribers[@]} = 0 ] || kill "${subscribers[@]}" 2>/dev/null || true
  subscribers=()
}

publish() { # VERSION QOS OPTION...
  local version=$1 qos=$2
  shift 2
  mosquitto_pub -h 127.0.0.1 -p "$broker_port" -V "$version" -q "$qos" "$@" ||
    die "a publisher was told of a failure"
}

# send VERSION QOS TOPIC FIRST LAST: one copy of each of these orders, from a client of its own. With
# MQTT 3.1.1 the key is in the payload, with MQTT 5 it is a user property.
send() {
  local id
  if [ "$1" = 311 ]; then
    seq -f "{\"order\":{\"id\":\"$3/%g\"}}" "$4" "$5" | publish "$1" "$2" -t "$3" -l
    return
  fi
  for id in $(seq "$4" "$5"); do
    publish "$1" "$2" -t "$3" -D publish user-property idempotency-key "$3/$id" -m "{\"number\":$id}"
  done
}

# --- A QoS 2 client in raw packets, since no ready-made one loses its connection when it is told to.

word() { printf '\\x%02x\\x%02x' $(($1 >> 8)) $(($1 & 255)); } # a 16-bit number
packet() { # FIRST-BYTE BODY: the body is escaped text below 128 bytes
  local size
  size=$(printf '%b' "$2" | wc -c)
  printf '%b' "\\x$1\\x$(printf '%02x' "$size")$2" >&3
}
text() { printf '%s%s' "$(word ${#1})" "$1"; }

receive() { # prints the first byte of the next packet and reads the rest of it
  local first size
  read -r first size < <(timeout 5 dd bs=1 count=2 <&3 2>/dev/null | od -An -tu1)
  timeout 5 dd bs=1 count="$size" of=/dev/null <&3 2>/dev/null
  printf '%02x' "$first"
}
expect() { [ "$(receive)" = "$1" ] || die "the broker did not answer with packet $1"; }

connect() { # VERSION: a session that outlives its connection
  exec 3<>"/dev/tcp/127.0.0.1/$broker_port"
  local properties=''
  [ "$1" = 311 ] || properties='\x05\x11\x00\x00\x00\xff'
  packet 10 "$(text MQTT)\\x0$([ "$1" = 311 ] && echo 4 || echo 5)\\x00$(word 60)$properties$(text resender)"
  expect 20
}
disconnect() { exec 3>&-; }

# The connection breaks between PUBREC and PUBREL, so the client sends its PUBLISH again.
resend() { # VERSION TOPIC
  local properties='' payload="{\"order\":{\"id\":\"$2/1\"}}"
  [ "$1" = 311 ] || properties='\x00'
  connect "$1"
  packet 34 "$(text "$2")$(word 7)$properties$payload"
  expect 50
  disconnect
  connect "$1"
  packet 3c "$(text "$2")$(word 7)$properties$payload"
  expect 50
  packet 62 "$(word 7)"
  expect 70
  disconnect
}

# --- The story

# A row: what was dropped must be what came up on $idem/duplicate, and nothing comes twice.
mqtt_right() { [ "$1" = 0 ] && [ "$2" = "$3" ]; }
mqtt_row() { row mqtt_right "$@" "$(copies duplicates "$2")"; }

each_kind() { # COMMAND...: with VERSION, QOS, TOPIC and LABEL of each kind added
  local version qos
  for version in 311 5; do
    for qos in 0 1 2; do
      "$@" $version $qos "orders/mqtt$version-qos$qos" \
        "MQTT $([ $version = 311 ] && echo 3.1.1 || echo 5) QoS $qos"
    done
  done
}

send_thrice() {
  for _ in 1 2 3; do
    send "$1" "$2" "$3" 1 "$orders"
  done
}
send_again() { send "$1" "$2" "$3" 1 $((orders + new_orders)); }
first_row() { mqtt_row "$4" "$3" $((3 * orders)) "$orders" 0; }
second_row() { mqtt_row "$4" "$3" $((orders + new_orders)) "$new_orders" 0; }

mqtt_story() {
  mqtt_config
  broker_start "$dir" "$plugin" "$dir/mqtt.yaml"
  start_subscribers
  echo "$(mosquitto -h | head -n 1) with Idem on 127.0.0.1:$broker_port"

  each_kind send_thrice
  resend 311 orders/resend311
  resend 5 orders/resend5
  publish 5 1 -t orders/conflict -m '{"order":{"id":"changed"},"total":10}'
  publish 5 1 -t orders/conflict -m '{"order":{"id":"changed"},"total":99}'
  settle $((6 * 3 * orders + 6))

  heading "Each order sent three times:" '$idem/duplicate'
  each_kind first_row
  mqtt_row "3.1.1 QoS 2, cut, resent" orders/resend311 2 1 0
  mqtt_row "    5 QoS 2, cut, resent" orders/resend5 2 1 0
  mqtt_row "used key, other payload" orders/conflict 2 1 1

  broker_stop KILL || true
  stop_subscribers
  next_phase
  broker_start "$dir" "$plugin" "$dir/mqtt.yaml"
  start_subscribers
  each_kind send_again
  settle $((6 * (orders + new_orders)))

  heading "After kill -9 of the broker and a restart: the same orders once more, and some new ones:" '$idem/duplicate'
  each_kind second_row
  stop_subscribers
  broker_stop || true
  next_phase
}
