"""Compares our waypoints with those of the genuine carla package (no server needed).

    pip install carla==0.9.16
    caril map waypoints Town02.xodr --json > ours.jsonl
    python docs/checks/waypoints.py Town02.xodr ours.jsonl [SPACING_M]

Every waypoint of CARLA must have one of ours on the same road and lane within 2 cm and 0.2 degrees
of yaw, and the other way round. Prints the counts and the largest errors; exit status 1 if not.
"""

import json
import math
import sys
from collections import defaultdict
from pathlib import Path

import carla

MAX_M, MAX_DEG = 0.02, 0.2


def turn(a, b):
    """Difference of two yaws, degrees."""
    return abs((a - b + 180.0) % 360.0 - 180.0)


def compare(name, wanted, got):
    """Every point of `wanted` looks for its nearest of `got`; returns whether all are near."""
    by_lane = defaultdict(list)
    for w in got:
        by_lane[w["road"], w["lane"]].append(w)
    misses, largest = [], {"xyz_m": 0.0, "yaw_deg": 0.0, "s_m": 0.0}
    for w in wanted:
        def apart(o, w=w):
            return math.dist((o["x"], o["y"], o["z"]), (w["x"], w["y"], w["z"]))

        best = min(by_lane[w["road"], w["lane"]], key=apart, default=None)
        if best is None:
            misses.append((w, None))
            continue
        error = {
            "xyz_m": apart(best),
            "yaw_deg": turn(best["yaw_deg"], w["yaw_deg"]),
            "s_m": abs(best["s"] - w["s"]),
        }
        if error["xyz_m"] > MAX_M or error["yaw_deg"] > MAX_DEG or best["section"] != w["section"]:
            misses.append((w, error))
        else:
            largest = {k: max(v, error[k]) for k, v in largest.items()}
    figures = ", ".join(f"{k} {v:.6f}" for k, v in largest.items())
    print(f"{name}: {len(wanted)} points, {len(misses)} without a match; largest error {figures}")
    for w, error in misses[:8]:
        print("   ", w, error)
    return not misses


def main():
    xodr, lines = Path(sys.argv[1]), Path(sys.argv[2])
    spacing = float(sys.argv[3]) if len(sys.argv) > 3 else 2.0
    theirs = [
        {
            "road": w.road_id,
            "section": w.section_id,
            "lane": w.lane_id,
            "s": w.s,
            "x": w.transform.location.x,
            "y": w.transform.location.y,
            "z": w.transform.location.z,
            "yaw_deg": w.transform.rotation.yaw,
        }
        for w in carla.Map(xodr.stem, xodr.read_text()).generate_waypoints(spacing)
    ]
    ours = [json.loads(line) for line in lines.read_text().splitlines()]
    good = compare("CARLA's in ours", theirs, ours)
    good = compare("ours in CARLA's", ours, theirs) and good
    sys.exit(0 if good else 1)


main()
