"""Servers, bridges and controllers of the tests. `--caril PATH` names the program."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--size", "32x32"]


def pytest_addoption(parser):
    parser.addoption("--caril", default=str(ROOT / "target/release/caril"))


@pytest.fixture(scope="session")
def caril(request):
    path = request.config.getoption("--caril")
    assert os.access(path, os.X_OK), f"no program {path}: cargo build --release, or --caril PATH"
    return path


class Process:
    """A child whose stderr is kept in a file and can be waited for."""

    def __init__(self, command, **more):
        self.log = tempfile.NamedTemporaryFile("w+", suffix=".log")
        # A group of its own, so that a test's end reaches children of children.
        self.child = subprocess.Popen(
            command, stderr=self.log, stdout=subprocess.PIPE, text=True, preexec_fn=os.setpgrp, **more)

    def text(self):
        return Path(self.log.name).read_text(encoding="utf-8")

    def wait_for(self, pattern, seconds=60.0):
        """The match of a pattern in stderr."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = re.search(pattern, self.text())
            if found:
                return found
            if self.child.poll() is not None:
                found = re.search(pattern, self.text())
                assert found, f"ended with {self.child.returncode}:\n{self.text()}"
                return found
            time.sleep(0.02)
        raise AssertionError(f"no {pattern!r} in:\n{self.text()}")

    def finish(self, seconds=90.0):
        """(exit code, stdout)."""
        out, _ = self.child.communicate(timeout=seconds)
        return self.child.returncode, out

    def kill(self):
        for number in (signal.SIGCONT, signal.SIGKILL):
            try:
                os.killpg(self.child.pid, number)
            except ProcessLookupError:
                pass
        self.child.wait()
        self.child.stdout.close()


@pytest.fixture(autouse=True)
def no_controller_stays():
    """A ZeroMQ context that a failed test left would block for ever when it is collected."""
    from controller import Controller
    yield
    while Controller.open:
        Controller.open.pop().close(bye=False)


@pytest.fixture
def start():
    """Starts processes that the test's end kills."""
    running = []

    def begin(command, **more):
        running.append(Process(command, **more))
        return running[-1]

    yield begin
    for p in reversed(running):
        p.kill()


@pytest.fixture
def serve(start, caril):
    """`serve(map="town_blocks", fault=[…])` → (port, process)."""

    def begin(map="town_blocks", fault=(), port=0):
        faults = [a for f in fault for a in ("--fault", f)]
        p = start([caril, "carla-server", "--port", str(port), "--map", map, *faults])
        found = p.wait_for(r"at 127\.0\.0\.1:(\d+) and")
        return int(found[1]), p

    return begin


@pytest.fixture
def bridge(start, caril):
    """`bridge(port, *options)` → process; its endpoint is in `endpoint`."""

    def begin(port, *options, wait=True):
        endpoint = f"ipc://{tempfile.mkdtemp(prefix='cb')}/p"
        p = start([sys.executable, "-m", "caril_carla_bridge", "--port", str(port), "--endpoint",
                   endpoint, "--caril", caril, *SMALL, "--json", *options])
        p.endpoint = endpoint
        if wait:
            p.wait_for(r"plant at ")
        return p

    return begin


@pytest.fixture
def client(serve):
    """(client, world) of a fresh server."""
    import carla

    port, _ = serve()
    c = carla.Client("127.0.0.1", port)
    c.set_timeout(20.0)
    return c, c.get_world()


def look(port):
    """(role names of all vehicles and sensors, settings) as another client sees them."""
    script = (
        "import carla, sys, time, json, os\n"
        f"c = carla.Client('127.0.0.1', {port}); c.set_timeout(10)\n"
        "w = c.get_world(); s = w.get_settings()\n"
        "if s.synchronous_mode: w.tick()\n"
        "else: w.wait_for_tick()\n"
        "r = [a.attributes.get('role_name') for a in w.get_actors() if a.type_id != 'spectator']\n"
        "v = [a.get_velocity().length() for a in w.get_actors().filter('vehicle.*')]\n"
        "print(json.dumps([r, s.synchronous_mode, v])); sys.stdout.flush(); os._exit(0)\n")
    import json
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert out.returncode == 0, out.stderr
    return json.loads(out.stdout)
