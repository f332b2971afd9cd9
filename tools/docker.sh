#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The stack of docker/compose.yaml: tools/docker.sh up | down | test.
#
# An engine that runs is used; else a private one is started (tools/docker-engine.sh), which lives in build/docker
# (IDEM_DOCKER_DIR) until `down`, and for `test` only as long as the test. Without any, `test` says so and succeeds: it has
# nothing to test with. PROFILE="monitoring postgres" of `up` names profiles of the stack.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly engine=tools/docker-engine.sh place=${IDEM_DOCKER_DIR:-$PWD/build/docker} unavailable=69
export DOCKER_BUILDKIT=0 COMPOSE_DOCKER_CLI_BUILD=0 # the builder that every engine has

# shellcheck source=tools/compose.sh
. tools/compose.sh

up() {
  local profile profiles images=() options=()
  read -ra profiles <<<"${PROFILE:-}"
  for profile in "${profiles[@]}"; do
    options+=(--profile "$profile")
    images+=("${profile/monitoring/prometheus}")
  done
  mkdir -p build
  $engine start "$place"
  DOCKER_HOST=$(cat "$place/host")
  export DOCKER_HOST
  build_images rabbitmq redis "${images[@]}"
  if ! compose "${options[@]}" up -d; then
    echo "docker: not everything is up; make docker-down takes away what is" >&2
    return 1
  fi
  cat <<END
mqtt://127.0.0.1:${IDEM_MQTT_PORT:-1883}   amqp://guest:guest@127.0.0.1:${IDEM_AMQP_PORT:-5672}   http://127.0.0.1:${IDEM_HTTP_PORT:-9477}/readyz
export DOCKER_HOST=$DOCKER_HOST
END
}

down() {
  if [ ! -e "$place/host" ]; then
    echo "docker: nothing is up" >&2
    return 0
  fi
  DOCKER_HOST=$(cat "$place/host")
  export DOCKER_HOST
  compose --profile monitoring --profile postgres down || true
  $engine stop "$place"
}

run_tests() {
  local status=0
  $engine run tests/docker/run.sh || status=$?
  if [ $status = $unavailable ]; then
    echo "docker-test: NOT RUN: there is no Docker engine here, and none can be started"
    return 0
  fi
  return $status
}

case ${1:-} in
up) up ;;
down) down ;;
test) run_tests ;;
*)
  echo "usage: tools/docker.sh up | down | test" >&2
  exit 2
  ;;
esac
