"""Our wire in Python: the golden bytes that Rust reads and writes, and garbage."""

import json
import struct

import pytest
from conftest import ROOT

from caril_carla_bridge import wire

GOLDEN = ROOT / "tests/golden/wire"


def golden(name):
    return (GOLDEN / f"{name}.bin").read_bytes(), json.loads((GOLDEN / f"{name}.json").read_text())


def test_a_frame_is_the_golden_bytes():
    data, want = golden("frame")
    e = want["ego"]
    pose = tuple(e["pose"][k] for k in ("x_m", "y_m", "z_m", "yaw_rad", "pitch_rad", "roll_rad"))
    frame = wire.Frame(
        want["id"], want["sim_time_ns"],
        wire.Ego(pose, e["speed_mps"], e["accel_mps2"], e["yaw_rate_radps"]),
        bytes(want["pixels"]), want["width"], want["height"], 2, want["advisory_speed_mps"],
        wire.Truth(**want["truth"]))
    assert want["nav"] == "right"
    assert wire.frame_message(want["session"], frame) == data


def test_an_end_is_the_golden_bytes():
    data, want = golden("end")
    assert wire.end_message(want["session"], wire.GOAL, wire.Truth(**want["truth"])) == data


def test_a_command_and_a_hello_are_read():
    data, want = golden("command")
    kind, session, body = wire.read(data)
    got = wire.read_command(body)
    assert (kind, session) == (wire.COMMANDS, want["session"])
    assert (got.frame_id, got.steer, got.throttle, got.brake) == (
        want["frame_id"], want["steer"], want["throttle"], want["brake"])
    kind, _, body = wire.read(golden("hello")[0])
    assert kind == wire.HELLO and wire.read_hello(body) == golden("hello")[1]["body"]


@pytest.mark.parametrize("data", [
    b"", b"CARL", b"XXXX" + bytes(12), wire.message(wire.BYE, 1) + b"x",
    wire.HEADER.pack(b"CARL", 1, 1, 0, 0, 0xFFFFFFFF),
])
def test_garbage_is_no_message(data):
    with pytest.raises(wire.WireError):
        wire.read(data)


def test_json_that_is_none_and_deep_nesting_are_refused():
    for body in (b"", b"[]", b"\xff", b"[" * 60_000):
        with pytest.raises(wire.WireError):
            wire.read_hello(body)


def test_nan_and_numbers_out_of_range_are_no_command():
    for steer, throttle, brake in ((float("nan"), 0, 0), (0, 1.1, 0), (0, 0, -0.1), (-2, 0, 0)):
        body = struct.pack("<Q3fB3x", 1, steer, throttle, brake, 0)
        assert not wire.read_command(body).is_valid()
