#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A private RabbitMQ for tests: tests/rabbitmq.sh start DIR [PLUGIN...] | stop DIR | kill DIR | again DIR |
# ctl DIR COMMAND... On loopback, on free ports, with everything it writes in DIR; the port is in DIR/port
# when start has returned. Where there is openssl, it listens for TLS, too, as localhost: DIR/tls_port,
# DIR/ca.pem (who vouches for it), DIR/stranger.pem (who does not). Starting takes 4 to 16 seconds, so a run
# of tests has one. kill is a SIGKILL; again starts what was killed, with its ports and what it has on disk.
#
# With IDEM_CONTAINERS=1 start runs it in a container of the image idem-rabbitmq, on the host's network. DIR/container names
# the container that the other verbs are for; somebody else may have started it.
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

# authority DIR NAME: a key and a certificate that can sign others.
authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$2" \
    -keyout "$1/$2.key" -out "$1/$2.pem" 2>>"$1/openssl.log"
}

# For localhost only: a client that connects to 127.0.0.1 connects to the wrong host.
certificates() {
  local dir=$1
  authority "$dir" ca
  authority "$dir" stranger
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost \
    -keyout "$dir/server.key" -out "$dir/server.csr" 2>>"$dir/openssl.log"
  echo 'subjectAltName=DNS:localhost' >"$dir/server.ext"
  openssl x509 -req -in "$dir/server.csr" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -CAcreateserial -days 2 \
    -extfile "$dir/server.ext" -out "$dir/server.pem" 2>>"$dir/openssl.log"
}

tls_listener() {
  cat <<END
listeners.ssl.1 = 127.0.0.1:$2
ssl_options.cacertfile = $1/ca.pem
ssl_options.certfile = $1/server.pem
ssl_options.keyfile = $1/server.key
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
  local dir=$1 port tls_port plugins
  shift
  plugins=$*
  mkdir -p "$dir/home" "$dir/mnesia" "$dir/log"
  port=$(free_port)
  environment "$dir" "$port" "$(free_port)" "$(free_port)" >"$dir/environment"
  echo "[${plugins// /,}]." >"$dir/enabled_plugins"
  : >"$dir/rabbitmq.conf"
  if command -v openssl >/dev/null; then
    tls_port=$(free_port)
    certificates "$dir"
    tls_listener "$dir" "$tls_port" >"$dir/rabbitmq.conf"
    echo "$tls_port" >"$dir/tls_port"
  fi
  run "$dir"
  echo "$port" >"$dir/port"
}

in_container() { [ -f "$1/container" ]; }

# inside DIR COMMAND...: in its container, in the environment that start wrote, if it was start.
inside() {
  local dir=$1
  shift
  # shellcheck disable=SC2016 # expanded in there
  docker exec "$(cat "$dir/container")" bash -c '[ ! -f "$0/environment" ] || . "$0/environment"; exec "$@"' "$dir" "$@"
}

wait_inside() {
  local dir=$1 tries
  for ((tries = 0; tries < 90; tries++)); do
    if inside "$dir" rabbitmqctl -q await_startup --timeout 60 >>"$dir/stdout" 2>&1; then
      return 0
    fi
    sleep 0.5
  done
  docker logs "$(cat "$dir/container")" 2>&1 | tail -n 40 >&2
  return 1
}

run_container() {
  local dir=$1
  docker run -d --network host --user "$(id -u):$(id -g)" -v "$dir:$dir" idem-rabbitmq \
    bash -c ". '$dir/environment' && exec rabbitmq-server" >"$dir/container.new"
  mv "$dir/container.new" "$dir/container"
  wait_inside "$dir"
}

run() {
  local dir=$1
  if in_container "$dir"; then
    docker start "$(cat "$dir/container")" >/dev/null
    wait_inside "$dir"
    return
  fi
  if [ "${IDEM_CONTAINERS:-}" = 1 ]; then
    run_container "$dir"
    return
  fi
  # shellcheck disable=SC1091 # written by start
  . "$dir/environment"
  setsid "$programs/rabbitmq-server" >"$dir/stdout" 2>&1 </dev/null &
  if ! wait_for "$dir"; then
    tail -n 40 "$dir/stdout" >&2
    stop "$dir"
    return 1
  fi
}

crash() {
  local dir=$1 pid tries
  if in_container "$dir"; then
    docker kill "$(cat "$dir/container")" >/dev/null
    return
  fi
  pid=$(cat "$dir/pid")
  kill -KILL "$pid"
  for ((tries = 0; tries < 100; tries++)); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.05
  done
  rm -f "$dir/pid"
}

stop() {
  local dir=$1 pid tries
  if in_container "$dir"; then
    docker rm -fv "$(cat "$dir/container")" >/dev/null 2>&1 || true
    rm -f "$dir/container" "$dir/port"
    return
  fi
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
  local dir=$1
  shift
  if in_container "$dir"; then
    inside "$dir" rabbitmqctl "$@"
    return
  fi
  # shellcheck disable=SC1091 # written by start
  . "$dir/environment"
  "$programs/rabbitmqctl" "$@"
}

case ${1:-} in
start)
  shift
  start "$@"
  ;;
stop) stop "$2" ;;
kill) crash "$2" ;;
again) run "$2" ;;
ctl)
  shift
  ctl "$@"
  ;;
*)
  echo "usage: tests/rabbitmq.sh start DIR [PLUGIN...] | stop DIR | kill DIR | again DIR | ctl DIR COMMAND..." >&2
  exit 2
  ;;
esac
