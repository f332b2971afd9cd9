#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs test programs: tests/run.sh BUILD [KIND...]; the kinds are unit, contract, library, docs, integration,
# browser and faults unless some are named. One line per program; the output of failing ones (of all with V=1); then
# the sum.
# PROGRAMS='test_bridge_* test_qos2' chooses. LIMIT=SECONDS ends a program that hangs. Exit status 1 on any failure, and when nothing ran.
set -u

build=${1:?usage: tests/run.sh BUILD [KIND...]}
shift
[ $# -gt 0 ] || set -- unit contract library docs integration browser faults
limit=${LIMIT:-300}
passed=0 failed=0 skipped=0

scratch=$(mktemp -d "${TMPDIR:-/tmp}/idem-run-XXXXXX") || exit 1
chmod 711 "$scratch" # servers that refuse to run as root have their own directories in it
tidy() {
    # shellcheck disable=SC2046 # pids
    kill $(jobs -p) 2>/dev/null && wait # a program in the background does not hear Ctrl-C
    [ ! -d "$scratch/rabbitmq" ] || tests/rabbitmq.sh stop "$scratch/rabbitmq"
    rm -rf "$scratch"
}
trap tidy EXIT
trap 'exit 130' INT TERM
export TMPDIR=$scratch CMOCKA_MESSAGE_OUTPUT=tap IDEM_SHOW_LOG=1

# Adds the tests of one program to the sums: STATUS, OUTPUT. Sets verdict.
count() {
    local ok bad skip
    skip=$(grep -cE '^(not )?ok .*# SKIP' "$2")
    ok=$(grep -v '# SKIP' "$2" | grep -c '^ok ')
    bad=$(grep -v '# SKIP' "$2" | grep -c '^not ok ')
    verdict=ok
    if [ "$1" -eq 77 ]; then
        verdict=skipped skip=$((skip + 1))
    elif [ "$1" -ne 0 ] || [ "$bad" -gt 0 ]; then
        verdict=FAILED
        # A crash, a timeout or a failed fixture ends a program without a failed test of its own.
        [ "$bad" -gt 0 ] && [ "$1" -lt 124 ] || bad=$((bad + 1))
        [ "$1" -ne 124 ] || verdict="FAILED (over $limit s)"
    elif [ $((ok + skip)) -eq 0 ]; then
        verdict="FAILED (no tests)" bad=1
    fi
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
}

# One RabbitMQ for all programs that want one, started when the first of them comes.
need_rabbitmq() {
    [[ $1 == */test_bridge_* || $1 == */test_rabbitmq_* || $1 == */browser/* || $1 == */test_faults ]] && [ -z "${IDEM_RABBITMQ:-}" ] || return 0
    [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || return 0
    if tests/rabbitmq.sh start "$scratch/rabbitmq" </dev/null; then
        export IDEM_RABBITMQ=$scratch/rabbitmq
    fi
}

# Leaves output, status and time of a program in scratch.
run_program() { # PROGRAM PLACE
    local start=${EPOCHREALTIME/[.,]/} status=0 program
    timeout -k 5 "$limit" "$1" >"$scratch/output.$2" 2>&1 </dev/null &
    program=$!
    trap 'kill "$program"' TERM
    wait "$program" || status=$?
    echo "$status $(((${EPOCHREALTIME/[.,]/} - start) / 1000))" >"$scratch/ended.$2"
}

report_program() { # PROGRAM PLACE
    local status took
    read -r status took <"$scratch/ended.$2"
    count "$status" "$scratch/output.$2"
    printf '%-44s %4d.%03d s  %s\n' "${1#"$build"/tests/}" $((took / 1000)) $((took % 1000)) "$verdict"
    if [ "${V:-0}" = 1 ] || [[ $verdict == FAILED* ]]; then
        sed 's/^/    /' "$scratch/output.$2"
    fi
    rm -f "$scratch/output.$2" "$scratch/ended.$2"
}

# Side by side those that need no peace: what runs against brokers watches latencies, and has the machine to itself.
lanes_of() { # KIND
    case $1 in
    unit | contract | library) nproc ;;
    *) echo 1 ;;
    esac
}

run_kind() { # KIND
    local lanes programs patterns place=0 reported=0 running=()
    lanes=$(lanes_of "$1")
    read -ra patterns <<<"${PROGRAMS:-test_*}"
    patterns=("${patterns[@]/#/-o -name }")
    read -ra patterns <<<"${patterns[*]}"
    mapfile -t programs < <(find "$build/tests/$1" -type f \( "${patterns[@]:1}" \) -perm -u+x 2>/dev/null | LC_ALL=C sort)
    while [ "$reported" -lt ${#programs[@]} ]; do
        while [ "$place" -lt ${#programs[@]} ] && [ "$place" -lt $((reported + lanes)) ]; do
            need_rabbitmq "${programs[place]}"
            run_program "${programs[place]}" "$place" &
            running[place]=$!
            place=$((place + 1))
        done
        wait "${running[reported]}"
        report_program "${programs[reported]}" "$reported"
        reported=$((reported + 1))
    done
}

for kind; do
    run_kind "$kind"
done

if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
