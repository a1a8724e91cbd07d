#!/usr/bin/env bash
# Makes the default pack: collect, train, one round of DAgger, train on. About 15 minutes on two
# cores and 2 GB of disk in WORK (default: runs/make_default).
set -euo pipefail
cd "$(dirname "$0")/.."
WORK=${WORK:-runs/make_default}
mkdir -p "$WORK"
cargo build --release -p caril-cli
caril() { target/release/caril "$@"; }
WEATHER=ClearNoon,CloudyNoon,ClearNoon,WetNoon,ClearNoon,ClearSunset,ClearNoon,WetCloudyNoon
collect() { # map frames seed out more…
  caril collect --map "$1" --frames "$2" --every 3 --weather "$WEATHER" --seed "$3" \
    --steer-scale 0.5 --out "$WORK/$4.mcap" "${@:5}"
}
maps=(town_blocks winding_suburb hilly_fast)

collect town_blocks 18000 11 town_blocks
collect winding_suburb 12000 12 winding_suburb
collect hilly_fast 3000 13 hilly_fast
data=()
for map in "${maps[@]}"; do data+=("$WORK/$map.mcap"); done
caril train --data "${data[@]}" --out "$WORK/round0" --steer-scale 0.5 --epochs 9 --seed 1

dagger() { # map frames seed
  collect "$1" "$2" "$3" "${1}_dagger" --dagger "$WORK/round0"
}
dagger town_blocks 5500 21
dagger winding_suburb 3500 22
dagger hilly_fast 2000 23
data=()
for map in "${maps[@]}"; do data+=("$WORK/$map.mcap" "$WORK/${map}_dagger.mcap"); done
caril train --data "${data[@]}" --from "$WORK/round0" --name default --out "$WORK/default" \
  --steer-scale 0.5 --epochs 4 --lr 5e-4 --seed 2
echo "copy $WORK/default to weights/default to ship it"
