#!/usr/bin/env python3
"""Many drives, one line each, and a total a map: what README's table says of closed-loop driving.

    python3 docs/checks/drives.py --maps harbour_town valley_road --seeds 1-60 [--jobs 2] [-- MORE OPTIONS OF drive]
"""
import argparse, json, subprocess, sys
from concurrent.futures import ThreadPoolExecutor

p = argparse.ArgumentParser()
p.add_argument("--caril", default="target/release/caril")
p.add_argument("--maps", nargs="+", default=["harbour_town", "valley_road"])
p.add_argument("--seeds", default="1-20")
p.add_argument("--jobs", type=int, default=2)
p.add_argument("more", nargs="*")
a = p.parse_args()
first, last = (int(v) for v in a.seeds.split("-"))


def drive(job):
    name, seed = job
    command = [a.caril, "drive", "--map", name, "--route", "random", "--seed", str(seed),
               "--transport", "direct", "--record", "none", "--json", *a.more]
    r = subprocess.run(command, capture_output=True, text=True)
    if not r.stdout:
        return job, None, r.stderr.strip()
    return job, json.loads(r.stdout), ""


jobs = [(m, s) for m in a.maps for s in range(first, last + 1)]
results = {}
with ThreadPoolExecutor(a.jobs) as pool:
    for (name, seed), d, error in pool.map(drive, jobs):
        if d is None:
            print(f"{name} seed {seed}: no result: {error}")
            continue
        results.setdefault(name, []).append(d)
        print(f"{name} seed {seed:3}: {d['end'] or 'gone':12} {d['route_completion']:5.1f} % of "
              f"{d['route_length_m']:4.0f} m, deviation {d['lane_deviation_mean_m']:.3f} / "
              f"{d['lane_deviation_max_m']:.2f} m, collisions {d['collisions']}, "
              f"off road {d['off_road_m']:.1f} m, corrected {100 * d['corrected_share']:.1f} %", flush=True)
for name, ds in results.items():
    n = len(ds)
    done = sum(d["end"] == "goal_reached" for d in ds)
    clean = sum(d["end"] == "goal_reached" and d["collisions"] == 0 and d["off_road_m"] == 0 for d in ds)
    mean = sum(d["lane_deviation_mean_m"] for d in ds) / n
    worst = max(d["lane_deviation_mean_m"] for d in ds)
    print(f"TOTAL {name}: {done}/{n} completed, {clean}/{n} clean, mean deviation {mean:.3f} m "
          f"(worst route {worst:.3f} m), collisions {sum(d['collisions'] for d in ds)}, "
          f"off road {sum(d['off_road_m'] for d in ds):.1f} m")
sys.exit(0)
