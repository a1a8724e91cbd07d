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

# Python for the bridge's tests and for the plant of docs/wire.md. The CARLA client's wheels exist
# for 3.10 to 3.12.
python=
for candidate in python3.12 python3.11 python3.10 python3 /usr/bin/python3; do
  if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  echo "installing Python" >&2
  apt-get update -q && apt-get install -y -q python3 python3-venv
  python=/usr/bin/python3
fi
target=${CARGO_TARGET_DIR:-target}
venv=$target/carla-venv
if ! "$venv/bin/python" -c 'import carla, zmq, pytest, mcap, caril_carla_bridge' 2>/dev/null; then
  rm -rf "$venv"
  if ! "$python" -m venv "$venv"; then
    apt-get update -q && apt-get install -y -q python3-venv
    "$python" -m venv --clear "$venv"
  fi
  step "$venv/bin/pip" install -q --disable-pip-version-check -e './carla_bridge[test]'
fi
PYTHON=$(cd "$(dirname "$venv/bin/python")" && pwd)/python
export PYTHON

# The live page is looked at in a browser.
if ! command -v chromium >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1; then
  echo "installing chromium" >&2
  (apt-get update -q && apt-get install -y -q --no-install-recommends chromium) >/dev/null ||
    echo "no chromium: the test of the live page is left out" >&2
fi

step cargo fmt --all --check
step cargo clippy --release --workspace --all-targets --locked -- -D warnings
RUSTDOCFLAGS="-D warnings" step cargo doc --release --workspace --no-deps --locked
# The command-line tests run the program itself, which `cargo test` alone would not build.
step cargo build --release --workspace --locked
step cargo test --release --workspace --locked
step bash tests/device_build.sh
# benches/wgpu.sh builds it, which takes too long here.
step cargo check --release --locked -p caril-cli --features wgpu
# Known holes in dependencies, where the tool is; licences and sources are one of the tests above.
if command -v cargo-deny >/dev/null 2>&1; then
  step cargo deny check licenses sources bans
  step cargo deny check advisories || echo "advisories: could not be checked, or something was found" >&2
fi

# The bridge, against the genuine CARLA client.
step "$venv/bin/python" -m pytest -q carla_bridge/tests --caril "$target/release/caril"
