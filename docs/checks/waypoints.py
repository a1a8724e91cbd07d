"""Compares our waypoints with those of the genuine CARLA library (no server needed).

usage: waypoints.py FILE.xodr OURS.jsonl [SPACING_M]
OURS.jsonl: lines {road, section, lane, s, x, y, z, yaw_deg}, as of `caril map waypoints --json`.
Exit code 0 if each CARLA waypoint has one of ours on the same lane within 2 cm and 0.2 degrees.
"""

import json
import math
import sys

import carla


def main() -> int:
    path, ours_path = sys.argv[1:3]
    spacing = float(sys.argv[3]) if len(sys.argv) > 3 else 2.0
    with open(path, encoding="utf-8") as f:
        theirs = carla.Map("check", f.read()).generate_waypoints(spacing)
    ours = {}
    count = 0
    with open(ours_path, encoding="utf-8") as f:
        for line in f:
            w = json.loads(line)
            ours.setdefault((w["road"], w["section"], w["lane"]), []).append(w)
            count += 1
    worst = {"xy_m": 0.0, "z_m": 0.0, "yaw_deg": 0.0, "s_m": 0.0}
    missing, beyond = 0, 0
    for w in theirs:
        lane = ours.get((w.road_id, w.section_id, w.lane_id), [])
        p, yaw = w.transform.location, w.transform.rotation.yaw
        best = min(lane, key=lambda o: math.hypot(o["x"] - p.x, o["y"] - p.y), default=None)
        if best is None:
            missing += 1
            continue
        errors = {
            "xy_m": math.hypot(best["x"] - p.x, best["y"] - p.y),
            "z_m": abs(best["z"] - p.z),
            "yaw_deg": abs((best["yaw_deg"] - yaw + 180.0) % 360.0 - 180.0),
            "s_m": abs(best["s"] - w.s),
        }
        if errors["xy_m"] > 0.02 or errors["yaw_deg"] > 0.2:
            beyond += 1
            if beyond <= 10:
                print("beyond:", best, errors, file=sys.stderr)
        worst = {k: max(worst[k], errors[k]) for k in worst}
    print(json.dumps({"carla": len(theirs), "ours": count, "missing": missing,
                      "beyond": beyond, **{f"max_{k}": v for k, v in worst.items()}}))
    return 0 if theirs and missing == 0 and beyond == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
