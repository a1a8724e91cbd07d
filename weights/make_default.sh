#!/usr/bin/env bash
# Makes the default pack: collect (expert, disturbed and wandering), train, two rounds of DAgger,
# train on after each. About 40 minutes on two cores and 4 GB of disk in WORK (default:
# runs/make_default).
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
train() { caril train --data "${data[@]}" --steer-scale "$SCALE" "$@"; }

collect town_blocks 16000 3 11 town_blocks
collect winding_suburb 12000 3 12 winding_suburb
collect hilly_fast 6000 3 13 hilly_fast
# DAgger hardly ever strays into the oncoming lane; there the expert is sent on purpose.
collect town_blocks 22000 3 41 town_blocks_wander --wander --noise 0.5
collect winding_suburb 18000 3 42 winding_suburb_wander --wander --noise 0.5
collect hilly_fast 7000 3 43 hilly_fast_wander --wander --noise 0.5
use town_blocks winding_suburb hilly_fast
use town_blocks_wander winding_suburb_wander hilly_fast_wander
train --out "$WORK/round0" --epochs 6 --seed 1

dagger() { # map frames seed round: the last round's network drives, the expert labels
  collect "$1" "$2" 2 "$3" "$1_$4" --dagger "$WORK/round$4"
  use "$1_$4"
}
dagger town_blocks 10000 21 0
dagger winding_suburb 9000 22 0
dagger hilly_fast 4000 23 0
train --resume "$WORK/round0" --out "$WORK/round1" --epochs 5 --lr 8e-4 --seed 2
dagger town_blocks 8000 31 1
dagger winding_suburb 8000 32 1
dagger hilly_fast 4000 33 1
train --resume "$WORK/round1" --name default --out "$WORK/default" --epochs 5 --lr 8e-4 --seed 3
echo "copy $WORK/default to weights/default to ship it"
