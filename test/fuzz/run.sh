#!/usr/bin/env bash
# Fuzzes the targets one after the other, FUZZ_SECONDS each (600), on the lowest priority: all of them, or those named.
#
# Needs a nightly toolchain (the compiler's counting of edges is not stable) and a C++ compiler; installs cargo-fuzz where it is
# missing. What is found stands in artifacts/<target>/; the inputs that reached something new stay in corpus/<target>/.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=${FUZZ_SECONDS:-600}
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(batch body checkpoint chunk config credential cursor embedded_log entry log_batch question raw_record registry stored)
cargo +nightly --version >/dev/null || { echo "fuzz: a nightly toolchain is needed: rustup toolchain install nightly" >&2; exit 1; }
cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz

failed=()
for target in "${targets[@]}"; do
  corpus="$PWD/test/fuzz/corpus/$target"
  mkdir -p "$corpus"
  # All of it is safe Rust but for libdeflate, so no sanitizer: it would cost half of the runs.
  if ! FUZZ_SEEDS="$corpus" nice -n 19 cargo +nightly fuzz run --fuzz-dir test/fuzz --sanitizer none "$target" -- \
    -max_total_time="$seconds" -max_len=65536 -rss_limit_mb=1024 -timeout=30 -print_final_stats=1; then
    failed+=("$target")
  fi
done
[ ${#failed[@]} -eq 0 ] || { echo "fuzz: found something: ${failed[*]}" >&2; exit 1; }
