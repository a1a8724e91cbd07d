"""The plant's end over ZeroMQ, without CARLA."""

import tempfile
import threading

import pytest
from controller import Controller

from caril_carla_bridge import wire
from caril_carla_bridge.plant import LATE, LEFT, Plant, same_camera

CAMERA = {"width": 2, "height": 1, "fov_deg": 110.0, "order": "bgra",
          "mount": {"x_m": 1.5, "y_m": 0.0, "z_m": 2.4, "pitch_deg": 0.0, "yaw_deg": 0.0}}
INFO = {"name": "t", "map": "m", "weather": "w", "camera": CAMERA, "rate_hz": 20.0,
        "pacing": "lockstep", "route": []}


def never():
    return False


@pytest.fixture
def plant():
    p = Plant(f"ipc://{tempfile.mkdtemp(prefix='cp')}/p", INFO)
    yield p
    p.close()


def meet(plant, **more):
    """A controller that has said Hello; the plant listens meanwhile."""
    made = []
    def hello():
        try:
            made.append(Controller(plant.endpoint, **more))
        except RuntimeError as e:
            made.append(e)
    t = threading.Thread(target=hello)
    t.start()
    while t.is_alive():
        plant.any_command(0.02)
    return made[0]


def frame(n):
    return wire.Frame(n, n * 50_000_000, wire.Ego(), bytes(8), 2, 1)


def test_a_session(plant):
    c = meet(plant, camera=CAMERA)
    assert c.plant["camera"] == CAMERA and not plant.started
    c.start()
    assert plant.wait(5, never)
    assert plant.send_frame(frame(1))
    c.command(c.frame(), steer=0.25)
    got = plant.command(1, 5, never)
    assert got.steer == 0.25 and got.is_valid()
    assert plant.send_frame(frame(2))
    assert plant.command(2, 0.05, never) == LATE
    c.command(c.frame())
    assert plant.command(3, 0.2, never) == LATE, "the answer to an earlier frame is none"
    plant.send_end(wire.GOAL, wire.Truth())
    assert c.frame() is None and c.end == wire.GOAL
    c.close()


def test_others_are_told_no(plant):
    c = meet(plant)
    assert "camera" in str(meet(plant, camera=dict(CAMERA, width=99)))
    assert "drives" in str(meet(plant))
    c.close()
    plant.any_command(0.5)
    d = meet(plant)
    assert d.session == 2, "the place is free again"
    d.start()
    assert plant.wait(5, never)
    d.close(bye=True)
    assert plant.command(1, 5, never) == LEFT


def test_garbage_is_counted_and_the_plant_lives(plant):
    c = meet(plant)
    for data in (b"", b"x", b"CARL" + bytes(12), wire.message(wire.HELLO, 0, b"[" * 1000)):
        c.socket.send(data)
    c.socket.send_multipart([b"a", b"b"])
    for _ in range(10):
        plant.any_command(0.05)
    assert plant.malformed >= 4
    c.start()
    assert plant.wait(5, never)
    c.close()


def test_cameras_are_compared_to_a_floats_precision():
    near = dict(CAMERA, fov_deg=110.00001)
    assert same_camera(CAMERA, near) and not same_camera(CAMERA, dict(CAMERA, fov_deg=90.0))
    for strange in (10**400, -(10**400), float("nan"), float("inf"), None, "110", [110]):
        assert not same_camera(CAMERA, dict(CAMERA, fov_deg=strange))
    assert not same_camera(CAMERA, {}) and not same_camera(CAMERA, "bgra")
