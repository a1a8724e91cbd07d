"""The same route through CARLA's protocol (mini server, genuine client, bridge) and directly, with the
default pack: both recordings, compared frame by frame and field by field.

    pip install ./carla_bridge mcap        # Python 3.11
    python docs/checks/carla_same.py --map town_blocks [--route default] [--caril target/release/caril]
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time

from mcap.reader import make_reader

p = argparse.ArgumentParser()
p.add_argument("--caril", default="target/release/caril")
p.add_argument("--map", default="town_blocks")
p.add_argument("--route", default="default")
p.add_argument("--port", type=int, default=2600)
p.add_argument("--policy", default="weights/default")
p.add_argument("--out", default=tempfile.mkdtemp(prefix="same"))
o = p.parse_args()

# Beside these, which say how the judges of both sides see the drive, a difference is one of the drive.
JUDGED = {"expert_steer", "expert_speed_mps", "lane_deviation_m", "heading_error_rad", "curvature_1pm",
          "route_completion", "route_length_m", "off_road_m", "lane_invasions", "collisions"}


def drive(name, *options):
    """Starts a drive that is recorded without loss."""
    return subprocess.Popen(
        [o.caril, "drive", "--policy", o.policy, "--record-images", "lossless", "--no-report", "--out",
         f"{o.out}/{name}", "--json", *options], stdout=open(f"{o.out}/{name}.json", "w"))


def load(name):
    """Steps by frame, and the pictures in order."""
    steps, pictures = {}, []
    with open(f"{o.out}/{name}/drive.mcap", "rb") as f:
        for schema, channel, message in make_reader(f).iter_messages():
            if channel.topic == "/step":
                step = json.loads(message.data)
                steps[step["frame_id"]] = step
            elif channel.topic == "/camera/image":
                pictures.append(message.data)
    return steps, pictures


def say(text):
    print(text, flush=True)


direct = drive("direct", "--map", o.map, "--route", o.route, "--carla-floats")
server = subprocess.Popen([o.caril, "carla-server", "--port", str(o.port), "--map", o.map])
time.sleep(1.0)
endpoint = f"ipc://{o.out}/plant"
bridge = subprocess.Popen(
    [sys.executable, "-m", "caril_carla_bridge", "--port", str(o.port), "--endpoint", endpoint, "--caril",
     o.caril, "--card", o.policy, "--weather", "ClearNoon", f"--route={o.route}", "--once"],
    stderr=subprocess.PIPE, text=True)
for line in bridge.stderr:
    if "plant at" in line:
        break
through = drive("through", "--plant", endpoint)
bridge.stderr.read()
say(f"exit codes: drives {direct.wait()} and {through.wait()}, bridge {bridge.wait()}")
server.terminate()
server.wait()

(a, pictures_a), (b, pictures_b) = load("direct"), load("through")
first = {}
for frame in sorted(set(a) & set(b)):
    for key, value in a[frame].items():
        # Times are measured; every other field is the drive's.
        if not key.endswith("_ns") and value != b[frame].get(key):
            first.setdefault(key, (frame, value, b[frame].get(key)))
say(f"frames {len(a)} and {len(b)}")
for key, (frame, x, y) in sorted(first.items(), key=lambda item: item[1][0]):
    say(f"  {'judged' if key in JUDGED else 'DRIVEN'} {key}: from frame {frame} on, {x} and {y}")
apart = max(math.hypot(a[k]["x_m"] - b[k]["x_m"], a[k]["y_m"] - b[k]["y_m"]) for k in set(a) & set(b))
other = sum(x != y for x, y in zip(pictures_a, pictures_b))
say(f"pictures: {len(pictures_a)} and {len(pictures_b)}, {other} differ")
say(f"largest distance {1000 * apart:.4f} mm")
for name in ("direct", "through"):
    with open(f"{o.out}/{name}.json") as f:
        d = json.load(f)
    say(f"{name}: {d['end']}, {d['route_completion']:.1f} % of {d['route_length_m']:.1f} m, "
        f"{d['collisions']} collisions, off road {d['off_road_m']:.1f} m, lane invasions {d['lane_invasions']}")
sys.exit(0 if apart < 0.01 else 1)
