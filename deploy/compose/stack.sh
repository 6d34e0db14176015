#!/usr/bin/env bash
# Loglake in containers: Kafka, Redis, MinIO, the three roles, Prometheus, Alertmanager, Grafana.
#
#   deploy/compose/stack.sh up [--demo]        builds the image, starts all, waits until it answers, says where it is;
#                                              --demo sends made-up logs, too
#   deploy/compose/stack.sh down [--volumes]   stops all; the data stays, or with --volumes goes
#   deploy/compose/stack.sh logs [SERVICE…]    follows the logs
#   deploy/compose/stack.sh env                only makes .env, with random passwords
#
# Needs Docker (or what answers as it) with `docker compose` or `docker-compose`. Without a container engine: make stack.
#
# Environment: LOGLAKE_COMPOSE_ENV  the file of settings (default deploy/compose/.env); WAIT  seconds to wait (default 300)
set -euo pipefail
cd "$(dirname "$0")"

env_file=${LOGLAKE_COMPOSE_ENV:-.env}

say() { printf '%s\n' "$*"; }
fail() { printf 'compose: %s\n' "$*" >&2; exit 1; }

random() { head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

# The value of a setting in the file.
setting() { sed -n "s/^$1=//p" "$env_file" | tail -n 1 | sed "s/^'\(.*\)'\$/\1/"; }

# Makes the file of settings, where it is not there, with passwords of its own. Only its owner may read it.
make_env() {
  [ -e "$env_file" ] && return
  local line written
  written=$(mktemp "$env_file.XXXXXX")
  while IFS= read -r line; do
    case $line in
      *=) printf '%s%s\n' "$line" "$(random)" ;;
      *) printf '%s\n' "$line" ;;
    esac
  done < env.example > "$written"
  chmod 600 "$written"
  mv "$written" "$env_file"
  say "made $env_file with passwords of its own"
}

# Refuses to publish an open lake to others than this machine.
check_env() {
  local bind; bind=$(setting BIND)
  case ${bind:-127.0.0.1} in
    127.* | localhost | '[::1]') return ;;
  esac
  [ "$(setting LOGLAKE_INSECURE)" = false ] && [ -n "$(setting LOGLAKE_AUTH_TOKENS)" ] ||
    fail "BIND=$bind publishes the ports beyond this machine: set LOGLAKE_INSECURE=false and LOGLAKE_AUTH_TOKENS in $env_file"
}

# The command that composes, where there is an engine behind it.
find_engine() {
  if docker compose version >/dev/null 2>&1; then
    composer=(docker compose)
  elif command -v docker-compose >/dev/null; then
    composer=(docker-compose)
  else
    fail "there is neither 'docker compose' nor 'docker-compose'; without containers: make stack, or make run"
  fi
  docker info >/dev/null 2>&1 || fail "no container engine answers ('docker info'); without containers: make stack, or make run"
}

compose() {
  # The variables of a shell beat those of the file: no credential of another project must slip in.
  env -u MINIO_ROOT_USER -u MINIO_ROOT_PASSWORD -u REDIS_PASSWORD -u GRAFANA_PASSWORD -u LOGLAKE_CLUSTER_SECRET DOCKER_BUILDKIT=1 \
    LOGLAKE_REVISION="$(git describe --always --dirty 2>/dev/null || echo unknown)" \
    "${composer[@]}" --env-file "$env_file" -f compose.yml "$@"
}

answers() { curl -fs -o /dev/null --max-time 3 "$1"; }

wait_until() { # what, address
  local until=$((SECONDS + ${WAIT:-300}))
  until answers "$2"; do
    if [ "$SECONDS" -ge "$until" ]; then
      compose ps
      fail "$1 does not answer at $2; make logs tells more"
    fi
    sleep 1
  done
}

up() {
  local profile=()
  case ${1:-} in
    '') ;;
    --demo) profile=(--profile demo) ;;
    *) usage ;;
  esac
  make_env
  check_env
  find_engine
  compose "${profile[@]}" up --detach --build --remove-orphans
  local host; host=$(setting BIND); host=${host:-127.0.0.1}
  [ "$host" = 0.0.0.0 ] && host=127.0.0.1
  local query=http://$host:$(setting QUERY_PORT) ingest=http://$host:$(setting INGEST_HTTP_PORT)
  local grafana=http://$host:$(setting GRAFANA_PORT) prometheus=http://$host:$(setting PROMETHEUS_PORT)
  wait_until "the ingestor" "$ingest/ready"
  wait_until "the query service" "$query/ready"
  wait_until Prometheus "$prometheus/-/ready"
  wait_until Grafana "$grafana/api/health"
  cat <<TEXT

  loglake is up in containers

  query          $query            POST /v1/query, GET /v1/services
  ingest         $ingest            POST /v1/ingest (NDJSON or JSON); gRPC $host:$(setting INGEST_GRPC_PORT)
  grafana        $grafana            admin, GRAFANA_PASSWORD of deploy/compose/$env_file
  prometheus     $prometheus
  alertmanager   http://$host:$(setting ALERTMANAGER_PORT)
  minio          http://$host:$(setting MINIO_CONSOLE_PORT)            $(setting MINIO_ROOT_USER), MINIO_ROOT_PASSWORD of deploy/compose/$env_file

Try it:

  curl -s $ingest/v1/ingest -H 'Content-Type: application/x-ndjson' \\
    -d '{"service":"shop","level":"error","message":"payment timeout"}'
  curl -s $query/v1/query -H 'Content-Type: application/json' -d '{"contains":"timeout"}'

Stop it with: make down
TEXT
}

down() {
  local volumes=()
  case ${1:-} in
    '') ;;
    --volumes) volumes=(--volumes) ;;
    *) usage ;;
  esac
  [ -e "$env_file" ] || { say "nothing to stop: there is no $env_file"; return; }
  find_engine
  compose --profile demo down --remove-orphans "${volumes[@]}"
}

logs() {
  [ -e "$env_file" ] || fail "nothing runs: there is no $env_file"
  find_engine
  compose --profile demo logs --follow --tail 100 "$@"
}

usage() {
  sed -n '2,/^set/p' "stack.sh" | sed '$d; s/^# \{0,1\}//' >&2
  exit 64
}

case ${1:-} in
  up) shift; up "$@" ;;
  down) shift; down "$@" ;;
  logs) shift; logs "$@" ;;
  env) make_env; check_env ;;
  *) usage ;;
esac
