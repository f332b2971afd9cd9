#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Fuzzes with libFuzzer, the address and the undefined-behaviour sanitizer: FUZZ_SECONDS=30
# tests/fuzz/run.sh [NAME...]. Each tests/fuzz/fuzz_NAME.c starts from tests/fuzz/seeds/NAME and uses
# tests/fuzz/NAME.dict where there is one. What it learns is kept in build/fuzz/corpus/NAME. An input
# that fails is kept in build/fuzz/failures: mend the code, and add the input to the seeds.
set -euo pipefail
cd "$(dirname "$0")/../.."
CC=clang tools/deps.sh build fuzz

readonly seconds=${FUZZ_SECONDS:-30} out=build/fuzz sanitizers=address,undefined
[[ $seconds =~ ^[1-9][0-9]*$ ]] || {
  echo "fuzz: FUZZ_SECONDS=$seconds is no number of seconds" >&2
  exit 1
}

names=("$@")
if [ $# = 0 ]; then
  mapfile -t names < <(compgen -G 'tests/fuzz/fuzz_*.c' | sed 's|.*/fuzz_||; s|\.c$||' | sort)
fi
if [ ${#names[@]} = 0 ]; then
  echo "fuzz: there is no tests/fuzz/fuzz_*.c" >&2
  exit 1
fi

libraries=$(pkg-config --libs lmdb libsodium json-c yaml-0.1 hiredis openssl \
  librabbitmq libevent_core libevent_extra libpq)
# What of the plugin or of the bridge a target tries.
archive_of() { # NAME
  case $1 in
  control) echo "$out/tests/plugin.a" ;;
  http | token) echo "$out/tests/bridge.a" ;;
  esac
}
build() { # NAME...
  local archives
  archives=$(for object; do archive_of "${object%.o}"; done | sort -u)
  # shellcheck disable=SC2086 # several words
  make --no-print-directory -s -j2 CC=clang BUILD=$out SANITIZER=fuzzer-no-link,$sanitizers \
    CFLAGS=-fno-sanitize-recover=all $out/libidem.a $archives "${@/#/$out/obj/tests/fuzz/fuzz_}"
}
build "${names[@]/%/.o}"

failed=0
for name in "${names[@]}"; do
  # shellcheck disable=SC2046,SC2086 # several words, or none
  clang -pthread -fsanitize=fuzzer,$sanitizers -o "$out/fuzz_$name" "$out/obj/tests/fuzz/fuzz_$name.o" \
    $(archive_of "$name") $out/libidem.a $libraries
  mkdir -p "$out/corpus/$name" "$out/failures"
  inputs=("$out/corpus/$name")
  options=()
  [ ! -d "tests/fuzz/seeds/$name" ] || inputs+=("tests/fuzz/seeds/$name")
  [ ! -f "tests/fuzz/$name.dict" ] || options+=("-dict=tests/fuzz/$name.dict")
  if "$out/fuzz_$name" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 \
    -artifact_prefix="$out/failures/$name-" "${options[@]}" "${inputs[@]}" >"$out/$name.log" 2>&1; then
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$name.log")
    printf 'ok      %-16s %s runs\n' "$name" "$runs"
  else
    failed=$((failed + 1))
    printf 'FAILED  %-16s the whole log is %s\n' "$name" "$out/$name.log"
    grep -E -A12 'ERROR: |runtime error: ' "$out/$name.log" | sed 's/^/        /' | head -n 30
    grep -E '^artifact_prefix|Test unit written' "$out/$name.log" | sed 's/^/        /' || true
  fi
done
exit $((failed > 0))
