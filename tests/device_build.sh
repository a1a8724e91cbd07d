#!/usr/bin/env bash
# The build that goes into a car: small, and it drives, replays and serves like the usual one, bit
# by bit, out of its package too. Needs the usual one in the target folder.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
cargo build --profile device --locked -p caril-cli --no-default-features
usual=$target/release/caril device=$target/device/caril
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
fail() { echo "device build: $*" >&2; exit 1; }
hash_of() { sed 's/.*"step_hash":"\([0-9a-f]*\)".*/\1/' "$1"; }

size=$(stat -c %s "$device")
[ "$size" -le 10000000 ] || fail "$size bytes, more than 10 MB"

args=(drive --frames 100 --no-report --json)
"$usual" "${args[@]}" --record "$work/usual.mcap" --record-images lossless >"$work/usual.json"
"$device" "${args[@]}" --record "$work/device.mcap" >"$work/device.json"
want=$(hash_of "$work/usual.json")
[ "$(hash_of "$work/device.json")" = "$want" ] || fail "drives otherwise"

if command -v dpkg-deb >/dev/null 2>&1; then
  bash hil/device/package.sh "$work/package" >/dev/null
  tar -xzf "$work"/package/caril-*.tar.gz -C "$work"
  (cd "$work"/caril-*/ && bin/caril "${args[@]}" --record none) >"$work/packed.json"
  [ "$(hash_of "$work/packed.json")" = "$want" ] || fail "the package drives otherwise"
  dpkg-deb --contents "$work"/package/caril_*.deb | grep /usr/bin/caril >/dev/null || fail "no program in the package"
fi

"$device" replay "$work/usual.mcap" >"$work/replay.log" 2>&1 ||
  fail "replays otherwise: $(cat "$work/replay.log")"

"$device" sim serve --endpoint "ipc://$work/plant" >"$work/serve.log" 2>&1 &
"$device" "${args[@]}" --record none --plant "ipc://$work/plant" >"$work/served.json" ||
  fail "does not serve: $(cat "$work/serve.log")"
[ "$(hash_of "$work/served.json")" = "$want" ] || fail "serves otherwise"
echo "device build: $size bytes; drives, replays and serves the same bits"
