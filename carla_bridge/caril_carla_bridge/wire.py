"""caril's wire as docs/wire.md describes it: bytes in, bytes out, no sockets."""

import json
import math
import struct
from dataclasses import dataclass, field

VERSION = 1
HEADER = struct.Struct("<4sHBBII")
FRAME = struct.Struct("<QQ6d4fBB2xII4x")
TRUTH = struct.Struct("<8f2I")
COMMAND = struct.Struct("<Q3fB3x")
END = struct.Struct("<B3x")
HELLO, WELCOME, REFUSE, START, FRAMES, COMMANDS, END_KIND, BYE, PING = range(1, 10)
HAS_TRUTH = 1
HANDSHAKE_MAX = 64 * 1024
BGRA = 0

# Why an episode ended.
GOAL, COLLISIONS, BLOCKED, LEFT_ROUTE, TIMEOUT, FRAME_LIMIT, STOPPED = range(1, 8)
END_NAMES = {
    GOAL: "goal reached", COLLISIONS: "collisions", BLOCKED: "blocked", LEFT_ROUTE: "left the route",
    TIMEOUT: "timeout", FRAME_LIMIT: "frame limit", STOPPED: "stopped",
}


class WireError(Exception):
    """A message that is none; `version` is set where only the version differs."""

    def __init__(self, text, version=None):
        super().__init__(text)
        self.version = version


@dataclass
class Truth:
    """What only the plant can know; units as in docs/wire.md."""

    expert_steer: float = 0.0
    expert_speed_mps: float = 0.0
    lane_deviation_m: float = 0.0
    heading_error_rad: float = 0.0
    curvature_1pm: float = 0.0
    route_length_m: float = 0.0
    route_completion: float = 0.0
    off_road_m: float = 0.0
    collisions: int = 0
    lane_invasions: int = 0

    def pack(self):
        return TRUTH.pack(
            self.expert_steer, self.expert_speed_mps, self.lane_deviation_m,
            self.heading_error_rad, self.curvature_1pm, self.route_length_m,
            self.route_completion, self.off_road_m, self.collisions, self.lane_invasions,
        )


@dataclass
class Ego:
    """Pose (x, y, z in m, yaw, pitch, roll in rad), and what the vehicle's sensors say."""

    pose: tuple = (0.0,) * 6
    speed_mps: float = 0.0
    accel_mps2: float = 0.0
    yaw_rate_radps: float = 0.0


@dataclass
class Frame:
    """One frame; `pixels` are BGRA rows from the top."""

    id: int
    time_ns: int
    ego: Ego
    pixels: bytes
    width: int
    height: int
    nav: int = 0
    advisory_speed_mps: float = math.nan
    truth: Truth = field(default_factory=Truth)


@dataclass
class Command:
    """The answer to a frame."""

    frame_id: int
    steer: float
    throttle: float
    brake: float
    mode: int

    def is_valid(self):
        """NaN and numbers out of range are no command."""
        return -1 <= self.steer <= 1 and 0 <= self.throttle <= 1 and 0 <= self.brake <= 1


def message(kind, session, body=b"", flags=0):
    """A whole message."""
    return HEADER.pack(b"CARL", VERSION, kind, flags, session, len(body)) + body


def frame_message(session, f):
    """A Frame."""
    head = FRAME.pack(
        f.id, f.time_ns, *f.ego.pose, f.ego.speed_mps, f.ego.accel_mps2, f.ego.yaw_rate_radps,
        f.advisory_speed_mps, f.nav, BGRA, f.width, f.height,
    )
    body = b"".join((head, f.truth.pack(), bytes(8), f.pixels))
    return message(FRAMES, session, body, HAS_TRUTH)


def end_message(session, reason, truth):
    """An End."""
    return message(END_KIND, session, END.pack(reason) + truth.pack(), HAS_TRUTH)


def json_message(kind, session, value):
    """A Welcome or Refuse."""
    return message(kind, session, json.dumps(value).encode())


def read(data):
    """(kind, session, body) of a message.

    Raises WireError if it is none, or one of another version.
    """
    if len(data) < HEADER.size:
        raise WireError("shorter than a header")
    magic, version, kind, _flags, session, length = HEADER.unpack_from(data)
    if magic != b"CARL":
        raise WireError("no message of this wire")
    if version != VERSION:
        raise WireError(f"version {version}, not {VERSION}", version)
    if length != len(data) - HEADER.size or length > HANDSHAKE_MAX:
        raise WireError("wrong length")
    return kind, session, data[HEADER.size:]


def read_command(body):
    """A Command's body."""
    if len(body) != COMMAND.size:
        raise WireError("wrong length of a command")
    return Command(*COMMAND.unpack(body))


def read_hello(body):
    """A Hello's JSON object."""
    try:
        hello = json.loads(body)
    except (ValueError, RecursionError) as e:
        raise WireError(f"no JSON: {e}") from None
    if not isinstance(hello, dict):
        raise WireError("no JSON object")
    return hello
