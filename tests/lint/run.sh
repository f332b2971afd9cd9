#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The house rules that a program can check: tests/lint/run.sh [CHECK...]. One line for each check, and
# what is wrong below it.
# shellcheck disable=SC2317 # the checks are called by name
set -euo pipefail
cd "$(dirname "$0")/../.."
tools/deps.sh build test lint

readonly function_lines=60 file_lines=500
# What a pure file has no use for; and the one file that reads a secret on behalf of its digests.
readonly io_calls='f?open|fread|fwrite|fclose|read|write|pread|pwrite|close|socket|connect|send|recv|poll|printf|puts|getenv|sleep|usleep|nanosleep|pthread_[a-z_]+'
readonly io_excepted='^common/key/digest\.c:'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The compiler's flags, as the Makefile has them.
make -s BUILD="$work" "$work/flags"
read -r -a flags < <(sed 's/^[^ ]* //; s/ -MMD -MP//' "$work/flags")
flags+=(-Itests/support)

# files PATTERN...: those of the tree that git does not ignore, new ones included.
files() {
  git ls-files -z --cached --others --exclude-standard --deduplicate -- "$@" |
    xargs -0 -r ls -d 2>/dev/null || true
}

# calls REGEX FILE...: where a function of that name is called.
calls() {
  local names=$1
  shift
  grep -nE "(^|[^A-Za-z0-9_>.])($names)[ ]*\(" "$@" /dev/null | grep -vE '^[^:]+:[0-9]+: *(/?\*|//)' || true
}

# Each check prints what is wrong; nothing printed and success mean that all is well.
check_format() { files '*.c' '*.h' | xargs -r clang-format --dry-run -Werror; }

# Alone, and twice: a header needs no other before it, and guards against its second inclusion.
check_headers() {
  local header
  for header in $(files '*.h'); do
    printf '#include "%s"\n#include "%s"\ntypedef int not_empty;\n' "$PWD/$header" "$PWD/$header" |
      "${CC:-cc}" "${flags[@]}" -fsyntax-only -x c - || true
  done
}

# `make` uses the default compiler; this one has warnings of its own.
check_clang() { make -s -k -j2 V=1 CC=clang BUILD=build/clang all tests; }

check_cppcheck() {
  files 'common/*.c' 'plugins/*.c' 'tools/*.c' |
    xargs -r cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
      --error-exitcode=1 --suppress=missingIncludeSystem -Icommon/include -Icommon
}

# What ships. In tests the analyzer cannot know that a failed cmocka assertion does not return. error.c
# defines what analyzer.h describes.
check_tidy() {
  local with_hints="${flags[*]} -include tests/lint/analyzer.h"
  {
    files 'common/*.c' 'plugins/*.c' 'tools/*.c' | grep -vx 'common/base/error\.c' |
      xargs -r -P2 -n4 sh -c 'clang-tidy --quiet "$@" -- '"$with_hints"' 2>/dev/null' tidy
    clang-tidy --quiet common/base/error.c -- "${flags[@]}" 2>/dev/null
  } | { grep -E ': (error|warning): ' || true; } | sed "s|^$PWD/||"
}

# A plugin that exits takes the broker with it; the others have no bounds, or no errors.
# What runs inside somebody else's process must not end it; the bridge's main, and its fault points, may.
check_banned() {
  local sources
  mapfile -t sources < <(files 'common/*.[ch]' 'plugins/*.[ch]' |
    grep -vxE 'plugins/rabbitmq/(main|fault)\.c')
  calls 'assert|abort|exit|_exit|quick_exit|raise|system|popen|atoi|atol|atoll|atof|gets|strcpy|stpcpy|strcat|sprintf|vsprintf|strtok|alloca' \
    "${sources[@]}"
}

check_layers() {
  files '*.c' '*.h' | xargs -r grep -HE '^[ ]*#[ ]*include' >"$work/includes" || true
  awk -f tests/lint/layers.awk "$work/includes"
}

check_purity() {
  files 'common/key/*' 'common/result/*' 'common/decide/*' | xargs -r grep -nE '<(sys/socket|unistd|fcntl|poll|pthread)\.h>' |
    grep -vE "$io_excepted" || true
  local pure
  mapfile -t pure < <(files 'common/key/*' 'common/result/*' 'common/decide/*')
  calls "$io_calls" "${pure[@]}" | grep -vE "$io_excepted" || true
}

check_clock() {
  local sources
  mapfile -t sources < <(files 'common/*.c' 'common/*.h' 'plugins/*' 'tools/idemctl/*' |
    grep -vx 'common/base/clock\.c')
  calls 'clock_gettime|gettimeofday|time|timespec_get|mosquitto_time|ftime' "${sources[@]}"
}

check_function_size() {
  files '*.c' '*.h' | xargs -r ctags -x --languages=C --kinds-C=f --fields=+e \
    --_xformat='%F %n %{end} %N' |
    awk -v most="$function_lines" '$3 - $2 + 1 > most {
      printf "%s:%d: %s has %d lines, more than %d\n", $1, $2, $4, $3 - $2 + 1, most }'
}

check_file_size() {
  files '*.c' '*.h' '*.sh' | xargs -r -n1 wc -l |
    awk -v most="$file_lines" '$1 > most { printf "%s: %d lines, more than %d\n", $2, $1, most }'
}

check_shell() {
  { files '*.sh' && echo .ci/run; } | xargs -r shellcheck -x
}

# The patterns are spelled so that this file does not match them.
check_words() { files | xargs -r grep -nIwE 'TO[D]O|FIX[M]E|XX[X]' || true; }
check_paths() { files | xargs -r grep -nIE '(^|[^A-Za-z0-9_.*}-])/(work|root|home)/' || true; }

check_licence() {
  files '*.c' '*.h' '*.sh' '*.mk' '*.awk' Makefile .ci/run |
    xargs -r grep -L 'SPDX-License-Identifier: MIT' || true
}

run_check() {
  local name=$1 status=0
  "check_$name" >"$work/output" 2>&1 || status=$?
  if [ $status = 0 ] && [ ! -s "$work/output" ]; then
    printf 'ok      %s\n' "$name"
    return 0
  fi
  printf 'FAILED  %s\n' "$name"
  sed 's/^/        /' "$work/output"
  return 1
}

if [ -z "$(files '*.c')" ]; then
  echo "lint: no sources found; is this a git work tree?" >&2
  exit 1
fi
failed=0
if [ $# = 0 ]; then
  set -- format headers clang cppcheck tidy layers purity clock banned function_size file_size shell words paths licence
fi
for check in "$@"; do
  run_check "$check" || failed=$((failed + 1))
done
exit $((failed > 0))
