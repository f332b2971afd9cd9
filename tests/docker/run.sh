#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# With an engine at DOCKER_HOST: makes the images, starts the stack of docker/compose.yaml and tests it, kills
# included; then the bridge's integration tests against a RabbitMQ in a container. Leaves no container behind.
set -euo pipefail
cd "$(dirname "$0")/../.."

export DOCKER_BUILDKIT=0 COMPOSE_DOCKER_CLI_BUILD=0 COMPOSE_PROJECT_NAME=idem-test-$$
# shellcheck source=tools/compose.sh
. tools/compose.sh

work=$(mktemp -d "${TMPDIR:-/tmp}/idem-docker-XXXXXX")
tidy() {
  local status=$?
  if [ $status != 0 ]; then
    compose --profile monitoring logs --no-color --tail 40 2>&1 | tail -n 200 || true
  fi
  compose --profile monitoring --profile postgres down -v >/dev/null 2>&1 || true
  [ ! -d "$work/tests" ] || tests/rabbitmq.sh stop "$work/tests"
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
  compose --profile monitoring --profile postgres up -d >"$work/up" 2>&1 || { cat "$work/up"; return 1; }
  await_healthy
  mkdir "$work/stack"
  echo "$IDEM_AMQP_PORT" >"$work/stack/port"
  for name in mosquitto rabbitmq redis bridge prometheus postgres; do
    container "$name" >"$work/stack/$name"
  done
  cp "$work/stack/rabbitmq" "$work/stack/container"
}

tools/deps.sh build run test
make -s -j"$(nproc)" all tests build/tests/docker/test_stack
build_images rabbitmq redis postgres prometheus
start_stack
echo "docker: the stack is up; $(docker images --format '{{.Repository}} {{.Size}}' | grep '^idem-' | sort | tr '\n' ' ')"

IDEM_RABBITMQ=$work/stack IDEM_STACK=$work/stack tests/run.sh build docker
compose --profile monitoring --profile postgres down -v >/dev/null 2>&1

IDEM_CONTAINERS=1 tests/rabbitmq.sh start "$work/tests"
IDEM_RABBITMQ=$work/tests PROGRAMS='test_bridge*' tests/run.sh build integration
