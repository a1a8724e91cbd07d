"""The route and what the expert plans on it, from `caril map route --json`; the same planner for
the embedded world and for CARLA."""

import json
import math
import subprocess
from bisect import bisect_right

PLAN = ("speed_mps", "speed_slope_1ps", "curvature_1pm", "wheel_rad", "heading_rad")


class RouteError(Exception):
    """No route."""


def wrap(a):
    """The angle in (−π, π]."""
    a = math.fmod(a, math.tau)
    if a > math.pi:
        a -= math.tau
    elif a <= -math.pi:
        a += math.tau
    return a


def plan(caril, xodr, route, seed):
    """Asks the program `caril` for a route on an OpenDRIVE file.

    Raises RouteError if there is no such program or no such route.
    """
    command = [caril, "map", "route", xodr, "--route", route, "--seed", str(seed), "--json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise RouteError(f"cannot run {caril}: {e}; --caril names the program") from None
    if done.returncode != 0:
        raise RouteError(done.stderr.strip() or f"{caril} map route failed")
    return Route(json.loads(done.stdout))


class Place:
    """A place on the route, interpolated."""

    __slots__ = ("s_m", "x_m", "y_m", "yaw_rad", "curvature_1pm", "lane_width_m", "nav",
                 "in_junction", "z_m", "pitch_rad")


class Route:
    """Points every `spacing_m` of arc length; CARLA's axes."""

    def __init__(self, columns):
        self.columns = columns
        self.s = columns["s_m"]
        self.spacing_m = columns["spacing_m"]
        self.length_m = columns["length_m"]
        if len(self.s) < 2 or any(len(columns[k]) != len(self.s) for k in ("x_m", "y_m", "nav")):
            raise RouteError("a route needs two points")

    def _segment(self, s_m):
        n = len(self.s)
        i = min(max(int(min(max(s_m / self.spacing_m, 0.0), n - 1)), 0), n - 2)
        length = self.s[i + 1] - self.s[i]
        return i, min(max((s_m - self.s[i]) / length, 0.0), 1.0)

    def at(self, s_m):
        """The place at `s_m`; beyond the ends the end."""
        return self._between(*self._segment(s_m))

    def _between(self, i, u):
        c, j = self.columns, i + 1
        length = self.s[j] - self.s[i]
        x, y, yaw_i, yaw_j = c["x_m"], c["y_m"], c["yaw_rad"][i], c["yaw_rad"][j]
        u2, u3 = u * u, u * u * u
        h00, h10, h01, h11 = 2 * u3 - 3 * u2 + 1, u3 - 2 * u2 + u, 3 * u2 - 2 * u3, u3 - u2
        def mix(key):
            return c[key][i] + u * (c[key][j] - c[key][i])
        p = Place()
        p.s_m = mix("s_m")
        p.x_m = h00 * x[i] + h10 * length * math.cos(yaw_i) + h01 * x[j] + h11 * length * math.cos(yaw_j)
        p.y_m = h00 * y[i] + h10 * length * math.sin(yaw_i) + h01 * y[j] + h11 * length * math.sin(yaw_j)
        p.z_m, p.pitch_rad = mix("z_m"), mix("pitch_rad")
        p.yaw_rad = wrap(yaw_i + u * wrap(yaw_j - yaw_i))
        p.curvature_1pm, p.lane_width_m = mix("curvature_1pm"), mix("lane_width_m")
        near = i if u < 0.5 else j
        p.nav, p.in_junction = c["nav"][near], c["in_junction"][near]
        return p

    def planned(self, s_m):
        """What the expert plans at `s_m`, as a dict of PLAN."""
        c, last = self.columns, len(self.s) - 1
        f = min(max(s_m / self.spacing_m, 0.0), last)
        i = int(f)
        j, t = min(i + 1, last), f - i
        def mix(key):
            v = c["plan_" + key]
            return v[i] + t * (v[j] - v[i])
        p = {key: mix(key) for key in PLAN}
        p["speed_slope_1ps"] = c["plan_speed_slope_1ps"][i]
        return p

    def project(self, x_m, y_m, hint_s_m):
        """(s, lateral offset, right positive) of a position, within 30 m of a hint."""
        n, c = len(self.s), self.columns
        xs, ys = c["x_m"], c["y_m"]
        lo = min(int(max((hint_s_m - 30) / self.spacing_m, 0)), n - 2)
        hi = min(int(max((hint_s_m + 30) / self.spacing_m, 0)), n - 2)
        best, at = math.inf, lo
        for i in range(lo, hi + 1):
            ax, ay = xs[i], ys[i]
            bx, by = xs[i + 1] - ax, ys[i + 1] - ay
            qx, qy = x_m - ax, y_m - ay
            u = min(max((qx * bx + qy * by) / max(bx * bx + by * by, 1e-12), 0.0), 1.0)
            d = (qx - u * bx) ** 2 + (qy - u * by) ** 2
            if d < best:
                best, at = d, i
        return self._foot(at, x_m, y_m)

    def _foot(self, i, x_m, y_m):
        c = self.columns
        length = max(self.s[i + 1] - self.s[i], 1e-9)
        ax, ay = c["x_m"][i], c["y_m"][i]
        bx, by = c["x_m"][i + 1] - ax, c["y_m"][i + 1] - ay
        dot = (x_m - ax) * bx + (y_m - ay) * by
        u = min(max(dot / max(bx * bx + by * by, 1e-12), 0.0), 1.0)
        lateral = 0.0
        for _ in range(3):
            p = self._between(i, u)
            sin, cos = math.sin(p.yaw_rad), math.cos(p.yaw_rad)
            dx, dy = x_m - p.x_m, y_m - p.y_m
            lateral = dy * cos - dx * sin
            shrink = min(max(1.0 - p.curvature_1pm * lateral, 0.2), 5.0)
            u = min(max(u + (dx * cos + dy * sin) / length / shrink, 0.0), 1.0)
        return self.s[i] + u * (self.s[i + 1] - self.s[i]), lateral

    def index_of(self, s_m):
        """Index of the last point at or before `s_m`."""
        return max(bisect_right(self.s, s_m) - 1, 0)

    def outline(self, most=2000):
        """[x, y] pairs for reports, thinned."""
        step = max(4, len(self.s) // most + 1)
        xs, ys = self.columns["x_m"], self.columns["y_m"]
        return [[xs[i], ys[i]] for i in range(0, len(self.s), step)]
