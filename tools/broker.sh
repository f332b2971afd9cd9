# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Sourced by scripts that need a private Mosquitto with the plugin on 127.0.0.1.

PATH=$PATH:/usr/sbin:/sbin # where Debian keeps the broker; not on every user's path
broker_pid='' broker_port='' broker_log=''

die() {
  echo "${0##*/}: $*" >&2
  exit 1
}

# broker_conf FILE PORT PLUGIN CONFIG; an empty PLUGIN means the bare broker. `user` keeps a broker started
# by root from changing user, and so from losing its access to a private directory. max_queued_messages 0
# (no limit) would not do: brokers with the repair for CVE-2023-28366 then disconnect each client whose
# message they deny.
broker_conf() {
  cat >"$1" <<END
listener $2 127.0.0.1
allow_anonymous true
user $(id -un)
persistence false
max_queued_messages 100000
log_dest stderr
log_type error
log_type warning
log_type notice
log_type information
log_type subscribe
END
  [ -z "$3" ] || printf 'plugin %s\nplugin_opt_config %s\n' "$3" "$4" >>"$1"
}

# wait_until SECONDS COMMAND...: asks again and again; fails when the time is over.
wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.02
  done
}

broker_settled() {
  grep -q 'mosquitto version .* running' "$broker_log" || ! kill -0 "$broker_pid" 2>/dev/null
}

# broker_start DIR PLUGIN CONFIG [WRAPPER...]: sets broker_pid, broker_port and broker_log. The first
# start finds a free port by trying (below the range that outgoing connections use); later ones keep it.
broker_start() {
  local dir=$1 plugin=$2 config=$3 port try
  shift 3
  broker_log=$dir/broker.log
  for try in 1 2 3 4 5 6 7 8; do
    port=${broker_port:-$((20000 + (RANDOM + try) % 12000))}
    broker_conf "$dir/mosquitto.conf" "$port" "$plugin" "$config"
    : >"$broker_log" # here, not in the child: an older log also says that the broker runs
    "$@" mosquitto -c "$dir/mosquitto.conf" >>"$broker_log" 2>&1 &
    broker_pid=$!
    if wait_until 30 broker_settled && kill -0 "$broker_pid" 2>/dev/null; then
      broker_port=$port
      return 0
    fi
    broker_stop KILL || true
    grep -q 'Address already in use' "$broker_log" || break
  done
  cat "$broker_log" >&2
  die "the broker did not start"
}

# broker_stop [SIGNAL]: returns the broker's exit status.
broker_stop() {
  local status=0
  if [ -n "$broker_pid" ]; then
    kill -s "${1:-TERM}" "$broker_pid" 2>/dev/null || true
    wait "$broker_pid" 2>/dev/null || status=$?
    broker_pid=''
  fi
  return "$status"
}
