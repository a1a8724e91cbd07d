"""Everything that may go wrong between bridge and CARLA, made to happen once each; prints the table of
docs/carla.md. Genuine client, mini server, a controller that follows the expert.

    python docs/checks/carla_faults.py --caril target/release/caril      # carla_bridge installed
"""

import argparse
import json
import os
import re
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "carla_bridge/tests"))
from conftest import SMALL, Process, look  # noqa: E402
from controller import Controller  # noqa: E402

p = argparse.ArgumentParser()
p.add_argument("--caril", default="target/release/caril")
p.add_argument("--only", help="the case whose name contains this")
o = p.parse_args()
running = []


def serve(*faults, port=0):
    """(port, process) of a mini server."""
    more = [a for f in faults for a in ("--fault", f)]
    s = Process([o.caril, "carla-server", "--port", str(port), "--map", "town_blocks", *more])
    running.append(s)
    return int(s.wait_for(r"at 127\.0\.0\.1:(\d+) and")[1]), s


def bridge(port, *options, wait=True):
    """The bridge's process; its endpoint is in `endpoint`."""
    endpoint = f"ipc://{tempfile.mkdtemp(prefix='cf')}/p"
    b = Process([sys.executable, "-m", "caril_carla_bridge", "--port", str(port), "--endpoint", endpoint,
                 "--caril", o.caril, *SMALL, "--json", *options])
    running.append(b)
    b.endpoint = endpoint
    if wait:
        b.wait_for("plant at ")
    return b


def answer(c):
    """Answers frames until the bridge ends the episode."""
    while (f := c.frame()) is not None:
        c.command(f)


def drive(b, frames=100_000):
    """A whole drive: ids of its frames."""
    c = Controller(b.endpoint, seconds=60)
    c.drive(frames)
    c.close()
    return c.ids


def ended(b, port, codes, text):
    """(good, what was seen): exit code, the line that says what happened, and what is left."""
    code, _ = b.finish()
    line = re.search(f".*({text}).*", b.text())
    left = look(port) if port else None
    good = code in codes and line is not None and (left is None or left[:2] == [[], False])
    rest = "" if left is None else f"; actors left {len(left[0])}, synchronous {left[1]}"
    return good, f"exit {code}{rest}; “{line[0].removeprefix('bridge: ') if line else b.text()[-300:]}”"


def killed():
    port, _ = serve("kill:45")
    b = bridge(port, "--frames", "40", "--tick-timeout", "1")
    drive(b)
    b.wait_for("the server is gone")
    serve(port=port)
    b.wait_for("(?s)plant at .*plant at ")
    drive(b)
    return ended(b, port, [0], "lost its server")


def stalled():
    port, _ = serve("stall:40:10")
    b = bridge(port, "--frames", "60")
    ids = drive(b)
    good, seen = ended(b, port, [0], "the late tick was carried out")
    return good and ids == list(range(1, 61)), seen


def late():
    port, _ = serve("late:100")
    b = bridge(port, "--frames", "40")
    ids = drive(b)
    good, seen = ended(b, port, [0], "missing_images 0")
    return good and ids == list(range(1, 41)), seen


def lost():
    port, _ = serve("lost:17")
    b = bridge(port, "--frames", "80")
    ids = drive(b)
    good, seen = ended(b, port, [0], r"missing_images [1-9]")
    return good and len(ids) < 80 and ids == sorted(set(ids)), seen


def doubled():
    port, _ = serve("doubled:5")
    b = bridge(port, "--frames", "60")
    ids = drive(b)
    good, seen = ended(b, port, [0], "missing_images 0")
    return good and ids == list(range(1, 61)), seen


def foreign():
    port, _ = serve("foreign:20")
    b = bridge(port, "--frames", "60")
    drive(b)
    return ended(b, port, [0], "somebody else ticks this world")


def ticked():
    import carla
    port, _ = serve()
    client = carla.Client("127.0.0.1", port)
    client.set_timeout(20)
    world = client.get_world()
    settings, over = world.get_settings(), threading.Event()
    settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
    world.apply_settings(settings)

    def tick():
        while not over.wait(0.02):
            world.tick()

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        return ended(bridge(port, wait=False), None, [1], "another client ticks")
    finally:
        over.set()
        thread.join()


def version():
    port, _ = serve("version:0.9.15")
    return ended(bridge(port, wait=False), port, [1], "0.9.15")


def taken():
    port, _ = serve("spawn:2")
    b = bridge(port, "--frames", "5")
    drive(b)
    return ended(b, port, [0], "start is taken")


def signals():
    """Each at moments of its own: from the first import to the drive."""
    port, _ = serve()
    seen, good = [], True
    for number in (signal.SIGINT, signal.SIGTERM):
        for moment in (0.3, 0.6, 1.0, 1.5, 2.5, "driving"):
            b = bridge(port, wait=moment == "driving")
            if moment == "driving":
                c = Controller(b.endpoint)
                c.drive(10)
                b.child.send_signal(number)
                answer(c)
                c.close(bye=False)
            else:
                time.sleep(moment)
                b.child.send_signal(number)
            fine, what = ended(b, port, [0], "")
            good &= fine
            if not fine:
                seen.append(f"{number.name} at {moment}: {what}")
    return good, "; ".join(seen) or "12 of 12: exit 0, no actor left, not synchronous"


def gone():
    port, _ = serve()
    b = bridge(port, "--frames", "200")
    c = Controller(b.endpoint)
    c.drive(40)
    speed = c.frame()["speed"]
    c.close(bye=False)
    b.wait_for("braking to a stand")
    d = Controller(b.endpoint)
    d.start()
    f = d.frame()
    stands = speed > 1 and f["speed"] < 0.1
    d.command(f)
    d.close()
    b.child.send_signal(signal.SIGTERM)
    good, seen = ended(b, port, [0], "the controller left")
    return good and stands, f"{speed:.1f} m/s → {f['speed']:.1f} m/s, the next one drives on; {seen}"


def silent():
    port, _ = serve()
    b = bridge(port, "--frames", "400")
    c = Controller(b.endpoint)
    c.drive(40)
    asked = c.frame()
    b.wait_for("no command for frame")
    time.sleep(2.5)
    slow = max(look(port)[2])
    c.command(asked)
    f = c.frame()
    c.command(f)
    c.close()
    b.child.send_signal(signal.SIGTERM)
    good, seen = ended(b, port, [0], "no command for frame")
    return good and slow < asked["speed"], f"{asked['speed']:.1f} → {slow:.1f} m/s, then taken back; {seen}"


CASES = [
    ("server killed, and another started", killed), ("server stalled for 10 s", stalled),
    ("every picture 100 ms late", late), ("every 17th picture lost", lost),
    ("every 5th picture doubled", doubled), ("a foreign tick every 20", foreign),
    ("another client ticks already", ticked), ("another version", version),
    ("spawn refused twice", taken), ("SIGINT and SIGTERM at six moments each", signals),
    ("controller gone without Bye", gone), ("controller silent", silent),
]
bad = 0
print("| fault | outcome | seen |\n|---|---|---|")
for name, case in CASES:
    if o.only and o.only not in name:
        continue
    try:
        good, seen = case()
    except Exception as e:  # whatever it was, the others are tried
        good, seen = False, f"{type(e).__name__}: {str(e)[-400:]}"
    while Controller.open:
        Controller.open.pop().close(bye=False)
    while running:
        running.pop().kill()
    bad += not good
    print(f"| {name} | {'as it should' if good else '**not as it should**'} | {seen} |".replace("\n", " "), flush=True)
print(json.dumps({"cases": len(CASES), "bad": bad}), file=sys.stderr, flush=True)
os._exit(min(bad, 1))
