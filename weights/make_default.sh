#!/usr/bin/env bash
# Makes the default pack: draw towns, collect (expert, disturbed and wandering), train, two rounds
# of DAgger, train on after each. About 40 minutes on two quiet cores, 4 GB of disk and of memory,
# in WORK (default: runs/make_default).
set -euo pipefail
cd "$(dirname "$0")/.."
WORK=${WORK:-runs/make_default}
SCALE=0.6 # The tightest turns of the maps need a steer of 0.6; the paper's 1/4 cuts them off.
WEATHER=ClearNoon,CloudyNoon,ClearNoon,WetNoon,ClearNoon,ClearSunset,ClearNoon,WetCloudyNoon
mkdir -p "$WORK"
cargo build --release -p caril-cli
cargo run --release -q -p caril-road --example draw_maps -- "$WORK/towns" --random 1 10
export WORK SCALE WEATHER

# Lines of "map frames every seed name more…", two at a time.
collect() {
  xargs -P 2 -L 1 sh -c 'm=$0 f=$1 e=$2 s=$3 n=$4; shift 4
    target/release/caril collect --map "$m" --frames "$f" --every "$e" --seed "$s" \
      --weather "$WEATHER" --steer-scale "$SCALE" --out "$WORK/$n.mcap" "$@"'
}
towns() { # frames every seed name more…
  local frames=$1 every=$2 seed=$3 name=$4
  shift 4
  for i in $(seq 10); do
    echo "$WORK/towns/town_$i.xodr $frames $every $seed$i town_${i}_$name $*"
  done
}
train() { target/release/caril train --data "$WORK"/*.mcap --steer-scale "$SCALE" "$@"; }
dagger() { # seed round: the last round's network drives, the expert labels
  local from="--dagger $WORK/round$2"
  {
    echo "town_blocks 4000 2 ${1}1 blocks_$2 $from"
    echo "winding_suburb 4000 2 ${1}2 suburb_$2 $from"
    echo "hilly_fast 2500 2 ${1}3 hilly_$2 $from"
    towns 1800 2 "$3" "$2" "$from"
  } | collect
}

{
  echo "town_blocks 8000 3 11 blocks"
  echo "winding_suburb 7000 3 12 suburb"
  echo "hilly_fast 5000 3 13 hilly"
  towns 2500 3 50 expert
  # DAgger hardly ever strays into the oncoming lane; there the expert is sent on purpose.
  echo "town_blocks 8000 3 41 blocks_wander --wander --noise 0.5"
  echo "winding_suburb 8000 3 42 suburb_wander --wander --noise 0.5"
  echo "hilly_fast 4000 3 43 hilly_wander --wander --noise 0.5"
  towns 2500 3 60 wander --wander --noise 0.5
} | collect
train --out "$WORK/round0" --epochs 6 --seed 1
dagger 2 0 70
train --resume "$WORK/round0" --out "$WORK/round1" --epochs 5 --lr 8e-4 --seed 2
dagger 3 1 80
train --resume "$WORK/round1" --name default --out "$WORK/default" --epochs 6 --lr 8e-4 --seed 3
echo "copy $WORK/default to weights/default to ship it"
