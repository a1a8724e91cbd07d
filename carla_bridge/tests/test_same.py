"""The same drive through CARLA's protocol and without it: embedded world over our wire, and mini
server, genuine client and bridge."""

import json
import math
import subprocess
import tempfile

from conftest import ROOT
from controller import Controller
from mcap.reader import make_reader


def path(endpoint, frames):
    """(x, y, speed, steer label, advisory speed, navigation, way off the road) of each frame."""
    c, seen = Controller(endpoint), []
    c.start()
    for _ in range(frames):
        f = c.frame()
        seen.append((f["x"], f["y"], f["speed"], f["steer"], f["advisory"], f["nav"], c.truth[7]))
        c.command(f)
    c.close()
    return seen


def test_the_drive_is_the_same_within_a_centimetre(start, serve, bridge, caril):
    """With the expert, whose labels each side makes itself: this also holds the Python expert to the
    Rust one."""
    frames = 160
    endpoint = f"ipc://{tempfile.mkdtemp(prefix='cs')}/p"
    p = start([caril, "sim", "serve", "--endpoint", endpoint, "--map", "town_blocks"])
    p.wait_for("plant at")
    direct = path(endpoint, frames)
    port, _ = serve(map="town_blocks")
    q = bridge(port, "--once")
    through = path(q.endpoint, frames)
    apart = max(math.hypot(a[0] - b[0], a[1] - b[1]) for a, b in zip(direct, through))
    print(f"largest distance {1000 * apart:.3f} mm")
    assert apart < 0.01
    for k, most in ((2, 0.01), (3, 1e-3), (4, 1e-3), (5, 0), (6, 0.5)):
        assert max(abs(a[k] - b[k]) for a, b in zip(direct, through)) <= most, k
    assert direct[-1][2] > 3


def steps(recording):
    """What a drive went by and did, frame by frame: its record without measured times, without what
    the judges of both sides make of it, and without two values that nothing depends on and that
    CARLA's floats carry less well."""
    aside = ("expert_steer", "expert_speed_mps", "lane_deviation_m", "heading_error_rad", "curvature_1pm",
             "route_completion", "route_length_m", "off_road_m", "accel_mps2", "yaw_rate_radps")
    found = []
    with open(recording, "rb") as f:
        for _, _, message in make_reader(f).iter_messages(topics=["/step"]):
            step = json.loads(message.data)
            found.append({k: v for k, v in step.items() if k not in aside and not k.endswith("_ns")})
    return found


def test_with_the_default_pack_the_drive_is_the_same_to_the_bit(tmp_path, serve, bridge, caril):
    """Every picture (by its fingerprint), place, speed and command of a start and a bend: nothing is
    lost in CARLA's 32-bit floats that the direct drive, told to use the same, has."""
    def drive(name, *options):
        file = tmp_path / f"{name}.mcap"
        subprocess.run(
            [caril, "drive", "--record", file, "--record-images", "none", "--no-report", *options],
            check=True, capture_output=True, timeout=120)
        return steps(file)

    direct = drive("direct", "--transport", "direct", "--map", "town_blocks", "--carla-floats",
                   "--frames", "150")
    port, _ = serve(map="town_blocks")
    q = bridge(port, "--once", "--card", str(ROOT / "weights/default"), "--weather", "ClearNoon",
               "--frames", "150")
    through = drive("through", "--plant", q.endpoint)
    assert len(direct) == len(through) == 150 and direct[-1]["speed_mps"] > 3
    for a, b in zip(direct, through):
        assert a == b
