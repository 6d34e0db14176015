#!/usr/bin/env bash
# Real Kafka, Redis and MinIO as native processes, and the three roles on them; no container engine.
#
#   deploy/local/stack.sh up        starts all that does not run yet, waits until it is ready, says where it is
#   deploy/local/stack.sh down      stops all; the data stays in the folder
#   deploy/local/stack.sh status    says what runs
#   deploy/local/stack.sh run ROLE  runs one more role in the foreground (the servers are started if need be)
#
# Environment:
#   INGESTORS, PROCESSORS, QUERIES   how many of each (default 1); the n-th listens 100 ports above the one before
#   STACK                            the folder (default .stack)
#   LOGLAKE_BIN                      a built `loglake` (default: built in release)
#   KAFKA_PORT, REDIS_PORT, MINIO_PORT   default 29092 (and the one after it), 26379, 29000
# Any variable of docs/configuration.md goes on to the roles.
set -euo pipefail
cd "$(dirname "$0")/../.."

stack=${STACK:-.stack}
kafka_port=${KAFKA_PORT:-29092}
redis_port=${REDIS_PORT:-26379}
minio_port=${MINIO_PORT:-29000}
binary=${LOGLAKE_BIN:-}
unset LOGLAKE_BIN # not a variable of loglake itself

say() { printf '%s\n' "$*"; }
fail() { printf 'stack: %s\n' "$*" >&2; exit 1; }

# Whether the process of a pid file runs and is what it should be: after a restart of the machine the number may be another's.
alive() { # pid file, a word of its command line
  local pid
  [ -s "$1" ] && pid=$(cat "$1") && kill -0 "$pid" 2>/dev/null || return 1
  if [ -r "/proc/$pid/cmdline" ]; then tr '\0' ' ' <"/proc/$pid/cmdline"; else ps -o args= -p "$pid"; fi | grep -q "$2"
}

servers() {
  mkdir -p "$stack"
  stack=$(cd "$stack" && pwd)
  test/tools/install.sh redis kafka minio >/dev/null
  alive "$stack/redis/redis.pid" redis-server || test/tools/redis.sh start "$stack/redis" "$redis_port"
  alive "$stack/minio/minio.pid" minio || test/tools/minio.sh start "$stack/minio" "$minio_port"
  alive "$stack/kafka/pid" kafka || test/tools/kafka.sh start "$stack/kafka" "$kafka_port"
  if [ ! -s "$stack/secret" ]; then
    (umask 077 && head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$stack/secret")
  fi
}

# What the roles are told; what the caller set wins.
settings() {
  export KAFKA_BROKERS=${KAFKA_BROKERS:-127.0.0.1:$kafka_port}
  export REDIS_ADDR=${REDIS_ADDR:-127.0.0.1:$redis_port}
  export S3_ENDPOINT=${S3_ENDPOINT:-http://127.0.0.1:$minio_port}
  export S3_BUCKET=${S3_BUCKET:-loglake}
  export AWS_ACCESS_KEY_ID=${AWS_ACCESS_KEY_ID:-loglake}
  export AWS_SECRET_ACCESS_KEY=${AWS_SECRET_ACCESS_KEY:-loglake-secret}
  export AWS_REGION=${AWS_REGION:-us-east-1}
  export LOGLAKE_STORE_CREATE_BUCKET=${LOGLAKE_STORE_CREATE_BUCKET:-true}
  export LOGLAKE_METRICS_TENANTS=${LOGLAKE_METRICS_TENANTS:-100}
  export LOGLAKE_CLUSTER_SECRET_FILE=${LOGLAKE_CLUSTER_SECRET_FILE:-$stack/secret}
}

build() {
  if [ -z "$binary" ]; then
    local isal=(); test/tools/install.sh --has-isal && isal=(--features loglake/isal)
    cargo build --release --locked -p loglake --bins "${isal[@]}"
    binary=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release/loglake
  fi
  [ -x "$binary" ] || fail "$binary is not a program"
}

# The addresses of the n-th of a role, as variables.
addresses() { # role number
  local up=$((($2 - 1) * 100))
  case $1 in
    ingestor)
      say "LOGLAKE_INGEST_GRPC_LISTEN=127.0.0.1:$((50051 + up)) LOGLAKE_INGEST_HTTP_LISTEN=127.0.0.1:$((4318 + up))" \
        "LOGLAKE_METRICS_INGESTOR_LISTEN=127.0.0.1:$((8081 + up))" ;;
    processor)
      say "LOGLAKE_PROCESSOR_TAIL_LISTEN=127.0.0.1:$((50053 + up)) LOGLAKE_METRICS_PROCESSOR_LISTEN=127.0.0.1:$((8082 + up))" ;;
    query)
      say "LOGLAKE_QUERY_LISTEN=127.0.0.1:$((8080 + up)) LOGLAKE_METRICS_QUERY_LISTEN=127.0.0.1:$((8083 + up))" ;;
    *) fail "'$1' is not a role: ingestor, processor, query" ;;
  esac
}

start_role() { # role number
  local name=$1-$2 listen
  if alive "$stack/$name.pid" "$1"; then return; fi
  listen=$(addresses "$1" "$2")
  # shellcheck disable=SC2086
  env $listen setsid "$binary" "$1" </dev/null >>"$stack/$name.log" 2>&1 &
  echo $! > "$stack/$name.pid"
}

wait_role() { # role number
  local name=$1-$2 metrics
  metrics=$(addresses "$1" "$2" | sed 's/.*METRICS_[A-Z]*_LISTEN=//')
  for _ in $(seq 600); do
    if curl -fs -o /dev/null --max-time 2 "http://$metrics/ready"; then return; fi
    alive "$stack/$name.pid" '' || { tail -n 20 "$stack/$name.log" >&2; fail "$name ended; its log is $stack/$name.log"; }
    sleep 0.1
  done
  tail -n 20 "$stack/$name.log" >&2
  fail "$name is not ready after a minute; its log is $stack/$name.log"
}

each_role() { # function
  local n
  for n in $(seq "${PROCESSORS:-1}"); do "$1" processor "$n"; done
  for n in $(seq "${INGESTORS:-1}"); do "$1" ingestor "$n"; done
  for n in $(seq "${QUERIES:-1}"); do "$1" query "$n"; done
}

show_role() { # role number
  local state=stopped name=$1-$2
  if alive "$stack/$name.pid" "$1"; then state="pid $(cat "$stack/$name.pid")"; fi
  printf '  %-13s %-10s %s\n' "$name" "$state" "$(addresses "$1" "$2" | sed 's/LOGLAKE_[A-Z_]*_LISTEN=//g')"
}

up() {
  build
  servers
  settings
  each_role start_role
  each_role wait_role
  printf '\n  loglake is up on Kafka, Redis and MinIO\n\n'
  each_role show_role
  cat <<TEXT

  kafka         127.0.0.1:$kafka_port      redis   127.0.0.1:$redis_port      minio   http://127.0.0.1:$minio_port (loglake / loglake-secret)
  data, logs    $stack

Try it:

  curl -s http://127.0.0.1:4318/v1/ingest -H 'Content-Type: application/x-ndjson' \\
    -d '{"service":"shop","level":"error","message":"payment timeout"}'
  curl -s http://127.0.0.1:8080/v1/query -H 'Content-Type: application/json' -d '{"contains":"timeout"}'

Stop it with: make stack-down
TEXT
}

stop_role() { # pid file, role
  local pid
  if alive "$1" "$2"; then
    pid=$(cat "$1")
    kill -TERM "$pid"
    for _ in $(seq 450); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    if kill -0 "$pid" 2>/dev/null; then kill -KILL "$pid"; say "$(basename "$1" .pid) did not stop in 45 s and was killed"; fi
  fi
  rm -f "$1"
}

down() {
  [ -d "$stack" ] || { say "nothing runs: there is no $stack"; return; }
  stack=$(cd "$stack" && pwd)
  local role file
  for role in ingestor query processor; do
    for file in "$stack/$role"-*.pid; do [ -e "$file" ] && stop_role "$file" "$role"; done
  done
  test/tools/kafka.sh stop "$stack/kafka"
  test/tools/minio.sh stop "$stack/minio"
  test/tools/redis.sh stop "$stack/redis"
  say "stopped; the data stays in $stack"
}

status() {
  [ -d "$stack" ] || { say "there is no $stack"; return; }
  local file name
  for file in "$stack"/*.pid; do
    [ -e "$file" ] || continue
    name=$(basename "$file" .pid)
    show_role "${name%-*}" "${name##*-}"
  done
}

run() { # role
  addresses "$1" 1 >/dev/null
  build
  servers
  settings
  exec "$binary" "$1"
}

case ${1:-} in
  up) up ;;
  down) down ;;
  status) status ;;
  run) run "${2:-}" ;;
  *) sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 64 ;;
esac
