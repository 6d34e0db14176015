#!/usr/bin/env bash
# Starts or stops a real Redis server on loopback, for tests and `make stack`.
#
#   test/tools/redis.sh start DIR PORT    keeps its data and log in DIR; ready when this returns
#   test/tools/redis.sh stop DIR          ends it; its data stays
set -euo pipefail

say() { printf 'redis: %s\n' "$*" >&2; }

running() {
  [ -f "$1/redis.pid" ] && pid=$(cat "$1/redis.pid") && tr '\0' ' ' < "/proc/$pid/cmdline" 2>/dev/null | grep -q redis-server
}

start() {
  local dir=$1 port=$2 pid
  command -v redis-server >/dev/null || { say "redis-server is missing: run test/tools/install.sh redis"; exit 1; }
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  if running "$dir"; then say "already running in $dir (process $pid)"; exit 1; fi
  setsid nohup redis-server --bind 127.0.0.1 --port "$port" --dir "$dir" --save '' --appendonly yes \
    --maxmemory-policy noeviction --daemonize no > "$dir/redis.log" 2>&1 < /dev/null &
  pid=$!
  echo "$pid" > "$dir/redis.pid"
  for _ in $(seq 300); do
    # Its own process: another server may have the port.
    if redis-cli -h 127.0.0.1 -p "$port" info server 2>/dev/null | tr -d '\r' | grep -qx "process_id:$pid"; then return 0; fi
    if ! kill -0 "$pid" 2>/dev/null; then break; fi
    sleep 0.1
  done
  say "no server on port $port; the end of $dir/redis.log:"
  tail -n 20 "$dir/redis.log" >&2
  kill "$pid" 2>/dev/null || true
  rm -f "$dir/redis.pid"
  exit 1
}

stop() {
  local dir=$1 pid
  if ! running "$dir"; then rm -f "$dir/redis.pid"; return 0; fi
  kill "$pid" 2>/dev/null || true
  for _ in $(seq 100); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -9 "$pid" 2>/dev/null || true
  rm -f "$dir/redis.pid"
}

case "${1:-}" in
  start) start "${2:?folder}" "${3:?port}" ;;
  stop) stop "${2:?folder}" ;;
  *) sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
esac
