#!/usr/bin/env bash
# Makes the default pack: draw maps, collect (expert, disturbed and wandering), train, four rounds
# of DAgger with training after each, calibrate on maps not trained on, see whether it may run with
# int8. About an hour on two quiet cores, 6 GB of disk and 7 GB of memory, in WORK (default:
# runs/make_default).
set -euo pipefail
cd "$(dirname "$0")/.."
WORK=${WORK:-runs/make_default}
SCALE=0.6 # The tightest turns of the maps need a steer of 0.6; the paper's 1/4 cuts them off.
WEATHER=ClearNoon,CloudyNoon,ClearNoon,WetNoon,ClearNoon,ClearSunset,ClearNoon,WetCloudyNoon
mkdir -p "$WORK/calibration"
cargo build --release -p caril-cli
cargo run --release -q -p caril-road --example draw_maps -- "$WORK/maps" --random 1 18
export WORK SCALE WEATHER

# What an earlier run of this script left in WORK is replaced.
# Lines of "map frames every seed name more…", two at a time.
collect() {
  xargs -P 2 -L 1 sh -c 'm=$0 f=$1 e=$2 s=$3 n=$4; shift 4
    target/release/caril collect --map "$m" --frames "$f" --every "$e" --seed "$s" \
      --weather "$WEATHER" --steer-scale "$SCALE" --force --out "$WORK/$n.mcap" "$@"'
}
drawn() { # kind from to frames every seed name more…
  local kind=$1 from=$2 to=$3 frames=$4 every=$5 seed=$6 name=$7
  shift 7
  for i in $(seq "$from" "$to"); do
    echo "$WORK/maps/${kind}_$i.xodr $frames $every $seed$i $name$kind$i $*"
  done
}
train() { target/release/caril train --data "$WORK"/*.mcap --steer-scale "$SCALE" "$@"; }

{
  echo "town_blocks 8000 3 11 blocks"
  echo "winding_suburb 7000 3 12 suburb"
  echo "hilly_fast 5000 3 13 hilly"
  drawn town 1 10 2500 3 50 expert_
  # DAgger hardly ever strays into the oncoming lane; there the expert is sent on purpose.
  echo "town_blocks 8000 3 41 blocks_wander --wander --noise 0.5"
  echo "winding_suburb 8000 3 42 suburb_wander --wander --noise 0.5"
  echo "hilly_fast 4000 3 43 hilly_wander --wander --noise 0.5"
  drawn town 1 10 2500 3 60 wander_ --wander --noise 0.5
} | collect
train --out "$WORK/round0" --epochs 6 --seed 1

# DAgger: the last round's network drives, the expert labels.
for round in 0 1; do
  by="--dagger $WORK/round$round"
  {
    echo "town_blocks 4000 2 $((round + 2))1 blocks_$round $by"
    echo "winding_suburb 4000 2 $((round + 2))2 suburb_$round $by"
    echo "hilly_fast 2500 2 $((round + 2))3 hilly_$round $by"
    drawn town 1 10 1800 2 $((round + 7))0 "dagger${round}_" "$by"
  } | collect
  train --from "$WORK/round$round" --out "$WORK/round$((round + 1))" --epochs $((round + 5)) \
    --lr 8e-4 --seed $((round + 2))
done
by="--dagger $WORK/round2"
{
  drawn country 1 10 1500 3 90 wander_ --wander --noise 0.6
  drawn country 1 10 1500 2 91 dagger2_ "$by"
  drawn town 1 10 2200 2 92 dagger2_ "$by"
  echo "town_blocks 4000 2 93 blocks_2 $by"
} | collect
train --from "$WORK/round2" --out "$WORK/round3" --epochs 4 --lr 8e-4 --seed 4
by="--dagger $WORK/round3"
{
  drawn country 1 10 1000 2 94 dagger3_ "$by"
  drawn town 1 10 1600 2 95 dagger3_ "$by"
  echo "town_blocks 3000 2 96 blocks_3 $by"
  echo "winding_suburb 3000 2 97 suburb_3 $by"
  echo "hilly_fast 2000 2 98 hilly_3 $by"
} | collect
train --from "$WORK/round3" --name default --out "$WORK/default" --epochs 2 --lr 6e-4 --seed 5

{
  # Short drives, so that starting from rest is as frequent as where the intervals are judged.
  drawn town 11 18 1500 4 4 calibration/ --episode 30
  drawn country 11 18 1500 4 4 calibration/ --episode 30
} | collect
target/release/caril calibrate --policy "$WORK/default" --data "$WORK"/calibration/*.mcap
target/release/caril quantize --policy "$WORK/default" --data "$WORK"/calibration/*.mcap
echo "copy $WORK/default to weights/default to ship it"
