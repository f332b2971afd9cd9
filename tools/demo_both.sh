# shellcheck shell=bash disable=SC2154 # dir, orders and the like are variables of demo.sh and broker.sh
# SPDX-License-Identifier: MIT
# The third part of tools/demo.sh, which sources it: the same orders over MQTT and over AMQP, the plugin and
# idem-bridge on one Redis. A topic and the first text of a body are the row of the table that they belong to.

both_config() {
  cat >"$dir/both.yaml" <<END
instance: demo-plugin
store: {url: "unix://$dir/redis.sock", deadline: 10s}
rules:
  - name: orders
    match: {topic: "orders/#"}
    key: json:/order/id
    scope: global
    fingerprint: [json:/order/id, json:/total]
END
}

both_mqtt() { bodies "$1" 1 "$stream_orders" | publish 5 1 -t "$1" -l; } # KIND
both_amqp() { bodies "$1" 1 "$stream_orders" | amqp_publish -l; }

delivered_reach() { [ "$(wc -l <"$dir/delivered")" -ge "$1" ]; }

both_send() {
  local publisher
  both_mqtt orders/mqtt-amqp
  both_amqp orders/amqp-mqtt
  wait_until 20 delivered_reach $((2 * stream_orders)) || true
  both_amqp orders/mqtt-amqp
  both_mqtt orders/amqp-mqtt
  bodies orders/at-once 1 "$stream_orders" | tac | amqp_publish -l & # they meet somewhere
  publisher=$!
  both_mqtt orders/at-once
  wait "$publisher"
  wait_until 20 delivered_reach $((3 * stream_orders)) || true
  amqp_settle 0
}

by_mqtt() { grep -c "^$1 .*" "$dir/by-mqtt" || true; } # KIND

# A row: nothing comes twice, and nothing was in doubt.
both_right() { [ "$1" = 0 ]; }
both_row() { row both_right "$1" "$2" $((2 * stream_orders)) "$stream_orders" 0 "$(by_mqtt "$2")"; }

# What was dropped is what each of the two says that it has dropped.
both_dropped() {
  local dropped
  dropped=$(sed -n 's/.* duplicates \([0-9]*\).*/\1/p' "$dir/both.log")
  if [ $((dropped + $(wc -l <"$dir/duplicates"))) != $((3 * stream_orders)) ]; then
    echo "  The plugin and the bridge together dropped another number of copies." >&2
    wrong
  fi
}

both_story() {
  next_phase
  both_config
  broker_start "$dir" "$plugin" "$dir/both.yaml"
  start_subscribers
  bridge_start both.log
  : >"$dir/by-mqtt"
  subscribe "$dir/by-mqtt" 'orders/+'
  both_send
  bridge_stop || die "the bridge did not stop cleanly"
  heading "Each order over MQTT and over AMQP, the plugin and the bridge on one Redis:" "out by MQTT"
  both_row "MQTT, later AMQP" orders/mqtt-amqp
  both_row "AMQP, later MQTT" orders/amqp-mqtt
  both_row "both at once" orders/at-once
  both_dropped
  stop_subscribers
  broker_stop || true
}
