"""Synchronous ticks with a 448×448 camera through the genuine client: pairing, times, memory of the
server. python3 docs/checks/carla_ticks.py [--port 2000] [--ticks 10000] [--pid PID_OF_SERVER]"""

import argparse
import json
import os
import queue
import sys
import time

import carla

p = argparse.ArgumentParser()
p.add_argument("--port", type=int, default=2000)
p.add_argument("--ticks", type=int, default=10_000)
p.add_argument("--seconds", type=float, default=1e9)
p.add_argument("--size", type=int, default=448)
p.add_argument("--pid", type=int)
o = p.parse_args()


def memory_mb():
    """Resident memory of the server."""
    if o.pid is None:
        return None
    with open(f"/proc/{o.pid}/status") as f:
        return next(int(line.split()[1]) / 1024 for line in f if line.startswith("VmRSS"))


client = carla.Client("127.0.0.1", o.port)
client.set_timeout(20.0)
world = client.get_world()
before = world.get_settings()
settings = world.get_settings()
settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
world.apply_settings(settings)
library = world.get_blueprint_library()
ego = world.spawn_actor(library.find("vehicle.tesla.model3"), world.get_map().get_spawn_points()[0])
bp = library.find("sensor.camera.rgb")
for key, value in (("image_size_x", o.size), ("image_size_y", o.size), ("fov", 110)):
    bp.set_attribute(key, str(value))
camera = world.spawn_actor(bp, carla.Transform(carla.Location(x=1.5, z=2.4)), attach_to=ego)
images = queue.Queue()
camera.listen(images.put)
points = world.get_map().get_spawn_points()
times, wrong, memory = [], 0, {}
end = time.monotonic() + o.seconds
for i in range(o.ticks):
    if time.monotonic() > end:
        break
    if i % 200 == 0:
        ego.set_transform(points[(i // 200) % len(points)])
    ego.apply_control(carla.VehicleControl(throttle=0.4))
    begin = time.perf_counter()
    frame = world.tick()
    image = images.get(timeout=10)
    times.append(1000 * (time.perf_counter() - begin))
    wrong += image.frame != frame
    if i in (500, o.ticks // 2):
        memory[i] = memory_mb()
memory["end"] = memory_mb()
camera.stop()
camera.destroy()
ego.destroy()
world.apply_settings(before)
times.sort()
print(json.dumps({
    "ticks": len(times), "wrong_pairs": wrong, "p50_ms": round(times[len(times) // 2], 3),
    "p99_ms": round(times[int(len(times) * 0.99)], 3), "max_ms": round(times[-1], 3),
    "server_mb": memory}))
sys.stdout.flush()
os._exit(0)
