"""Starts the bridge N times against a mini server and stops it with INT or TERM, each time at another
moment: exit codes, and what is left in the world. With --drive a controller drives meanwhile.

    python docs/checks/carla_starts.py --starts 200 --caril target/release/caril
"""

import argparse
import collections
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "carla_bridge/tests"))
from conftest import SMALL, Process, look  # noqa: E402

p = argparse.ArgumentParser()
p.add_argument("--starts", type=int, default=200)
p.add_argument("--caril", default="target/release/caril")
p.add_argument("--drive", action="store_true")
o = p.parse_args()



def minds_signals(pid):
    """Whether TERM waits or has a handler there."""
    with open(f"/proc/{pid}/status") as f:
        masks = [int(line.split()[1], 16) for line in f if line.startswith(("SigBlk", "SigCgt"))]
    return any(m >> (signal.SIGTERM - 1) & 1 for m in masks)


s = Process([o.caril, "carla-server", "--port", "0", "--map", "town_blocks"])
port = s.wait_for(r"at 127\.0\.0\.1:(\d+) and")[1]
endpoint = f"ipc://{tempfile.mkdtemp(prefix='cs')}/p"
command = [str(Path(sys.executable).parent / "caril-carla-bridge"), "--port", port, "--endpoint", endpoint,
           "--caril", o.caril, *SMALL]
codes, reached, left = collections.Counter(), collections.Counter(), 0
for i in range(o.starts):
    with tempfile.TemporaryFile("w+") as log:
        b = subprocess.Popen(command, stderr=log)
        c = o.drive and subprocess.Popen(
            [o.caril, "drive", "--plant", endpoint, "--policy", "default", "--record", "none"],
            stderr=subprocess.DEVNULL)
        # Before, while and after everything is set up; but not before Python runs our first line:
        # until then a signal kills it as it kills any program.
        while b.poll() is None and not minds_signals(b.pid):
            time.sleep(0.002)
        time.sleep((i * 7 % 23) * 0.15)
        b.send_signal(signal.SIGINT if i % 2 == 0 else signal.SIGTERM)
        try:
            code = b.wait(60)
        except subprocess.TimeoutExpired:
            b.kill()
            code = "hung"
        if c:
            c.kill()
            c.wait()
        log.seek(0)
        text = log.read()
    codes[code] += 1
    reached["plant bound" if "plant at" in text else "child ran" if text else "nothing said"] += 1
    if code != 0:
        print(f"start {i}: {code}: {text[-500:]}", flush=True)
    if i % 20 == 19:
        names, synchronous, _ = look(int(port))
        left += len(names) + synchronous
        print(f"{i + 1} starts: exit codes {dict(codes)}, actors {names}, synchronous {synchronous}", flush=True)
names, synchronous, _ = look(int(port))
s.child.send_signal(signal.SIGINT)
server = s.finish()[0]
print(json.dumps({"exit_codes": {str(k): v for k, v in codes.items()}, "reached": reached,
                  "actors_left": names, "synchronous": synchronous, "server": server}))
sys.stdout.flush()
os._exit(0 if set(codes) == {0} and not names and not left and not synchronous else 1)
