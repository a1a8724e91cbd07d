#!/usr/bin/env bash
# Makes the default pack: collect, train, two rounds of DAgger and one of wandering, train on after
# each. About 40 minutes on two cores and 3 GB of disk in WORK (default: runs/make_default).
set -euo pipefail
cd "$(dirname "$0")/.."
WORK=${WORK:-runs/make_default}
SCALE=0.6 # The tightest turns of the maps need a steer of 0.6; the paper's 1/4 cuts them off.
WEATHER=ClearNoon,CloudyNoon,ClearNoon,WetNoon,ClearNoon,ClearSunset,ClearNoon,WetCloudyNoon
mkdir -p "$WORK"
cargo build --release -p caril-cli
caril() { target/release/caril "$@"; }
collect() { # map frames every seed out more…
  caril collect --map "$1" --frames "$2" --every "$3" --weather "$WEATHER" --seed "$4" \
    --steer-scale "$SCALE" --out "$WORK/$5.mcap" "${@:6}"
}
data=()
use() { for name in "$@"; do data+=("$WORK/$name.mcap"); done; }
dagger() { # round seed: the last round's network drives, the expert labels
  local round=$1 seed=$2
  collect town_blocks 10000 2 "${seed}1" "town_blocks_$round" --dagger "$WORK/round$round"
  collect winding_suburb 9000 2 "${seed}2" "winding_suburb_$round" --dagger "$WORK/round$round"
  collect hilly_fast 3000 2 "${seed}3" "hilly_fast_$round" --dagger "$WORK/round$round"
  use "town_blocks_$round" "winding_suburb_$round" "hilly_fast_$round"
}

collect town_blocks 26000 3 11 town_blocks
collect winding_suburb 22000 3 12 winding_suburb
collect hilly_fast 8000 3 13 hilly_fast
use town_blocks winding_suburb hilly_fast
caril train --data "${data[@]}" --out "$WORK/round0" --steer-scale "$SCALE" --epochs 6 --seed 1
dagger 0 2
caril train --data "${data[@]}" --resume "$WORK/round0" --out "$WORK/round1" \
  --steer-scale "$SCALE" --epochs 4 --lr 7e-4 --seed 2
dagger 1 3
caril train --data "${data[@]}" --resume "$WORK/round1" --out "$WORK/round2" \
  --steer-scale "$SCALE" --epochs 5 --lr 7e-4 --seed 3
# DAgger hardly ever strays into the oncoming lane; there the expert is sent on purpose.
collect town_blocks 12000 3 41 town_blocks_wander --wander --noise 0.4
collect winding_suburb 9000 3 42 winding_suburb_wander --wander --noise 0.4
collect hilly_fast 3000 3 43 hilly_fast_wander --wander --noise 0.4
use town_blocks_wander winding_suburb_wander hilly_fast_wander
caril train --data "${data[@]}" --resume "$WORK/round2" --name default --out "$WORK/default" \
  --steer-scale "$SCALE" --epochs 5 --lr 8e-4 --seed 4
echo "copy $WORK/default to weights/default to ship it"
