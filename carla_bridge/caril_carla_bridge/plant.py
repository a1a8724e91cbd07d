"""The plant's end of the wire: a ZeroMQ ROUTER, one controller at a time, one frame on its way."""

import time

import zmq

from caril_carla_bridge import secure, wire

LATE = "late"
LEFT = "left"


class Plant:
    """Bound at an endpoint. `info` is the `plant` object of the Welcome; `keys` is the own secret
    key and the allowed controllers' public keys, or None where the endpoint stays on the machine."""

    def __init__(self, endpoint, info, keys=None):
        self._guard = None if keys is None else secure.Guard(*keys)
        self.info = info
        self.route = None       # routing id of the controller
        self.session = 0
        self.sessions = 0
        self.started = False
        self.refused = 0
        self.malformed = 0
        self._last_ping = 0.0
        self._context = zmq.Context()
        self._socket = s = self._context.socket(zmq.ROUTER)
        s.maxmsgsize = wire.HEADER.size + wire.HANDSHAKE_MAX + 64
        s.sndhwm, s.rcvhwm, s.linger = 4, 16, 200
        s.router_mandatory = 1
        # Not ZeroMQ's heartbeat: see docs/wire.md.
        s.tcp_keepalive, s.tcp_keepalive_idle, s.tcp_keepalive_intvl, s.tcp_keepalive_cnt = 1, 1, 1, 3
        s.bind(endpoint)
        self.endpoint = s.last_endpoint.decode().rstrip("\0")

    def close(self):
        """Says Bye and leaves."""
        if self.route is not None:
            self._send(self.route, wire.message(wire.BYE, self.session))
            self.route = None
        self._socket.close()
        self._context.term()

    def _send(self, route, data):
        """Whether the message went out; a controller that is gone is forgotten."""
        if self._guard is not None:
            data = self._guard.seal(route, data)
            if data is None:
                return False
        return self._put(route, data)

    def _put(self, route, data):
        try:
            self._socket.send_multipart([route, data], zmq.NOBLOCK)
            return True
        except zmq.Again:
            return False
        except zmq.ZMQError:
            if route == self.route:
                self.route, self.started = None, False
            return False

    def wait(self, seconds, stop):
        """Whether a controller has said Start, waiting for at most so long."""
        end = time.monotonic() + seconds
        while not self.started and not stop():
            left = end - time.monotonic()
            if left <= 0:
                return False
            self.look()
            self._receive(min(left, 0.05))
        return self.started

    def look(self):
        """Pings an idle controller, so that one that died is noticed."""
        if self.route is not None and time.monotonic() - self._last_ping > 1.0:
            self._last_ping = time.monotonic()
            self._send(self.route, wire.message(wire.PING, self.session))

    def send_frame(self, frame):
        """Whether a frame went out."""
        return self.started and self._send(self.route, wire.frame_message(self.session, frame))

    def send_end(self, reason, truth):
        """Tells the controller that the episode is over; it then leaves."""
        if self.route is not None:
            self._send(self.route, wire.end_message(self.session, reason, truth))
        self.route, self.started = None, False

    def command(self, frame_id, seconds, stop):
        """The command of this frame, `LATE` if none came in time, `LEFT` if the controller went.
        An answer to an earlier frame is thrown away."""
        end = time.monotonic() + seconds
        while self.started and not stop():
            left = end - time.monotonic()
            if left <= 0:
                return LATE
            got = self._receive(min(left, 0.05))
            if got is not None and got.frame_id == frame_id:
                return got
        return LEFT

    def any_command(self, seconds):
        """Whether the controller said anything at all."""
        return self._receive(seconds) is not None

    def _receive(self, seconds):
        if not self._socket.poll(int(seconds * 1000)):
            return None
        parts = self._socket.recv_multipart()
        if len(parts) != 2:
            self.malformed += 1
            return None
        route, data = parts
        if self._guard is not None:
            data, answer = self._guard.hear(route, self.route, data)
            if answer is not None:
                self._put(route, answer)
            if data is None:
                return None
        try:
            kind, session, body = wire.read(data)
            if kind == wire.HELLO:
                self._meet(route, wire.read_hello(body))
            elif route == self.route and session == self.session:
                if kind == wire.START:
                    self.started = True
                elif kind == wire.BYE:
                    self.route, self.started = None, False
                elif kind == wire.COMMANDS:
                    return wire.read_command(body)
                else:
                    self.malformed += 1
        except wire.WireError as e:
            self.malformed += 1
            if e.version is not None:
                self._refuse(route, "version", f"the plant speaks version {wire.VERSION}")
        return None

    def _refuse(self, route, code, reason):
        self.refused += 1
        body = {"code": code, "reason": reason, "wire_version": wire.VERSION}
        self._send(route, wire.json_message(wire.REFUSE, 0, body))

    def _meet(self, route, hello):
        wanted = hello.get("camera")
        if wanted is not None and not same_camera(wanted, self.info["camera"]):
            return self._refuse(route, "camera", f"the camera is {self.info['camera']}, not {wanted}")
        if self.route is not None and route != self.route:
            # One that died without Bye does not keep the place.
            self._send(self.route, wire.message(wire.PING, self.session))
            if self.route is not None:
                return self._refuse(route, "busy", "another controller drives")
        self.route, self.started = route, False
        self.sessions += 1
        self.session = self.sessions
        body = {"program_version": "0.1.0", "session": self.session, "plant": self.info}
        return self._send(route, wire.json_message(wire.WELCOME, self.session, body))


def same_camera(a, b):
    """Whether two camera objects of the wire mean the same camera, to a float's precision."""
    if not isinstance(a, dict) or not isinstance(b, dict):
        return a == b
    def equal(x, y):
        if isinstance(x, dict):
            return isinstance(y, dict) and same_camera(x, y)
        if isinstance(x, (int, float)) and isinstance(y, (int, float)):
            # A whole number of a stranger's may be too long for a float.
            return max(abs(x), abs(y)) < 1e9 and abs(x - y) < 1e-4
        return x == y
    return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
