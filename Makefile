# Everything that is done with this project. `make help` says what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
DATA ?= data
# What `generate-logs` sends, and where to: any argument of `loglake-agent generate`.
GENERATE ?= --rate 1000 --duration 30s
# Any argument of `loglake-bench`: make bench BENCH=--help.
BENCH ?=
# A revision that `bench-compare` compares the tree with.
BASE ?=
# What `load` does: `ingest` or `query`, and any argument of them.
LOAD ?= ingest
# What `scale` does: `records` or `tenants`, and any argument of them.
SCALE ?= records
# A filter and other arguments of the micro-benches.
MICRO ?=
# Any argument of `loglake-fault`: --list, --row NAME, --seed N, --again.
FAULT ?=
# How many times as much `attack` does.
ATTACK ?= 20
# Any argument of `loglake-model`.
MODEL ?=
# Any argument of the simulation: `make soak SOAK=--help`.
SOAK ?=
# Whether `up` starts the generator too, and whose logs `logs` follows (all).
DEMO ?=
SERVICE ?=
# How long each fuzz target runs.
export FUZZ_SECONDS ?= 600

# Gzip by ISA-L, at a third of the cost, wherever what builds it is installed (Debian: nasm autoconf automake libtool).
ISAL = $(shell test/tools/install.sh --has-isal && echo --features loglake/isal)
BUILD := $(CARGO) build --release --locked
RUN := $(CARGO) run --release --locked --quiet
# Where cargo puts what it builds; asked only where it is used.
TARGET = $(shell $(CARGO) metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')

.PHONY: help run test soak fuzz attack check fmt lint bench bench-profile bench-compare bench-micro load scale model sbom proto build generate-logs stack stack-down \
  run-ingestor run-processor run-query up down logs dashboards test-integration clean fmt-check

help: ## Lists what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Builds and starts everything in one process, kept in ./data (DATA=folder), on loopback
	@$(BUILD) -p loglake --bins $(ISAL)
	@exec '$(TARGET)/release/loglake' dev --data '$(DATA)'

build: ## Builds the programs, optimised: loglake, loglake-agent and loglakectl
	$(BUILD) -p loglake -p loglake-agent -p loglakectl --bins $(ISAL)

test: ## Runs all tests, those on real Kafka, Redis and MinIO too; installs what they need
	@test/tools/test.sh

test-integration: ## Runs only the tests of whole programs and of real servers
	@test/tools/test.sh integration

attack: ## Attacks a server of its own in every known way, ATTACK=20 times as much as `make test` does, and checks isolation at length
	@LOGLAKE_TEST_ATTACK_SIZE='$(ATTACK)' LOGLAKE_TEST_ISOLATION_ROUNDS=40 $(CARGO) test --locked -p loglake-integration --all-features \
	  --test attack --test isolation -- --nocapture --test-threads 1

soak: ## Simulates faults over ever more seeds, ten minutes long (SOAK='--seconds 3600', '--seed 7 --trace')
	@$(CARGO) run --locked --quiet -p loglake-simulation -- $(SOAK)

fuzz: ## Fuzzes each decoder of stored bytes for FUZZ_SECONDS (600); needs a nightly toolchain
	@test/fuzz/run.sh

check: fmt-check lint test ## Checks the format, lints, and runs all tests: what CI does

fmt: ## Formats the source
	$(CARGO) fmt --all

fmt-check:
	$(CARGO) fmt --all --check

lint: ## Lints: clippy, documentation, arrows between crates, banned crates, licences
	@test/tools/lint.sh

bench: ## Measures CPU, memory, bytes at rest and latencies on a seeded corpus (BENCH=arguments)
	@$(BUILD) -p loglake -p loglake-load --bin loglake --bin loglake-bench $(ISAL)
	@'$(TARGET)/release/loglake-bench' --server '$(TARGET)/release/loglake' $(BENCH)

bench-profile: ## The same once, with a table of where the server's CPU goes (needs perf)
	@$(CARGO) build --profile bench-profile --locked -p loglake -p loglake-load --bin loglake --bin loglake-bench $(ISAL)
	@'$(TARGET)/bench-profile/loglake-bench' --server '$(TARGET)/bench-profile/loglake' --profile --rounds 1 --half-for 0s --no-queries $(BENCH)

bench-compare: ## Builds BASE=revision and this tree, runs them in turn, prints ratios (BENCH=arguments)
	@test/tools/bench_compare.sh '$(BASE)' $(BENCH)

bench-micro: ## Measures decoders, codec, planner and merge alone (MICRO=filter)
	@$(CARGO) bench --locked --benches -p loglake-chunk -p loglake-formats -p loglake-batch -p loglake-query -- $(MICRO)

load: ## Loads a server of its own: rates, acknowledgements, freshness, drops (LOAD='query', 'ingest --rate 20000')
	@$(BUILD) -p loglake -p loglake-load --bin loglake --bin loglake-load $(ISAL)
	@'$(TARGET)/release/loglake-load' $(LOAD) --server '$(TARGET)/release/loglake'

scale: ## Measures how cost grows with records, or SCALE='tenants' with tenants and services
	@$(BUILD) -p loglake -p loglake-load --bin loglake --bin loglake-scale $(ISAL)
	@'$(TARGET)/release/loglake-scale' $(SCALE) --server '$(TARGET)/release/loglake'

model: ## Explores the commit protocol's models at their large sizes, minutes (MODEL=arguments of loglake-model)
	@$(RUN) -p loglake-model-check --bin loglake-model -- $(MODEL)

fault: ## Breaks real servers and processes in every known way, and judges what is left (FAULT=arguments; goes on where it ended)
	@test/tools/fault.sh $(FAULT)

sbom: ## Lists every crate the programs are made of, as CycloneDX, in sbom.cdx.json
	@test/tools/sbom.py > sbom.cdx.json

proto: ## Checks the Protobuf files, and renders the snapshot of what they declare
	UPDATE_SNAPSHOT=1 $(CARGO) test --locked --quiet -p loglake-api
	@git diff --stat -- api/proto

generate-logs: ## Sends made-up logs to a running server (GENERATE=arguments)
	@$(RUN) -p loglake-agent -- generate $(GENERATE)

stack: ## Starts real Kafka, Redis and MinIO and the three roles on them (INGESTORS=2 PROCESSORS=2 QUERIES=2)
	@deploy/local/stack.sh up

stack-down: ## Stops what `make stack` started; the data stays in ./.stack
	@deploy/local/stack.sh down

up: ## Builds the image and starts everything in containers, with Prometheus and Grafana (DEMO=1 sends made-up logs, too)
	@deploy/compose/stack.sh up $(if $(DEMO),--demo)

down: ## Stops what `make up` started; the data stays in its volumes
	@deploy/compose/stack.sh down

logs: ## Follows the logs of what `make up` started (SERVICE=ingestor for one)
	@deploy/compose/stack.sh logs $(SERVICE)

dashboards: ## Makes the Grafana dashboards anew out of deploy/grafana/source
	@deploy/grafana/generate.py

run-ingestor: ## Runs an ingestor in the foreground on the servers of `make stack`
	@deploy/local/stack.sh run ingestor

run-processor: ## Runs a processor in the foreground on the servers of `make stack`
	@deploy/local/stack.sh run processor

run-query: ## Runs a query service in the foreground on the servers of `make stack`
	@deploy/local/stack.sh run query

clean: ## Removes what was built; ./data and ./.stack stay
	$(CARGO) clean
