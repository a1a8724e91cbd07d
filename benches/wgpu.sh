#!/usr/bin/env bash
# Builds caril with burn-wgpu and holds it against the CPU executor on whatever Vulkan device is
# here: PilotNet and EfficientNet-Lite0, simulated pictures and noise, at most 1e-3 apart.
#
#     bash benches/wgpu.sh [more options of `caril bench infer`]
#
# A folder of its own (target/wgpu), because the feature rebuilds Burn, which takes long.
# Where there is no GPU, Mesa's lavapipe plays one on the CPU (Debian: mesa-vulkan-drivers).
set -euo pipefail
cd "$(dirname "$0")/.."
if ! ls /usr/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json >/dev/null 2>&1 &&
  command -v apt-get >/dev/null 2>&1; then
  echo "no Vulkan driver: installing Mesa's" >&2
  (apt-get update -q && apt-get install -y -q --no-install-recommends mesa-vulkan-drivers) >/dev/null ||
    echo "not installed; caril will say what it finds" >&2
fi
# Mesa complains on a machine without a desktop.
export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/tmp}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target/wgpu}
cargo build --release --locked -p caril-cli --features wgpu
exec "$CARGO_TARGET_DIR/release/caril" bench infer --backend cpu wgpu \
  --architecture pilotnet efficientnet-lite0 --tolerance 1e-3 "$@"
