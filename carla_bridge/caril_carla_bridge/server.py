"""The CARLA server: meeting it, its clock, its settings, and leaving it as it was."""

import os
import queue
import socket
import time

import carla

# The child's exit code for "the server is gone, try again".
EXIT_AGAIN = 75


class Fatal(Exception):
    """Nothing to be tried again; `code` is the exit code."""

    def __init__(self, text, code=1):
        super().__init__(text)
        self.code = code


class ServerGone(Exception):
    """The server does not answer. The process is of no use any more: its client never recovers."""


class Stopped(Exception):
    """A stop was asked."""


def answers(host, port, seconds=1.0):
    """Whether anybody accepts connections there."""
    try:
        socket.create_connection((host, port), seconds).close()
        return True
    except OSError:
        return False


def connect(host, port, seconds, stop, say):
    """A client of a server whose version is the client's own.

    A Client whose first connection failed stays dead for ever, so none is made before the port
    answers. Raises Fatal for another version, ServerGone when the time is over.
    """
    end, said = time.monotonic() + seconds, False
    while not stop():
        if answers(host, port):
            client = carla.Client(host, port)
            client.set_timeout(5.0)
            try:
                server = client.get_server_version()
            except RuntimeError as e:
                say(f"{host}:{port} accepts connections but does not answer: {e}")
                raise ServerGone(str(e)) from None
            mine = client.get_client_version()
            if server != mine:
                raise Fatal(
                    f"the server at {host}:{port} is CARLA {server}, this client is {mine}: "
                    "their messages differ, nothing was changed there"
                )
            return client
        if not said:
            say(f"waiting for a CARLA server at {host}:{port}")
            said = True
        if time.monotonic() > end:
            raise ServerGone(f"no CARLA server at {host}:{port} within {seconds:.0f} s")
        time.sleep(0.25)
    raise Stopped


def is_ticked(world, seconds=1.0):
    """Whether somebody else ticks a synchronous world."""
    seen = []
    handle = world.on_tick(lambda s: seen.append(s.frame))
    time.sleep(seconds)
    world.remove_on_tick(handle)
    return len(set(seen)) > 1


class Clock:
    """Ticks a synchronous world, and notices who else does.

    A tick that timed out may still be carried out late, so it is never repeated blindly: the
    frame that the world has then decides. While the library ticks, the file `sign` is there: it can
    wait for ever in a tick (its Traffic Manager loses a wake-up), and then only the parent can help.
    """

    PATIENCE = 6  # calls without an answer before the server counts as gone
    LATE_S = 2.0  # how long the state of a late tick may take once the server answers

    def __init__(self, client, world, timeout_s, stop, say, sign=None):
        self.client, self.world, self.timeout_s = client, world, timeout_s
        self.sign = sign
        self.stop, self.say = stop, say
        self.frame = None
        self.foreign = self.late = 0
        client.set_timeout(timeout_s)

    def tick(self):
        """Number of the new frame. Raises ServerGone after six calls without an answer."""
        unanswered = 0
        while unanswered < self.PATIENCE:
            try:
                return self._arrived(self._tick())
            except RuntimeError as e:
                unanswered, self.late = unanswered + 1, self.late + 1
                self.say(f"tick: {e}")
            # Ticking again before it answers would tick twice: the first one may only be waiting.
            while unanswered < self.PATIENCE and not self._is_back():
                unanswered += 1
            if unanswered < self.PATIENCE and (now := self._later()) is not None:
                self.say(f"the late tick was carried out: going on with frame {now}")
                return self._arrived(now)
        raise ServerGone(f"{unanswered} calls without an answer")

    def _tick(self):
        if self.sign is None:
            return self.world.tick(self.timeout_s)
        open(self.sign, "w", encoding="utf-8").close()
        try:
            return self.world.tick(self.timeout_s)
        finally:
            os.unlink(self.sign)

    def snapshot(self):
        """The state of the frame that was ticked last."""
        snapshot = self.world.get_snapshot()
        deadline = time.monotonic() + 2.0
        while snapshot.frame < self.frame and time.monotonic() < deadline:
            time.sleep(0.001)
            snapshot = self.world.get_snapshot()
        return snapshot

    def _is_back(self):
        try:
            self.client.get_server_version()
            return True
        except RuntimeError:
            return False

    def _later(self):
        """The frame after a late tick; None where it was never carried out. States come over another
        connection than answers, and a busy machine takes its time."""
        deadline = time.monotonic() + self.LATE_S
        while time.monotonic() < deadline:
            now = self.world.get_snapshot().frame
            if self.frame is not None and now > self.frame:
                return now
            time.sleep(0.01)
        return None

    def _arrived(self, frame):
        if self.frame is not None and frame > self.frame + 1:
            if self.foreign == 0:
                self.say(f"somebody else ticks this world: frame {self.frame} was followed by {frame}")
            self.foreign += frame - self.frame - 1
        self.frame = frame
        return frame


class Follower:
    """Follows the ticks of another client. The callback only enqueues."""

    def __init__(self, world, timeout_s, say):
        self.timeout_s, self.say = timeout_s, say
        self.frame, self.foreign, self.late = None, 0, 0
        self._seen = None
        self._frames = queue.Queue(1024)
        self._handle = world.on_tick(self._on_tick)
        self._world = world

    def _on_tick(self, snapshot):
        try:
            self._frames.put_nowait(snapshot)
        except queue.Full:
            pass

    def tick(self):
        """The newest frame, waiting for one that was not seen before."""
        try:
            seen = self._frames.get(timeout=3 * self.timeout_s)
            while not self._frames.empty():
                seen = self._frames.get_nowait()
        except queue.Empty:
            raise ServerGone(f"nobody ticked for {3 * self.timeout_s:.0f} s") from None
        self._seen, self.frame = seen, seen.frame
        return self.frame

    def snapshot(self):
        """The state of the frame that was returned last."""
        return self._seen

    def close(self):
        """Stops listening."""
        self._world.remove_on_tick(self._handle)


def take_over(world, rate_hz, say):
    """Sets synchronous mode with a fixed step and returns the settings that were there."""
    saved = world.get_settings()
    if saved.synchronous_mode:
        if is_ticked(world):
            raise Fatal("another client ticks this world: stop it, or use --follow")
        say("the world was left synchronous and nobody ticks it: taken over")
    ours = world.get_settings()
    ours.synchronous_mode = True
    ours.fixed_delta_seconds = 1.0 / rate_hz
    ours.substepping, ours.max_substep_delta_time, ours.max_substeps = True, 0.01, 10
    if ours.fixed_delta_seconds > 0.1:
        ours.max_substeps = 16
    world.apply_settings(ours)
    return saved


def give_back(world, saved, owned_before):
    """Restores the settings. A world that we found synchronous without a ticker becomes
    asynchronous, or it would stand still for everybody."""
    if not owned_before:
        saved.synchronous_mode = False
        saved.fixed_delta_seconds = None
    world.apply_settings(saved)
