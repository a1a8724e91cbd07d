"""Command line, and the child's end of the process: signals only set a flag, and the exit code
survives whatever the client library does on its way out."""

import argparse
import json
import os
import sys
import traceback

from caril_carla_bridge import secure, supervisor

EXAMPLE = """Example:
  caril carla-server --port 2000 --map town_blocks &
  caril-carla-bridge --port 2000 --endpoint tcp://127.0.0.1:5555 &
  caril drive --plant tcp://127.0.0.1:5555

Exit codes: 0 ok, 1 failed, 2 usage, 3 the episode ended before its goal."""


def parser():
    """The command line."""
    p = argparse.ArgumentParser(
        "caril-carla-bridge", description="Plays caril's plant with a CARLA 0.9.16 server.",
        epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--host", default="127.0.0.1")
    p.add_argument("--port", type=int, default=2000, help="CARLA's port [2000]")
    p.add_argument("--endpoint", default="tcp://127.0.0.1:5555", help="where controllers connect")
    p.add_argument("--key", help="own secret key, of `caril keys new`")
    p.add_argument("--peers", help="file of the allowed controllers' public keys")
    p.add_argument("--insecure", action="store_true",
                   help="let anyone drive although the endpoint leaves this machine")
    p.add_argument("--map", help="town to load [the one that is there]")
    p.add_argument("--route", default="default", help="default, random or =X,Y:X,Y [default]")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--weather", help="CARLA's preset name [as it is]")
    p.add_argument("--rate", type=float, default=20.0, help="frames per second [20]")
    p.add_argument("--frames", type=int, help="end after so many frames")
    p.add_argument("--vehicle", default="vehicle.tesla.model3")
    p.add_argument("--traffic", type=int, default=0, help="cars under the Traffic Manager")
    p.add_argument("--tm-port", type=int, default=8050)
    p.add_argument("--card", help="a pack's card.toml: its camera (Python 3.11 or newer)")
    p.add_argument("--size", default="448x448", help="picture [448x448]")
    p.add_argument("--fov", type=float, default=110.0, help="degrees [110]")
    p.add_argument("--mount", default="1.5,0,2.4,0", help="x,y,z in m and pitch in degrees")
    p.add_argument("--caril", default="caril", help="the program that plans routes [caril]")
    p.add_argument("--tag", default="ego", help="marks our actors; one tag per running bridge")
    p.add_argument("--follow", action="store_true", help="another client ticks and owns settings")
    p.add_argument("--once", action="store_true", help="leave when the controller has left")
    p.add_argument("--settle", type=int, default=3, help="frames for the car to come to rest [3]")
    p.add_argument("--connect-timeout", type=float, default=60.0, metavar="S")
    p.add_argument("--load-timeout", type=float, default=120.0, metavar="S")
    p.add_argument("--tick-timeout", type=float, default=5.0, metavar="S")
    p.add_argument("--restarts", type=int, default=5, help="after crashes or a lost server [5]")
    p.add_argument("--trajectory", help="write x,y of every frame to this CSV")
    p.add_argument("--json", action="store_true", help="one JSON object on stdout at the end")
    p.add_argument("--child", help=argparse.SUPPRESS)
    return p


def camera(options):
    """The camera as the wire describes it."""
    if options.card:
        try:
            import tomllib
        except ImportError:
            raise ValueError("--card needs Python 3.11; give --size, --fov, --mount") from None
        path = options.card
        if os.path.isdir(path):
            path = os.path.join(path, "card.toml")
        with open(path, "rb") as f:
            c = tomllib.load(f)["camera"]
        return {k: c[k] for k in ("width", "height", "fov_deg", "mount")}
    width, height = (int(v) for v in options.size.split("x"))
    x, y, z, pitch = (float(v) for v in options.mount.split(","))
    if not (1 <= width <= 4096 and 1 <= height <= 4096 and 1 <= options.fov <= 170):
        raise ValueError("--size or --fov out of range")
    mount = {"x_m": x, "y_m": y, "z_m": z, "pitch_deg": pitch, "yaw_deg": 0.0}
    return {"width": width, "height": height, "fov_deg": options.fov, "mount": mount}


def keys(options):
    """Own secret and peers for the endpoint, None where none are needed."""
    if (options.key is None) != (options.peers is None) or options.key and options.insecure:
        raise ValueError("--key and --peers go together, and without --insecure")
    if options.key is not None:
        return secure.read_secret(options.key), secure.read_peers(options.peers)
    if not secure.stays_here(options.endpoint):
        if not options.insecure:
            raise ValueError(f"{options.endpoint} leaves this machine: give --key and --peers "
                             "(see `caril keys new --help`), or --insecure")
        if options.child is None:
            say(f"warning: --insecure: anyone who reaches {options.endpoint} may drive or look on")
    return None


def main():
    """Entry point."""
    p = parser()
    options = p.parse_args()
    try:
        options.camera = camera(options)
        options.keys = keys(options)
        if not 1 <= options.rate <= 240:
            raise ValueError("--rate: expected 1 to 240")
    except (ValueError, KeyError, OSError) as e:
        p.error(str(e))
    if options.child is None:
        sys.exit(supervisor.run(sys.argv[1:], options.restarts))
    child(options)


def say(text):
    """One line for a human."""
    print(f"bridge: {text}", file=sys.stderr, flush=True)


def child(options):
    """One run; never returns. `os._exit` because the client library aborts some exits."""
    asked = []
    supervisor.hear(lambda *_: asked.append(True))
    code, parent = supervisor.BUG, os.getppid()
    try:
        # A child whose parent was killed leaves as well, and leaves the world in order.
        code = run(options, lambda: bool(asked) or os.getppid() != parent)
    except BaseException:  # whatever it was, the exit code must be ours
        traceback.print_exc()
    with open(options.child, "w", encoding="utf-8") as f:
        f.write(str(code))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def run(options, stop):
    """The exit code of one run."""
    from caril_carla_bridge import server
    from caril_carla_bridge.bridge import Bridge

    bridge, code = Bridge(options, stop, say), 1
    try:
        bridge.open()
        code = bridge.drive()
    except server.Stopped:
        code = 0
    except server.Fatal as e:
        say(f"error: {e}")
        code = e.code
    except server.ServerGone as e:
        say(f"the server is gone: {e}")
        code = 0 if stop() else server.EXIT_AGAIN
    except RuntimeError as e:
        # The client's only kind of error.
        say(f"the client says: {e}")
        code = 0 if stop() else server.EXIT_AGAIN
    finally:
        bridge.close()
    report = dict(bridge.report, exit_code=code)
    if options.trajectory:
        with open(options.trajectory, "w", encoding="utf-8") as f:
            f.write("x,y\n")
            f.writelines(f"{x!r},{y!r}\n" for x, y in bridge.path)
    if options.json and code != server.EXIT_AGAIN:
        print(json.dumps(report))
    say(", ".join(f"{k} {v}" for k, v in report.items() if v is not None))
    return code
