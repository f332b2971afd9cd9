#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The whole story by itself, on private ports: MQTT through Mosquitto with the plugin, then AMQP through
# idem-bridge between two ends of a RabbitMQ, with its keys in Redis, then both on that Redis. Orders are sent
# several times, and what drops the copies is killed in the middle. Tables tell what arrived. Exit status 0 only
# if all of it is right.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/broker.sh
. tools/broker.sh
# shellcheck source=tools/demo_mqtt.sh
. tools/demo_mqtt.sh
# shellcheck source=tools/demo_amqp.sh
. tools/demo_amqp.sh
# shellcheck source=tools/demo_both.sh
. tools/demo_both.sh

# shellcheck disable=SC2034 # used by what is sourced
readonly orders=20 new_orders=10
plugin=${IDEM_PLUGIN:-$PWD/build/mosquitto_idem.so}
for made in "$plugin" build/idem-bridge; do
  [ -f "$made" ] || die "$made is missing: run make first"
done
dir=$(mktemp -d)
failures=0

clean_up() {
  stop_subscribers
  broker_stop KILL || true
  amqp_clean_up
  rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --- What arrived: lines "KIND BODY" in the files delivered, duplicates and quarantined.

copies() { grep -cE "^(.idem/[a-z]+/)?$2 " "$dir/$1" || true; }
total() { cat "$dir/delivered" "$dir/duplicates" "$dir/quarantined" | wc -l; }

# What was delivered until now is not to come again. The files are emptied and not replaced, since consumers
# may go on writing to them.
next_phase() {
  local file
  cat "$dir/delivered" >>"$dir/known"
  sort -u -o "$dir/known" "$dir/known"
  for file in delivered duplicates quarantined; do
    : >"$dir/$file"
  done
}

heading() { # TITLE FIFTH
  printf '\n  %s\n\n  %-24s %6s %7s %10s %8s %16s %12s %5s %6s\n' "$1" '' sent unique delivered dropped \
    "$2" quarantined lost twice
}

wrong() { failures=$((failures + 1)); }

# row RIGHT LABEL KIND SENT UNIQUE CONFLICTS FIFTH: the function RIGHT judges TWICE DROPPED FIFTH.
row() {
  local right=$1 delivered fresh quarantined lost twice dropped mark=''
  shift
  delivered=$(copies delivered "$2")
  fresh=$({ grep "^$2 " "$dir/delivered" || true; } | sort -u | comm -23 - "$dir/known" | wc -l)
  quarantined=$(copies quarantined "$2")
  lost=$(($4 > fresh ? $4 - fresh : 0))
  twice=$((delivered - ($4 - lost))) dropped=$(($3 - delivered - quarantined))
  if [ "$lost" != 0 ] || [ "$quarantined" != "$5" ] || ! "$right" "$twice" "$dropped" "$6"; then
    mark=' <- wrong'
    wrong
  fi
  printf '  %-24s %6d %7d %10d %8d %16d %12d %5d %6d%s\n' "$1" "$3" "$4" "$delivered" "$dropped" \
    "$6" "$quarantined" "$lost" "$twice" "$mark"
}

# Every copy is seen somewhere, once: waits for that many, and a moment for any that should not come.
all_arrived() { [ "$(total)" -ge "$1" ]; }
settle() {
  wait_until 5 all_arrived "$1" || true
  sleep 0.5
}

touch "$dir"/{known,delivered,duplicates,quarantined}
amqp_prepare # RabbitMQ takes its time to start; MQTT has its turn meanwhile
mqtt_story
amqp_story
both_story

echo
if [ $failures != 0 ]; then
  die "$failures figures are wrong"
fi
echo "  Nothing lost, nothing delivered twice that was not in doubt, and every publisher saw a success."
