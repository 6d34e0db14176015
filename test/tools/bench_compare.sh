#!/usr/bin/env bash
# Builds the server of another revision beside this tree's, runs both in turn on the same corpus, and prints ratios.
#
#   test/tools/bench_compare.sh REVISION [argument of loglake-bench…]      (make bench-compare BASE=REVISION)
#
# The revision is checked out and built in the target folder; its checkout goes when this ends, what was built stays for the next
# time. This tree is taken as it is, with what is not committed. Both are measured by the bench of this tree.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo=${CARGO:-cargo}

say() { printf 'bench-compare: %s\n' "$*" >&2; }

base=${1:-}
if [ -z "$base" ]; then
  say "which revision? make bench-compare BASE=main~5, or a tag, a branch, a commit"
  exit 64
fi
shift
commit=$(git rev-parse --verify --quiet "$base^{commit}") || { say "there is no revision $base here: git log tells which there are"; exit 64; }

target=$("$cargo" metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
folder=$target/bench-compare
tree=$folder/tree-$$
mkdir -p "$folder"
remove() {
  git worktree remove --force "$tree" 2>/dev/null || true
}
trap remove EXIT
trap 'exit 130' INT TERM
git worktree add --quiet --detach "$tree" "$commit"

say "building $base ($(git log -1 --format='%h %s' "$commit"))"
(cd "$tree" && CARGO_TARGET_DIR=$folder/target "$cargo" build --release --locked -p loglake --bins)
cp -f "$folder/target/release/loglake" "$folder/loglake-$commit"
say "building this tree ($(git describe --always --dirty --exclude '*'))"
"$cargo" build --release --locked -p loglake -p loglake-load --bin loglake --bin loglake-bench

"$target/release/loglake-bench" --server "$target/release/loglake" --base "$folder/loglake-$commit" "$@"
