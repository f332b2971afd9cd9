# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Sourced at the top of the tree: docker/compose.yaml with whichever Compose there is.

# Debian's docker-compose, or the one that is a part of newer clients.
compose() {
  if command -v docker-compose >/dev/null; then
    docker-compose -f docker/compose.yaml "$@"
  else
    docker compose -f docker/compose.yaml "$@"
  fi
}

# On the host's network: a private engine has no other way out.
build_images() { # NAME...
  local name log start=$SECONDS
  log=$(mktemp)
  for name; do
    echo "docker: building idem-$name"
    if ! docker build --network=host -f "docker/Dockerfile.$name" -t "idem-$name" . >"$log" 2>&1; then
      tail -n 40 "$log"
      rm -f "$log"
      return 1
    fi
  done
  rm -f "$log"
  echo "docker: images made in $((SECONDS - start)) s"
}
