#!/usr/bin/env bash
# Starts or stops real Redis servers on loopback, for tests and `make stack`.
#
#   test/tools/redis.sh start DIR PORT                 one server; ready when this returns, its data and log in DIR
#   test/tools/redis.sh cluster DIR P1 … P6 B1 … B6    a cluster: three masters, a replica of each in that order, on the ports
#                                                      P; they talk to each other on the ports B. Each has a folder DIR/PORT
#   test/tools/redis.sh sentinel DIR P1 P2 P3 S1 S2 S3 a master named `main`, two replicas, three sentinels
#   test/tools/redis.sh again DIR PORT                 starts one server of a cluster or behind sentinels that ended
#   test/tools/redis.sh stop DIR                       ends whatever runs in DIR; the data stays
set -euo pipefail

say() { printf 'redis: %s\n' "$*" >&2; }

command -v redis-server >/dev/null || { say "redis-server is missing: run test/tools/install.sh redis"; exit 1; }

running() {
  [ -f "$1/redis.pid" ] && pid=$(cat "$1/redis.pid") && tr '\0' ' ' < "/proc/$pid/cmdline" 2>/dev/null | grep -q redis-server
}

ask() { redis-cli -h 127.0.0.1 -p "$@" 2>/dev/null | tr -d '\r'; }

# Waits half a minute for a command to succeed.
wait_for() {
  local what=$1 n; shift
  for n in $(seq 300); do
    if "$@"; then return 0; fi
    sleep 0.1
  done
  say "$what: not within 30 s"
  exit 1
}

# launch DIR PORT [argument…]: a server in the background; ready when this returns.
launch() {
  local dir=$1 port=$2 pid; shift 2
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  if running "$dir"; then say "already running in $dir (process $pid)"; exit 1; fi
  setsid nohup redis-server "$@" --bind 127.0.0.1 --port "$port" --dir "$dir" --daemonize no \
    > "$dir/redis.log" 2>&1 < /dev/null &
  pid=$!
  echo "$pid" > "$dir/redis.pid"
  for _ in $(seq 300); do
    # Its own process: another server may have the port.
    if ask "$port" info server | grep -qx "process_id:$pid"; then return 0; fi
    if ! kill -0 "$pid" 2>/dev/null; then break; fi
    sleep 0.1
  done
  say "no server on port $port; the end of $dir/redis.log:"
  tail -n 20 "$dir/redis.log" >&2
  kill "$pid" 2>/dev/null || true
  rm -f "$dir/redis.pid"
  exit 1
}

# Keeps what a server is started with, so that `again` starts it likewise.
launch_kept() {
  local dir=$1 port=$2; shift 2
  mkdir -p "$dir/$port"
  printf '%s\n' "$@" > "$dir/$port/arguments"
  launch "$dir/$port" "$port" "$@"
}

again() {
  local arguments
  mapfile -t arguments < "$1/$2/arguments"
  launch "$1/$2" "$2" "${arguments[@]}"
}

store=(--save '' --appendonly yes --maxmemory-policy noeviction)

cluster() {
  local dir=$1 n; shift
  [ $# = 12 ] || { say "a cluster takes twelve ports"; exit 64; }
  local ports=("${@:1:6}") buses=("${@:7:6}")
  for n in 0 1 2 3 4 5; do
    # The empty argument of `--save` would be lost in the file.
    launch_kept "$dir" "${ports[n]}" --appendonly yes --maxmemory-policy noeviction --cluster-enabled yes \
      --cluster-port "${buses[n]}" --cluster-node-timeout 2000 --repl-diskless-sync-delay 0
  done
  for n in 1 2 3 4 5; do ask "${ports[0]}" cluster meet 127.0.0.1 "${ports[n]}" "${buses[n]}" >/dev/null; done
  ask "${ports[0]}" cluster addslotsrange 0 5460 >/dev/null
  ask "${ports[1]}" cluster addslotsrange 5461 10922 >/dev/null
  ask "${ports[2]}" cluster addslotsrange 10923 16383 >/dev/null
  for n in 0 1 2 3 4 5; do wait_for "node ${ports[n]} knows the others" knows "${ports[n]}" 6; done
  for n in 3 4 5; do
    wait_for "node ${ports[n]} replicates" replicate "${ports[n]}" "$(ask "${ports[n - 3]}" cluster myid)"
  done
  for n in 0 1 2 3 4 5; do wait_for "node ${ports[n]} sees a whole cluster" is_whole "${ports[n]}"; done
  for n in 3 4 5; do wait_for "replica ${ports[n]} is in step" is_in_step "${ports[n]}"; done
}

knows() { ask "$1" cluster info | grep -qx "cluster_known_nodes:$2"; }
replicate() { [ "$(ask "$1" cluster replicate "$2")" = OK ]; }
is_whole() { ask "$1" cluster info | grep -qx 'cluster_state:ok' && [ "$(ask "$1" cluster nodes | grep -c slave)" = 3 ]; }
is_in_step() { ask "$1" info replication | grep -qx 'master_link_status:up'; }

sentinel() {
  local dir=$1 n; shift
  [ $# = 6 ] || { say "servers and sentinels take six ports"; exit 64; }
  local ports=("${@:1:3}") sentinels=("${@:4:3}") master=$1
  launch_kept "$dir" "${ports[0]}" --appendonly yes --maxmemory-policy noeviction --repl-diskless-sync-delay 0
  for n in 1 2; do
    launch_kept "$dir" "${ports[n]}" --appendonly yes --maxmemory-policy noeviction --repl-diskless-sync-delay 0 \
      --replicaof 127.0.0.1 "$master"
  done
  for n in 1 2; do wait_for "replica ${ports[n]} is in step" is_in_step "${ports[n]}"; done
  for n in 0 1 2; do
    mkdir -p "$dir/${sentinels[n]}"
    cat > "$dir/${sentinels[n]}/sentinel.conf" <<CONF
sentinel monitor main 127.0.0.1 $master 2
sentinel down-after-milliseconds main 1500
sentinel failover-timeout main 6000
CONF
    launch_kept "$dir" "${sentinels[n]}" "$(cd "$dir" && pwd)/${sentinels[n]}/sentinel.conf" --sentinel
  done
  for n in 0 1 2; do wait_for "sentinel ${sentinels[n]} knows all" knows_all "${sentinels[n]}"; done
}

knows_all() {
  local said; said=$(ask "$1" info sentinel)
  [[ $said == *status=ok* && $said == *slaves=2* && $said == *sentinels=3* ]]
}

stop_one() {
  local dir=$1 pid
  if ! running "$dir"; then rm -f "$dir/redis.pid"; return 0; fi
  kill "$pid" 2>/dev/null || true
  kill -CONT "$pid" 2>/dev/null || true
  for _ in $(seq 100); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -9 "$pid" 2>/dev/null || true
  rm -f "$dir/redis.pid"
}

stop() {
  local file
  for file in "$1"/redis.pid "$1"/*/redis.pid; do
    if [ -f "$file" ]; then stop_one "$(dirname "$file")"; fi
  done
}

case "${1:-}" in
  start) launch "${2:?folder}" "${3:?port}" "${store[@]}" ;;
  again) again "${2:?folder}" "${3:?port}" ;;
  cluster | sentinel) "$@" ;;
  stop) stop "${2:?folder}" ;;
  *) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
esac
