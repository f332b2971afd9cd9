#!/bin/bash
# SPDX-License-Identifier: MIT
# In the container: a database cluster where there is none, and the server.
set -eu

data=/var/lib/postgresql/data
if [ ! -s $data/PG_VERSION ]; then
  initdb -D $data -U idem --auth-local=trust --auth-host=scram-sha-256 --pwfile=<(echo "${PASSWORD:-idem}") >/dev/null
  echo 'host all all all scram-sha-256' >>$data/pg_hba.conf
  echo "CREATE DATABASE idem" | postgres --single -D $data postgres >/dev/null
fi
exec postgres -D $data -c listen_addresses='*' -c unix_socket_directories=/tmp
