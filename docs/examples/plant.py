"""A caril plant in lockstep: a car on a straight line. python3 plant.py [ENDPOINT [FRAMES]]"""
import json, struct, sys, zmq
HEADER = struct.Struct("<4sHBBII")        # magic, version, kind, flags, session, body length
FRAME = struct.Struct("<QQ6d4fBBHIII48s")  # id, ns, pose, ego, nav, order, size, no truth; pixels
COMMAND = struct.Struct("<Q3fB3x")        # frame id, steer, throttle, brake, mode
HELLO, WELCOME, REFUSE, START, FRAMES, COMMANDS, END, BYE = range(1, 9)
PLANT = {"name": "plant.py", "map": "line", "weather": "none", "rate_hz": 20, "route": [],
         "pacing": "lockstep", "camera": {"width": 64, "height": 48, "fov_deg": 110, "order": "bgra",
         "mount": {"x_m": 1.5, "y_m": 0, "z_m": 2.4, "pitch_deg": 0, "yaw_deg": 0}}}
sock = zmq.Context().socket(zmq.ROUTER)
sock.maxmsgsize, sock.linger = 1 << 17, 500
sock.bind(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5557")
print("plant at", sock.last_endpoint.decode().rstrip("\0"), flush=True)
last_tick = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
driver, session, tick, x, speed = None, 0, 0, 0.0, 0.0
def send(to, kind, body):
    sock.send_multipart([to, HEADER.pack(b"CARL", 1, kind, 0, session, len(body)) + body])
def send_frame():
    pixels = bytes([tick % 256]) * (64 * 48 * 4)  # your camera's picture
    send(driver, FRAMES, FRAME.pack(tick, tick * 50_000_000, x, 0, 0, 0, 0, 0, speed, 0, 0,
                                    float("nan"), 0, 0, 0, 64, 48, 0, bytes(48)) + pixels)
while tick < last_tick:
    if not sock.poll(2000):               # commands stopped: brake by ourselves
        speed = max(0.0, speed - 8.0)
        continue
    who, data = sock.recv_multipart()[:2]
    magic, version, kind, _, number, length = HEADER.unpack(data[:16].ljust(16, b"\0"))
    if (magic, version, length) == (b"CARL", 1, len(data) - 16) and kind == HELLO and not driver:
        driver, session = who, session + 1
        send(who, WELCOME, json.dumps({"program_version": "1", "session": session, "plant": PLANT}).encode())
    elif who != driver:
        send(who, REFUSE, b'{"code": "busy", "reason": "busy, or not version 1", "wire_version": 1}')
    elif kind == BYE: driver = None
    elif kind == START: send_frame()
    elif kind == COMMANDS and length == COMMAND.size and COMMAND.unpack(data[16:])[0] == tick:
        _, steer, throttle, brake, mode = COMMAND.unpack(data[16:])
        speed, tick = min(15.0, max(0.0, speed + 0.15 * throttle - 0.4 * brake)), tick + 1
        x += speed / 20
        send_frame() if tick < last_tick else send(driver, END, bytes([6]) + bytes(43))
sock.context.destroy(500)                 # the last words are sent before this process is gone
