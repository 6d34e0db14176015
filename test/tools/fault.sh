#!/usr/bin/env bash
# Runs the faults of test/fault on real servers: test/tools/fault.sh [arguments of loglake-fault]
#
# Rows that have passed are not run again (--again does); the state is kept beside the built programs.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo=${CARGO:-cargo}
target=$("$cargo" metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
LOGLAKE_TEST_TOOLS=$(test/tools/install.sh)
export LOGLAKE_TEST_TOOLS LOGLAKE_TEST_BIN="$target/debug"
# All features: the programs under test are the same as in `make test`.
"$cargo" build --locked --workspace --all-features --bins
exec "$target/debug/loglake-fault" "$@"
