#!/usr/bin/env bash
# Everything that must pass: formatting, lints, docs, all tests. Installs what it needs.
set -euo pipefail
cd "$(dirname "$0")/.."

# libzmq is compiled from source by the crate `zmq`: a C++ compiler is all that it needs.
if ! command -v c++ >/dev/null 2>&1; then
  echo "installing a C++ compiler" >&2
  apt-get update -q && apt-get install -y -q g++
fi
for component in rustfmt clippy; do
  command -v "cargo-${component/rustfmt/fmt}" >/dev/null 2>&1 || rustup component add "$component"
done

step() { printf '\n== %s\n' "$*" >&2; "$@"; }
step cargo fmt --all --check
step cargo clippy --release --workspace --all-targets --locked -- -D warnings
RUSTDOCFLAGS="-D warnings" step cargo doc --release --workspace --no-deps --locked
# The command-line tests run the program itself, which `cargo test` alone would not build.
step cargo build --release --workspace --locked
step cargo test --release --workspace --locked
