"""A controller for tests: follows the expert's labels that every frame carries."""

import json
import struct
import sys

import zmq

from caril_carla_bridge import wire


class Controller:
    """Connects, says Hello, and answers frames."""

    open = []

    def __init__(self, endpoint, camera=None, seconds=30.0):
        self.context = zmq.Context()
        Controller.open.append(self)
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 200
        self.socket.connect(endpoint)
        self.seconds, self.session = seconds, 0
        self.ids, self.end, self.truth = [], None, None
        hello = {"program_version": "1", "controller": "tests", "camera": camera}
        self.send(wire.HELLO, json.dumps(hello).encode())
        kind, body = self.receive()
        if kind == wire.REFUSE:
            self.close(bye=False)
            raise RuntimeError(json.loads(body)["reason"])
        welcome = json.loads(body)
        self.session, self.plant = welcome["session"], welcome["plant"]

    def send(self, kind, body=b""):
        self.socket.send(wire.message(kind, self.session, body))

    def receive(self):
        """(kind, body) of the next message that is no ping."""
        while True:
            if not self.socket.poll(int(self.seconds * 1000)):
                raise TimeoutError("the plant is silent")
            data = self.socket.recv()
            _, _, kind, _, _, _ = wire.HEADER.unpack_from(data)
            if kind != wire.PING:
                return kind, data[wire.HEADER.size:]

    def start(self):
        self.send(wire.START)

    def frame(self):
        """The next frame as a dict, or None at the end."""
        kind, body = self.receive()
        if kind == wire.END_KIND:
            self.end, self.truth = body[0], wire.TRUTH.unpack_from(body, wire.END.size)
            return None
        if kind == wire.BYE:
            return None
        v = wire.FRAME.unpack_from(body)
        t = wire.TRUTH.unpack_from(body, wire.FRAME.size)
        self.ids.append(v[0])
        self.truth = t
        return {"id": v[0], "x": v[2], "y": v[3], "speed": v[8], "advisory": v[11], "nav": v[12],
                "pixels": body[144:], "steer": t[0], "target": t[1], "completion": t[6]}

    def command(self, frame, steer=None, throttle=None, brake=None):
        want = frame["target"] - frame["speed"]
        steer = frame["steer"] if steer is None else steer
        throttle = min(max(0.3 * want + 0.05, 0.0), 1.0) if throttle is None else throttle
        brake = min(max(-0.2 * want, 0.0), 1.0) if brake is None else brake
        self.send(wire.COMMANDS, struct.pack("<Q3fB3x", frame["id"], steer, throttle, brake, 0))

    def drive(self, frames=100_000):
        """Answers frames until the end, or so many."""
        self.start()
        for _ in range(frames):
            f = self.frame()
            if f is None:
                break
            self.command(f)
        return self

    def close(self, bye=True):
        if self in Controller.open:
            Controller.open.remove(self)
        if self.socket.closed:
            return
        if bye:
            self.send(wire.BYE)
        self.socket.close()
        self.context.term()


if __name__ == "__main__":
    c = Controller(sys.argv[1]).drive()
    print(len(c.ids), c.end, c.truth)
    c.close()
