"""The same drive through CARLA's protocol and without it: embedded world over our wire, and mini
server, genuine client and bridge. The expert of each side labels its own frames, so this also
holds the Python expert to the Rust one."""

import math
import tempfile

from controller import Controller


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
