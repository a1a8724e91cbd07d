"""The secured link: the bridge's Noise against the Rust end's, and whoever lacks the key."""

import json
import os
import subprocess
import threading

import pytest
import zmq
from test_plant import CAMERA, INFO

from caril_carla_bridge import secure, wire
from caril_carla_bridge.plant import Plant

SIDE = 448
BIG = dict(CAMERA, width=SIDE, height=SIDE)


@pytest.fixture
def keys(caril, tmp_path):
    """Paths of two key pairs made by the program."""
    def new(name):
        path = tmp_path / f"{name}.key"
        subprocess.run([caril, "keys", "new", path], check=True, capture_output=True)
        return path
    return new("plant"), new("car")


def pub(path):
    return f"{path}.pub"


def ring(own, peer):
    return secure.read_secret(own), secure.read_peers(pub(peer))


def drive(caril, plant, frames, *options):
    """Runs `caril drive` against a plant that this thread plays; the finished process."""
    command = [caril, "drive", "--plant", plant.endpoint, "--record", "none", "--no-report", "--json",
               *map(str, options)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said = []
    reader = threading.Thread(target=lambda: said.extend(child.communicate()))
    reader.start()
    gone = lambda: child.poll() is not None
    if plant.wait(60, gone):
        for n in range(1, frames + 1):
            picture = bytes([n % 200 + 20]) * (4 * SIDE * SIDE)
            ego = wire.Ego()
            assert plant.send_frame(wire.Frame(n, n * 50_000_000, ego, picture, SIDE, SIDE))
            assert plant.command(n, 30, gone).is_valid()
        plant.send_end(6, wire.Truth())
    reader.join()
    return child.returncode, *said


def test_the_program_drives_over_a_secured_link(caril, keys):
    plant = Plant("tcp://127.0.0.1:*", dict(INFO, camera=BIG), ring(keys[0], keys[1]))
    try:
        code, out, err = drive(caril, plant, 5, "--key", keys[1], "--peers", pub(keys[0]))
        assert json.loads(out)["frames"] == 5, err
    finally:
        plant.close()


def test_without_the_key_nothing_gets_in_or_out(caril, keys, tmp_path):
    plant = Plant("tcp://127.0.0.1:*", dict(INFO, camera=BIG), ring(keys[0], keys[1]))
    try:
        code, _, err = drive(caril, plant, 5)
        assert code == 1 and plant.sessions == 0, err
        # The plant's own key is none of those that it allows.
        code, _, err = drive(caril, plant, 5, "--key", keys[0], "--peers", pub(keys[0]))
        assert code == 1 and "does not answer our key" in err and plant.sessions == 0
        stranger = zmq.Context.instance().socket(zmq.DEALER)
        stranger.linger = 0
        stranger.connect(plant.endpoint)
        for garbage in (b"", b"CARL", b"CARS" + bytes(124), os.urandom(128), bytes(60_000)):
            stranger.send(garbage)
        for _ in range(10):
            plant.any_command(0.05)
        assert not stranger.poll(100) and plant._guard.strangers >= 5
        stranger.close()
    finally:
        plant.close()


def test_key_files_are_checked(keys, tmp_path):
    os.chmod(keys[0], 0o640)
    with pytest.raises(secure.KeyFileError, match="640"):
        secure.read_secret(keys[0])
    with pytest.raises(secure.KeyFileError):
        secure.read_secret(pub(keys[1]))
    nobody = tmp_path / "nobody"
    nobody.write_text("# none\n")
    with pytest.raises(secure.KeyFileError):
        secure.read_peers(nobody)


def test_what_leaves_the_machine():
    for here in ("ipc:///tmp/x", "tcp://127.0.0.1:1", "tcp://localhost:1", "tcp://[::1]:1"):
        assert secure.stays_here(here)
    for out in ("tcp://0.0.0.0:1", "tcp://*:1", "tcp://board:1"):
        assert not secure.stays_here(out)
