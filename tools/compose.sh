# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Sourced at the top of the tree: docker/compose.yaml with whichever Compose there is, and its images.

# Debian's docker-compose, or the one that is a part of newer clients.
compose() {
  if command -v docker-compose >/dev/null; then
    docker-compose -f docker/compose.yaml "$@"
  else
    docker compose -f docker/compose.yaml "$@"
  fi
}

# On the host's network: a private engine has no other way out.
build_image() { # NAME LOG
  if ! docker build --network=host -f "docker/Dockerfile.$1" -t "idem-$1" . >"$2" 2>&1; then
    tail -n 40 "$2"
    return 1
  fi
}

# One after the other, in the order of the words.
build_lane() { # LOG NAME...
  local log=$1 name
  shift
  for name; do
    build_image "$name" "$log" || return 1
  done
}

# What is compiled, once for both images, beside what is only installed: NAME... are further images.
build_images() {
  local logs start=$SECONDS lane status=0
  logs=$(mktemp -d)
  echo "docker: building the images of mosquitto, bridge, $*"
  build_lane "$logs/compiled" mosquitto bridge &
  lane=$!
  build_lane "$logs/installed" "$@" || status=1
  wait $lane || status=1
  rm -rf "$logs"
  echo "docker: images made in $((SECONDS - start)) s"
  return $status
}
