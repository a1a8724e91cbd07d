"""Twenty drives of the embedded world, one with every fault of the camera and its stream among them,
recorded without loss and run again: whole, from a frame in the middle, and with three things changed.

    python3 docs/checks/replay_drives.py [--caril target/release/caril] [--frames 300]
"""
import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

p = argparse.ArgumentParser()
p.add_argument("--caril", default="target/release/caril")
p.add_argument("--frames", type=int, default=300)
a = p.parse_args()
ROOT = Path(__file__).resolve().parents[2]


def caril(*args):
    """Exit code and JSON of a command."""
    r = subprocess.run([a.caril, *map(str, args), "--json"], capture_output=True, text=True, cwd=ROOT)
    lines = r.stdout.strip()
    return r.returncode, json.loads(lines) if lines else r.stderr[-400:]


faults = subprocess.run([a.caril, "drive", "--fault", "list"], capture_output=True, text=True).stdout.split()
drives = [["--fault", f"{f}:0.6"] for f in faults]
drives += [["--fault", "drop:0.4", "--fault", "delay:0.6", "--fault", "noise:0.5"],
           ["--fault", "black:0.5", "--fault", "duplicate:0.5"], ["--weather", "FoggyNoon"],
           ["--weather", "HardRainNight", "--traffic", "10"], ["--correction", "paper"],
           ["--correction", "off"], ["--pacing", "free", "--rate", "10"]]
bad = 0
home = Path(tempfile.mkdtemp(prefix="replay"))
for i, options in enumerate(drives):
    file = home / f"{i}.mcap"
    maps = ["harbour_town", "valley_road", "town_blocks"]
    code, drive = caril("drive", "--map", maps[i % 3], "--seed", 100 + i, "--frames", a.frames, "--record-images",
                        "lossless", "--record", file, "--out", home / str(i), *options)
    code, whole = caril("replay", file)
    middle = a.frames // 2 + i
    tail, part = caril("replay", file, "--from", middle)
    good = code == 0 and tail == 0
    bad += not good
    if isinstance(whole, dict):
        seen = {k: whole["replays"][0][k] for k in ("frames", "replayed", "missing", "no_frames")}
    print(f"{'equal' if good else 'NOT EQUAL'}  {' '.join(options)}: exit {code}, {tail} from frame {middle}; "
          f"{seen if isinstance(whole, dict) else whole}", flush=True)

# The last weight by half, one threshold by 1 %, another backend: on a drive with fog in it.
other = home / "pack"
shutil.copytree(ROOT / "weights/default", other)
weights = bytearray((other / "weights.bpk").read_bytes())
weights[-2] ^= 64
(other / "weights.bpk").write_bytes(weights)
card = (other / "card.toml").read_text()
(other / "card.toml").write_text(
    re.sub(r'(?m)^weights_sha256 = ".*"', f'weights_sha256 = "{hashlib.sha256(weights).hexdigest()}"', card))
config = home / "stricter.toml"
enter = float(re.search(r"(?m)^mass_enter = (.*)", card)[1])
config.write_text(f"[correction]\nmass_enter = {0.99 * enter}\n")
for name, change in (("the last weight by half", ["--policy", other]), ("mass_enter 1 % lower", ["--config", config]),
                     ("backend flex", ["--backend", "flex"])):
    code, replay = caril("replay", home / "15.mcap", "--diff", *change)
    first = replay["replays"][0]["comparison"]["first"] if isinstance(replay, dict) else replay
    good = code == 3 and first is not None
    bad += not good
    print(f"{'named' if good else 'NOT NAMED'}  {name}: exit {code}, first {json.dumps(first)[:200]}", flush=True)
shutil.rmtree(home)
print(json.dumps({"drives": len(drives), "changes": 3, "bad": bad}))
sys.exit(bad > 0)
