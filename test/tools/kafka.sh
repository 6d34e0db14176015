#!/usr/bin/env bash
# Runs a real Kafka (KRaft, one broker, loopback only) for tests and for the local stack.
#
#   test/tools/kafka.sh start DIR PORT [PROPERTY=VALUE ...]   returns when it is ready; the controller takes PORT+1
#   test/tools/kafka.sh stop DIR                              ends it in order; the data stays
#   test/tools/kafka.sh kill DIR                              ends it at once (kill -9)
#
# DIR holds its data, its pid and kafka.log. Starting again on the same DIR goes on with the same data. Properties are
# added to the broker's own, for example auto.create.topics.enable=true. With node.id, controller.quorum.voters and cluster.id
# several make a cluster; none is ready before most of them run, so start them at once.
#
# Environment: LOGLAKE_TEST_TOOLS  where install.sh puts the jars; KAFKA_HEAP  default 512m
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

say() { printf 'kafka: %s\n' "$*" >&2; }

usage() { sed -n '2,14s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 64; }

alive() { [ -n "${1:-}" ] && kill -0 "$1" 2>/dev/null; }

# The pid in DIR, if it is a Kafka of that DIR: a pid may have been given to another process since.
pid_of() {
  local pid; pid=$(cat "$1/pid" 2>/dev/null) || return 0
  if alive "$pid" && tr '\0' ' ' < "/proc/$pid/cmdline" 2>/dev/null | grep -qF "$1/server.properties"; then echo "$pid"; fi
}

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

start() {
  [ $# -ge 2 ] || usage
  mkdir -p "$1"
  local dir port=$2 tools lib
  dir=$(cd "$1" && pwd)
  shift 2
  [ -z "$(pid_of "$dir")" ] || { say "already running in $dir"; return 0; }
  if listening "$port" || listening $((port + 1)); then say "port $port or $((port + 1)) is in use"; exit 1; fi
  tools=$("$here/install.sh" kafka)
  lib=$(printf "%s\n" "$tools"/kafka-*/lib | sort -V | tail -n 1)
  cat > "$dir/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$((port + 1))
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$port
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs=$dir/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
PROPERTIES
  local property
  for property in "$@"; do echo "$property" >> "$dir/server.properties"; done
  cat > "$dir/log4j2.properties" <<'LOG'
status=error
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %m (%c)%n
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
LOG
  local java=(java "-Xmx${KAFKA_HEAP:-512m}" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.awt.headless=true
    "-Dlog4j2.configurationFile=$dir/log4j2.properties" -cp "$lib/*")
  if [ ! -f "$dir/data/meta.properties" ]; then
    # Brokers of one cluster are told the same id.
    local id; id=$(sed -n 's/^cluster\.id=//p' "$dir/server.properties")
    # An id must not begin with a dash: the tool would take it for an option.
    [ -n "$id" ] || id="A$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=' | cut -c 2-)"
    "${java[@]}" kafka.tools.StorageTool format -t "$id" -c "$dir/server.properties" >> "$dir/kafka.log" 2>&1 ||
      { say "formatting failed"; tail -n 20 "$dir/kafka.log" >&2; exit 1; }
  fi
  # A session of its own, no inherited files: it outlives the caller and holds none of its pipes.
  setsid "${java[@]}" kafka.Kafka "$dir/server.properties" >> "$dir/kafka.log" 2>&1 < /dev/null &
  local pid=$!
  echo "$pid" > "$dir/pid"
  local waited=0
  until listening "$port"; do
    alive "$pid" || { say "it ended while starting"; tail -n 20 "$dir/kafka.log" >&2; rm -f "$dir/pid"; exit 1; }
    waited=$((waited + 1))
    [ "$waited" -le 1200 ] || { say "not ready after 120 s"; kill -9 "$pid"; rm -f "$dir/pid"; exit 1; }
    sleep 0.1
  done
  say "127.0.0.1:$port is ready (pid $pid, $dir)"
}

# Sends the signal and waits; past the time given it is killed.
finish() {
  local dir=$1 signal=$2 pid waited=0
  dir=$(cd "$dir" 2>/dev/null && pwd) || return 0
  pid=$(pid_of "$dir")
  if [ -n "$pid" ]; then
    kill "-$signal" "$pid" 2>/dev/null || true
    while alive "$pid"; do
      waited=$((waited + 1))
      [ "$waited" -ne 300 ] || kill -9 "$pid" 2>/dev/null || true
      sleep 0.1
    done
  fi
  rm -f "$dir/pid"
}

case ${1:-} in
  start) shift; start "$@" ;;
  stop) [ $# -eq 2 ] || usage; finish "$2" TERM ;;
  kill) [ $# -eq 2 ] || usage; finish "$2" KILL ;;
  *) usage ;;
esac
