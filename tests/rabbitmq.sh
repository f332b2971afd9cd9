#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A private RabbitMQ for tests: tests/rabbitmq.sh start DIR | stop DIR | ctl DIR COMMAND... On loopback, on free ports, with
# everything it writes in DIR; the port is in DIR/port when start has returned. Starting takes 4 to 16
# seconds, so a run of tests has one.
set -euo pipefail

readonly programs=/usr/lib/rabbitmq/bin

# Below the range that systems give to clients, which could take a port between this look and the start.
free_port() {
  local port
  while :; do
    port=$((10000 + RANDOM % 20000))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return
    fi
  done
}

environment() {
  local dir=$1 port=$2 distribution=$3 epmd=$4
  cat <<END
export HOME=$dir/home
export RABBITMQ_NODENAME=idem$port@localhost
export RABBITMQ_NODE_IP_ADDRESS=127.0.0.1
export RABBITMQ_NODE_PORT=$port
export RABBITMQ_DIST_PORT=$distribution
export ERL_EPMD_ADDRESS=127.0.0.1
export ERL_EPMD_PORT=$epmd
export RABBITMQ_MNESIA_BASE=$dir/mnesia
export RABBITMQ_LOG_BASE=$dir/log
export RABBITMQ_PID_FILE=$dir/pid
export RABBITMQ_CONFIG_FILE=$dir/rabbitmq.conf
export RABBITMQ_ENABLED_PLUGINS_FILE=$dir/enabled_plugins
export RABBITMQ_CONF_ENV_FILE=$dir/no-env.conf
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}"
END
}

wait_for() {
  local dir=$1 tries
  for ((tries = 0; tries < 200; tries++)); do
    [ ! -s "$dir/pid" ] || break
    sleep 0.1
  done
  "$programs/rabbitmqctl" wait --timeout 90 "$dir/pid" >>"$dir/stdout" 2>&1
}

start() {
  local dir=$1 port
  mkdir -p "$dir/home" "$dir/mnesia" "$dir/log"
  port=$(free_port)
  environment "$dir" "$port" "$(free_port)" "$(free_port)" >"$dir/environment"
  echo '[].' >"$dir/enabled_plugins"
  : >"$dir/rabbitmq.conf"
  # shellcheck disable=SC1091 # written above
  . "$dir/environment"
  setsid "$programs/rabbitmq-server" >"$dir/stdout" 2>&1 </dev/null &
  if ! wait_for "$dir"; then
    tail -n 40 "$dir/stdout" >&2
    stop "$dir"
    return 1
  fi
  echo "$port" >"$dir/port"
}

stop() {
  local dir=$1 pid tries
  [ -f "$dir/environment" ] || return 0
  # shellcheck disable=SC1091 # written by start
  . "$dir/environment"
  pid=$(cat "$dir/pid" 2>/dev/null) || pid=
  if [ -n "$pid" ] && kill "$pid" 2>/dev/null; then
    for ((tries = 0; tries < 150; tries++)); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
  fi
  epmd -port "$ERL_EPMD_PORT" -kill >/dev/null 2>&1 || true
  rm -f "$dir/port"
}

ctl() {
  # shellcheck disable=SC1091 # written by start
  . "$1/environment"
  shift
  "$programs/rabbitmqctl" "$@"
}

case ${1:-} in
start) start "$2" ;;
stop) stop "$2" ;;
ctl)
  shift
  ctl "$@"
  ;;
*)
  echo "usage: tests/rabbitmq.sh start DIR | stop DIR | ctl DIR COMMAND..." >&2
  exit 2
  ;;
esac
