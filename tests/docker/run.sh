#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# With an engine at DOCKER_HOST: brings the stack of docker/compose.yaml up and tests it, kills included, and takes it down
# again; then the integration tests, whose brokers and bridges are containers (tests/support/container.c). Those of
# Mosquitto and those of the bridge run side by side. Leaves no container behind.
#
# ALL=1 runs every integration test; without it those for which a container makes a difference, or which stand for
# a promise of their own.
set -euo pipefail
shopt -s extglob
cd "$(dirname "$0")/../.."

export DOCKER_BUILDKIT=0 COMPOSE_DOCKER_CLI_BUILD=0 COMPOSE_PROJECT_NAME=idem-test-$$
# shellcheck source=tools/compose.sh
. tools/compose.sh

work=$(mktemp -d "${TMPDIR:-/tmp}/idem-docker-XXXXXX")
chmod 711 "$work"
export IDEM_DOCKER_DIR=$work/engine
tidy() {
  local status=$? containers
  if [ $status != 0 ] && [ -e "$IDEM_DOCKER_DIR/host" ]; then
    compose --profile monitoring logs --no-color --tail 40 2>&1 | tail -n 200 || true
  fi
  # shellcheck disable=SC2046 # pids
  kill $(jobs -p) 2>/dev/null && wait
  compose --profile monitoring --profile postgres down -v >/dev/null 2>&1 || true
  [ ! -d "$work/tests" ] || tests/rabbitmq.sh stop "$work/tests"
  containers=$(docker ps -aq --filter "label=idem-test=$COMPOSE_PROJECT_NAME") || containers=
  # shellcheck disable=SC2086 # ids
  [ -z "$containers" ] || docker rm -fv $containers >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap tidy EXIT
trap 'exit 130' INT TERM

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# Until every container says that it is well.
await_healthy() {
  local name state tries
  for name in mosquitto rabbitmq redis bridge prometheus postgres; do
    for ((tries = 0; tries < 240; tries++)); do
      state=$(docker inspect -f '{{.State.Health.Status}}' "$(container "$name")" 2>/dev/null) || state=
      [ "$state" != healthy ] || continue 2
      sleep 0.5
    done
    echo "docker: $name is $state"
    docker logs --tail 30 "$(container "$name")" 2>&1 || true
    return 1
  done
}

container() { compose --profile monitoring --profile postgres ps -q "$1"; }

start_stack() {
  local name
  for name in MQTT AMQP REDIS HTTP POSTGRES PROMETHEUS; do
    export "IDEM_${name}_PORT=$(free_port)"
  done
  PROFILE="monitoring postgres" make -s docker-up >"$work/up" 2>&1 || { cat "$work/up"; return 1; }
  grep 'images made' "$work/up"
  await_healthy
  mkdir "$work/stack"
  echo "$IDEM_AMQP_PORT" >"$work/stack/port"
  for name in mosquitto rabbitmq redis bridge prometheus postgres; do
    container "$name" >"$work/stack/$name"
  done
  cp "$work/stack/rabbitmq" "$work/stack/container"
}

of_the_stack() { docker "$@" -q --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME"; }

# What it keeps stays in volumes, and nothing else stays.
stop_stack() {
  make -s docker-down >"$work/down" 2>&1 || { cat "$work/down"; return 1; }
  if [ -n "$(of_the_stack ps -a)$(of_the_stack network ls)" ] || [ -e "$IDEM_DOCKER_DIR" ]; then
    echo "docker: make docker-down leaves something running:"
    of_the_stack ps -a
    of_the_stack network ls
    return 1
  fi
  of_the_stack volume ls >"$work/volumes"
  [ -s "$work/volumes" ] || { echo "docker: make docker-down has taken the volumes away"; return 1; }
  xargs docker volume rm <"$work/volumes" >/dev/null
}

# The names of all programs that tests/integration/PATTERN.c is the source of.
programs() {
  local source
  for source in "$@"; do
    basename "$source" .c
  done | tr '\n' ' '
}

choose_programs() {
  if [ -n "${ALL:-}" ]; then
    mosquitto=$(programs tests/integration/test_!(bridge*|rabbitmq_*).c)
    bridge=$(programs tests/integration/test_@(bridge|rabbitmq_)!(_redis|_sequence).c)
    return
  fi
  mosquitto="test_duplicates test_qos2 test_policies test_restart test_reload test_control test_start test_bare"
  bridge="test_bridge test_bridge_and_plugin test_bridge_config test_bridge_connect test_bridge_delivery
    test_bridge_faults test_bridge_service test_bridge_standing test_bridge_postgres test_rabbitmq_chain"
}

run_integration() { # IDEM_CONTAINERS PROGRAM...
  local containers=$1
  shift
  IDEM_CONTAINERS=$containers IDEM_RABBITMQ=$work/tests PROGRAMS="$*" tests/run.sh build integration
}

run_containers() {
  local lane status=0 mosquitto bridge
  choose_programs
  # shellcheck disable=SC2086 # words
  run_integration 1 $mosquitto >"$work/mosquitto" 2>&1 &
  lane=$!
  # shellcheck disable=SC2086 # words
  run_integration 1 $bridge || status=1
  wait $lane || status=1
  cat "$work/mosquitto"
  # They kill again and again within a few thousand messages, which is quicker than docker kill.
  [ -z "${ALL:-}" ] || run_integration 0 test_bridge_redis test_bridge_sequence || status=1
  return $status
}

tools/deps.sh build run test
make -s -j"$(nproc)" all tests build/tests/docker/test_stack
start_stack
echo "docker: the stack is up; $(docker images --format '{{.Repository}} {{.Size}}' | grep '^idem-' | sort | tr '\n' ' ')"
IDEM_RABBITMQ=$work/stack IDEM_STACK=$work/stack tests/run.sh build docker
stop_stack

IDEM_CONTAINERS=1 tests/rabbitmq.sh start "$work/tests"
run_containers
