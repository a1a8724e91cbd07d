"""Writes the seeds of `carla_rpc` and `carla_stream`: what the genuine client sends, recorded on its way
to a fresh mini server. `caril carla-server --port 2000 --map town_blocks &`, then
`python fuzz/carla_seeds.py 2000` in this repository's root, with carla==0.9.16 installed."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

HERE = Path(__file__).parent / "corpus"
SERVER = int(sys.argv[1])


def record():
    """Stands between client and server, and writes a seed for each step of the client. The port of
    streams is not recorded: a token names the server's own."""
    sent = []

    def carry(source, target, keep):
        while data := source.recv(65536):
            keep.extend(data)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)

    def stand_in():
        listener = socket.create_server(("127.0.0.1", SERVER + 100))
        while True:
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", SERVER))
            sent.append(bytearray())
            for job in ((client, server, sent[-1]), (server, client, bytearray())):
                threading.Thread(target=carry, args=job, daemon=True).start()

    threading.Thread(target=stand_in, daemon=True).start()
    # A process of its own: the client library holds Python's lock while it waits.
    client = subprocess.Popen([sys.executable, __file__, str(SERVER), "client"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    marks = {}
    for line in client.stdout:
        name = line.strip()
        data = b"".join(bytes(b[marks.get(k, 0):]) for k, b in enumerate(sent))
        marks = {k: len(b) for k, b in enumerate(sent)}
        if name != "-":
            for target in ("carla_rpc", "carla_stream"):
                (HERE / target).mkdir(parents=True, exist_ok=True)
                (HERE / target / name).write_bytes(b"\xff" + data)
            print(name, len(data))
        client.stdin.write("on\n")
        client.stdin.flush()
    (HERE / "carla_stream/stream").write_bytes(b"\x00" + (1).to_bytes(4, "little"))
    (HERE / "carla_stream/stranger").write_bytes(b"\x02\xff\xff\xff\xff and more")


if len(sys.argv) == 2:
    record()
    sys.exit(0)

import carla  # noqa: E402


def connect():
    """A client through the stand-in."""
    c = carla.Client("127.0.0.1", SERVER + 100)
    c.set_timeout(20.0)
    return c


c = connect()
world = c.get_world()
library, command, T, L = world.get_blueprint_library(), carla.command, carla.Transform, carla.Location
at = world.get_map().get_spawn_points()[0]
car = library.find("vehicle.tesla.model3")
camera = library.find("sensor.camera.rgb")
for key in ("image_size_x", "image_size_y"):
    camera.set_attribute(key, "16")


def meet():
    d = connect()
    w = d.get_world()
    d.get_available_maps()
    w.get_spectator(), w.get_weather(), w.get_blueprint_library(), w.get_map().name


def synchronous():
    s = world.get_settings()
    s.synchronous_mode, s.fixed_delta_seconds = True, 0.05
    world.apply_settings(s)


def drive():
    ego = world.spawn_actor(car, at)
    eye = world.spawn_actor(camera, T(L(1.5, 0, 2.4)), attach_to=ego)
    world.spawn_actor(library.find("sensor.other.imu"), T(), attach_to=ego)
    world.spawn_actor(library.find("sensor.other.collision"), T(), attach_to=ego)
    ego.apply_control(carla.VehicleControl(throttle=0.5, steer=-0.1))
    world.tick()
    ego.apply_ackermann_control(carla.VehicleAckermannControl(steer=0.1, speed=5.0))
    world.tick()
    ego.set_target_velocity(carla.Vector3D(3, 1, 0))
    ego.set_transform(at)
    ego.set_location(at.location)
    ego.set_simulate_physics(True)
    ego.get_physics_control(), ego.set_light_state(carla.VehicleLightState.Brake)
    world.set_weather(carla.WeatherParameters.HardRainNoon)
    world.get_actors([ego.id, eye.id, 99])
    world.tick()
    eye.destroy()
    ego.destroy()


def batch():
    made = [command.SpawnActor(car, at).then(command.SetAutopilot(command.FutureActor, False))]
    ids = [r.actor_id for r in c.apply_batch_sync(made, True)]
    c.apply_batch_sync([f(i) for i in ids for f in (
        lambda i: command.ApplyVehicleControl(i, carla.VehicleControl(brake=1.0)),
        lambda i: command.ApplyTransform(i, at),
        lambda i: command.ApplyTargetVelocity(i, carla.Vector3D(1, 0, 0)),
        lambda i: command.SetSimulatePhysics(i, False),
        command.DestroyActor)], True)


for name, action in (("-", lambda: None), ("meet", meet), ("synchronous", synchronous), ("drive", drive),
                     ("batch", batch)):
    action()
    print(name, flush=True)
    input()
os._exit(0)
