#!/usr/bin/env bash
# Starts or stops a real MinIO server on loopback, for tests and `make stack`.
#
#   test/tools/minio.sh start DIR PORT    keeps its data and log in DIR; ready when this returns
#   test/tools/minio.sh stop DIR          ends it; its data stays
#
# Credentials: loglake / loglake-secret; metrics for Prometheus without any. Environment: LOGLAKE_TEST_TOOLS, see install.sh.
set -euo pipefail

tools=${LOGLAKE_TEST_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/loglake-test}
say() { printf 'minio: %s\n' "$*" >&2; }

running() {
  [ -f "$1/minio.pid" ] && pid=$(cat "$1/minio.pid") && tr '\0' ' ' < "/proc/$pid/cmdline" 2>/dev/null | grep -q 'minio.* server'
}

# Whether the server on the port takes requests.
ready() {
  local line
  exec 3<> "/dev/tcp/127.0.0.1/$1" || return 1
  printf 'GET /minio/health/ready HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
  IFS= read -r -t 2 line <&3 || line=
  exec 3>&-
  [[ $line == *' 200 '* ]]
}

start() {
  local dir=$1 port=$2 pid
  [ -x "$tools/bin/minio" ] || { say "no MinIO in $tools: run test/tools/install.sh minio"; exit 1; }
  mkdir -p "$dir/data"
  dir=$(cd "$dir" && pwd)
  if running "$dir"; then say "already running in $dir (process $pid)"; exit 1; fi
  MINIO_ROOT_USER=loglake MINIO_ROOT_PASSWORD=loglake-secret MINIO_PROMETHEUS_AUTH_TYPE=public MINIO_BROWSER=off MINIO_UPDATE=off HOME="$dir" \
    setsid nohup "$tools/bin/minio" server "$dir/data" --address "127.0.0.1:$port" > "$dir/minio.log" 2>&1 < /dev/null &
  pid=$!
  echo "$pid" > "$dir/minio.pid"
  for _ in $(seq 600); do
    sleep 0.1
    if ! kill -0 "$pid" 2>/dev/null; then break; fi
    # Its own log says so, too: another server may have the port.
    if grep -q '^API: ' "$dir/minio.log" && (ready "$port") 2>/dev/null; then return 0; fi
  done
  say "no server on port $port; the end of $dir/minio.log:"
  tail -n 20 "$dir/minio.log" >&2
  kill "$pid" 2>/dev/null || true
  rm -f "$dir/minio.pid"
  exit 1
}

stop() {
  local dir=$1 pid
  if ! running "$dir"; then rm -f "$dir/minio.pid"; return 0; fi
  kill "$pid" 2>/dev/null || true
  for _ in $(seq 100); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -9 "$pid" 2>/dev/null || true
  rm -f "$dir/minio.pid"
}

case "${1:-}" in
  start) start "${2:?folder}" "${3:?port}" ;;
  stop) stop "${2:?folder}" ;;
  *) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
esac
