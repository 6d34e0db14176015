#!/usr/bin/env bash
# Lints everything: code, documentation, the direction of dependencies, what must not be in the tree.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo=${CARGO:-cargo}

say() { printf 'lint: %s\n' "$*" >&2; }

say "arrows between crates"
python3 test/tools/arrows.py

say "banned crates"
tree=$("$cargo" tree --locked --workspace --all-features --edges normal,build --prefix none --format '{p}')
if grep -E '^(aws-lc-sys|openssl-sys|rsa) ' <<<"$tree"; then
  say "the crates above are banned: they need more than a C compiler, or have known holes"
  exit 1
fi

say "list of crates"
python3 test/tools/sbom.py --check

say "sizing"
python3 deploy/sizing.py --check

say "dashboards"
python3 deploy/grafana/generate.py --check

say "paths of one machine"
# The brackets keep this line from finding itself.
if git grep -nE '(^|[^A-Za-z0-9_.])/(wor[k]|roo[t]|hom[e]/[a-z]+)/' -- . ':!test/data' ':!Cargo.lock'; then
  say "the lines above name a path of one machine"
  exit 1
fi

say "shell scripts"
while IFS= read -r script; do bash -n "$script"; done < <(git ls-files '*.sh' '.ci/run')

say "clippy"
# All features are built: what builds ISA-L is needed.
test/tools/install.sh isal >/dev/null
"$cargo" clippy --locked --workspace --all-targets --all-features -- -D warnings

say "documentation"
RUSTDOCFLAGS="-D warnings" "$cargo" doc --locked --workspace --all-features --no-deps --quiet

if "$cargo" deny --version >/dev/null 2>&1; then
  say "licences, sources and bans"
  "$cargo" deny --all-features check bans licenses sources
else
  say "cargo-deny is not installed: licences are not checked (cargo install --locked cargo-deny)"
fi
