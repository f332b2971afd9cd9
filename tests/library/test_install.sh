#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The library as it is installed: files, names, headers, and programs in C and C++ that are built with
# nothing but what pkg-config says.
# shellcheck disable=SC2317,SC2016 # the tests are called by name; pkg-config expands what is quoted
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$here/../.." && pwd)
stage=$build/stage
export PKG_CONFIG_PATH=$stage/lib/pkgconfig
scratch=$(mktemp -d "${TMPDIR:-/tmp}/idem-test-XXXXXX") || exit 1
broker=
tidy() {
  [ -z "$broker" ] || kill "$broker" 2>/dev/null
  rm -rf "$scratch"
}
trap tidy EXIT

read -r -a cc <<<"${CC:-cc}" # may be several words
sanitized=$(nm -D "$stage/lib/libidem.so" | sed -n 's/.* U __\([atu]\)[a-z]*san_.*/\1/p' | sort -u | tr -d '\n')
flags=(-Wall -Wextra -Wpedantic -Werror)
case $sanitized in
*a*) flags+=("-fsanitize=address,undefined") ;;
*t*) flags+=(-fsanitize=thread) ;;
*u*) flags+=(-fsanitize=undefined) ;;
esac

# pkg LINE-OF-OPTIONS: pkg-config's answer as words of a command line.
pkg() {
  # shellcheck disable=SC2086 # a line of options
  pkg-config $1
}

the_version_and_the_soname_are_those_of_the_headers() {
  local version soname
  version=$(sed -n 's/^#define IDEM_VERSION *"\(.*\)"/\1/p' "$stage/include/idem/version.h")
  soname=$(readelf -d "$stage/lib/libidem.so" | sed -n 's/.*soname: \[\(.*\)\]/\1/p')
  [ "$(pkg '--modversion idem')" = "$version" ] &&
    [ "$(readlink "$stage/lib/libidem.so")" = "$soname" ] &&
    [ "$(readlink "$stage/lib/$soname")" = "libidem.so.$version" ]
}

destdir_is_not_in_the_files_that_speak_of_paths() {
  local root=$scratch/root
  make -s -o all install BUILD="${build#"$PWD"/}" DESTDIR="$root" PREFIX=/usr LIBDIR=/usr/lib/somewhere || return 1
  [ -f "$root/usr/lib/somewhere/libidem.a" ] && [ -f "$root/usr/share/man/man3/libidem.3" ] &&
    grep -qx 'prefix=/usr' "$root/usr/lib/somewhere/pkgconfig/idem.pc" &&
    grep -qxF 'libdir=${prefix}/lib/somewhere' "$root/usr/lib/somewhere/pkgconfig/idem.pc" &&
    ! grep -rqF "$scratch" "$root/usr/lib/somewhere/pkgconfig"
}

each_header_compiles_alone_in_c_and_in_cpp() {
  local header name
  for header in "$stage"/include/idem/*.h; do
    name=${header##*/}
    printf '#include <idem/%s>\n#include <idem/%s>\ntypedef int not_empty;\n' "$name" "$name" >"$scratch/alone.c"
    cp "$scratch/alone.c" "$scratch/alone.cpp"
    # shellcheck disable=SC2046 # words
    "${cc[@]}" -std=c11 "${flags[@]}" -Wconversion $(pkg '--cflags idem') -fsyntax-only "$scratch/alone.c" &&
      "${cc[@]}" -x c++ -std=c++11 "${flags[@]}" -Wshadow $(pkg '--cflags idem') -fsyntax-only "$scratch/alone.cpp" ||
      return 1
  done
}

# A header without extern "C" compiles, but its names are others.
every_function_can_be_linked_from_cpp() {
  {
    echo '#include <idem/idem.h>'
    echo 'extern void (*const functions[])(void);'
    echo 'void (*const functions[])(void) = {'
    nm -D --defined-only "$stage/lib/libidem.so" |
      sed -n 's/.* T \(idem_[a-z0-9_]*\)@*.*$/reinterpret_cast<void (*)(void)>(\&\1),/p'
    echo '};'
    echo 'int main(void) { return functions[0] == nullptr; }'
  } >"$scratch/functions.cpp"
  [ "$(grep -c reinterpret "$scratch/functions.cpp")" -gt 50 ] || return 1
  # shellcheck disable=SC2046 # words
  "${cc[@]}" -x c++ -std=c++11 "${flags[@]}" $(pkg '--cflags idem') -o "$scratch/functions" \
    "$scratch/functions.cpp" -x none $(pkg '--libs idem')
}

# One program, which is C and C++.
program() {
  cat <<'END'
#include <idem/idem.h>
#include <stdio.h>

int main(void) {
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_inbox *inbox = NULL;
    enum idem_inbox_answer answer = IDEM_INBOX_IN_FLIGHT;
    if (idem_inbox_open(&inbox, "memory:", "smoke", "one", &error) != IDEM_OK ||
        idem_inbox_claim(inbox, "k", 1, NULL, 0, &answer, &error) != IDEM_OK ||
        idem_inbox_complete(inbox, "k", 1, &error) != IDEM_OK) {
        puts(error.text);
        return 1;
    }
    idem_inbox_close(inbox);
    return answer == IDEM_INBOX_NEW ? 0 : 1;
}
END
}

a_cpp_program_runs_with_the_shared_library() {
  program >"$scratch/shared.cpp"
  # shellcheck disable=SC2046 # words
  "${cc[@]}" -x c++ -std=c++11 "${flags[@]}" -o "$scratch/shared" "$scratch/shared.cpp" $(pkg '--cflags --libs idem') \
    -Wl,-rpath,"$stage/lib" && "$scratch/shared"
}

# What libidem.a needs is named by idem.pc, and is itself shared: not every system has all that OpenSSL would
# need, were it static, too.
a_program_runs_without_the_shared_library() {
  local needs
  needs=$(pkg '--print-requires-private idem' | tr '\n' ' ')
  mkdir -p "$scratch/static"
  ln -sf "$stage/lib/libidem.a" "$scratch/static/libidem.a"
  program >"$scratch/alone.c"
  # shellcheck disable=SC2046 # words
  "${cc[@]}" -std=c11 "${flags[@]}" -o "$scratch/alone" "$scratch/alone.c" \
    $(pkg "--define-variable=libdir=$scratch/static --cflags --libs idem") $(pkg "--libs $needs") -pthread &&
    ! ldd "$scratch/alone" | grep -q libidem && "$scratch/alone"
}

# Whatever else in the broker's process has symbols of these names, neither sees the other.
the_plugin_shows_and_needs_no_symbol_of_the_library() {
  ! nm -D "$stage/lib/idem/mosquitto_idem.so" | grep ' idem_'
}

free_port() {
  local port
  while port=$((10000 + RANDOM % 20000)) && (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
  echo "$port"
}

await_port() {
  local tries
  for ((tries = 0; tries < 200; tries++)); do
    ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null || return 0
    sleep 0.05
  done
  return 1
}

# A library of the same names is in the broker before the plugin, and ends the broker when it is called.
the_plugin_works_beside_another_libidem() {
  local port name
  port=$(free_port)
  nm -D --defined-only "$stage/lib/libidem.so" | sed -n 's/.* T \(idem_[a-z0-9_]*\).*/\1/p' |
    while read -r name; do echo "void $name(void) { __builtin_trap(); }"; done >"$scratch/trap.c"
  [ -s "$scratch/trap.c" ] && "${cc[@]}" -shared -fPIC -o "$scratch/libtrap.so" "$scratch/trap.c" || return 1
  cat >"$scratch/idem.yaml" <<END
store: {url: "memory:"}
rules: [{name: all, match: {topic: "#"}, key: payload, scope: global}]
END
  printf '%s\n' "listener $port 127.0.0.1" 'allow_anonymous true' "user $(id -un)" \
    "plugin $stage/lib/idem/mosquitto_idem.so" "plugin_opt_config $scratch/idem.yaml" >"$scratch/broker.conf"
  LD_PRELOAD="$scratch/libtrap.so" PATH=$PATH:/usr/sbin mosquitto -c "$scratch/broker.conf" 2>"$scratch/log" &
  broker=$!
  await_port "$port" || { cat "$scratch/log"; return 1; }
  for _ in 1 2; do
    mosquitto_pub -p "$port" -q 1 -r -t state -m same || return 1
  done
  [ "$(mosquitto_sub -p "$port" -t state -C 1 -W 10)" = same ]
  local well=$?
  kill "$broker" && wait "$broker" && broker= && return "$well"
}

# completes WORD...: what bash offers for the last word.
completes() {
  bash -c '. "$1/share/bash-completion/completions/idemctl"; shift
    COMP_WORDS=(idemctl "$@"); COMP_CWORD=$#; _idemctl; printf "%s " "${COMPREPLY[@]}"' bash "$stage" "$@"
}

idemctl_is_completed_with_commands_options_and_rules() {
  local help command
  printf 'rules:\n  - name: orders\n  - {name: "own", match: {topic: a}}\n' >"$scratch/rules.yaml"
  [ "$(completes ex)" = "explain export exporter " ] &&
    [ "$(completes list --st)" = "--state " ] &&
    [ "$(completes list --state i)" = "in-doubt " ] &&
    [ "$(completes -c "$scratch/rules.yaml" lookup "")" = "orders own " ] || return 1
  help=$("$stage/bin/idemctl" --help)
  for command in $(completes "" | tr ' ' '\n' | grep -v '^-'); do
    grep -q "^  $command " <<<"$help" || return 1
  done
  [ "$(grep -c '^  [a-z]' <<<"$help")" = "$(completes "" | tr ' ' '\n' | grep -c '^[a-z]')" ]
}

tests=(the_version_and_the_soname_are_those_of_the_headers
  destdir_is_not_in_the_files_that_speak_of_paths
  each_header_compiles_alone_in_c_and_in_cpp
  every_function_can_be_linked_from_cpp
  idemctl_is_completed_with_commands_options_and_rules
  a_cpp_program_runs_with_the_shared_library
  a_program_runs_without_the_shared_library
  the_plugin_shows_and_needs_no_symbol_of_the_library)
# The runtime of a sanitizer wants to be the first library of a process, the trap too.
[ -n "$sanitized" ] || tests+=(the_plugin_works_beside_another_libidem)

failed=0 number=0
for test in "${tests[@]}"; do
  number=$((number + 1))
  if "$test"; then
    echo "ok $number - $test"
  else
    echo "not ok $number - $test"
    failed=1
  fi
done
echo "1..$number"
exit $failed
