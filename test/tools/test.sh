#!/usr/bin/env bash
# Runs the tests: all of them, or with `integration` only those of whole programs and real servers.
#
# The tools that they need are installed beside the first build (see install.sh). Nothing is skipped: a tool that cannot be
# had is a failure.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo=${CARGO:-cargo}
target=$("$cargo" metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
mkdir -p "$target"
log="$target/test-tools.log"

# Building with all features needs these; before the others, for two apt-gets do not go together.
test/tools/install.sh isal >/dev/null
test/tools/install.sh >"$log.folder" 2>"$log" &
tools=$!
trap 'kill "$tools" 2>/dev/null || true' EXIT

# Building the tests of the programs also builds the programs, with the same features: once for all.
scope=(--workspace --all-features)
[ "${1:-}" = integration ] && scope=(-p loglake-integration -p loglake -p loglake-agent -p loglakectl --all-features)
"$cargo" test --locked "${scope[@]}" --no-run
for program in loglake loglake-agent loglakectl; do
  [ -x "$target/debug/$program" ] || { echo "test: $program was not built" >&2; exit 1; }
done
if ! wait "$tools"; then
  cat "$log" >&2
  echo "test: the tools could not be installed (above)" >&2
  exit 1
fi
trap - EXIT

export LOGLAKE_TEST_BIN="$target/debug"
LOGLAKE_TEST_TOOLS=$(cat "$log.folder")
export LOGLAKE_TEST_TOOLS
exec "$cargo" test --locked "${scope[@]}"
